"""Every public callable, hostile arguments: an answer, or an error that names them.

``SKLVYSO_FUZZ=20`` tries twenty times as many; ``python -m tests.fuzz`` tries every
variant on every argument.
"""

import copy
import os

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.fuzz.hostile import ANYTHING, make
from tests.fuzz.registry import every_case
from tests.fuzz.trial import attempt, choices, valid_result

EXAMPLES = 20 * int(os.environ.get("SKLVYSO_FUZZ", "1"))
CASES = every_case()


@st.composite
def replacements(draw, case):
    """Draw one or two arguments and what stands in for each."""
    valid = case.arguments()
    names = draw(
        st.lists(st.sampled_from(case.targets()), min_size=1, max_size=2, unique=True)
    )
    changes = {}
    for name in names:
        variants = choices(case, name, valid[name])
        is_free = name not in (*case.paths, *case.unbounded, "n_jobs")
        if is_free:
            variants = [*variants, "free:anything"]
        variant = draw(st.sampled_from(variants))
        if variant == "free:anything":
            value = draw(ANYTHING)
        else:
            position = draw(st.integers(0, 2**16))
            value = make(copy.deepcopy(valid[name]), variant, position)
        changes[name] = (variant, value)
    return changes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_hostile_arguments(case):
    valid_result(case)
    if not case.targets():
        return

    @settings(
        max_examples=max(EXAMPLES // case.cost, 2),
        derandomize=True,
        deadline=None,  # each call has a limit of its own
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(replacements(case))
    def try_one(changes):
        note(", ".join(f"{name}={variant}" for name, (variant, _) in changes.items()))
        finding = attempt(case, changes)
        assert finding is None, finding

    try_one()
