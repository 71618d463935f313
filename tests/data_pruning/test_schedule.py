"""Epochs on pruned data."""

import json
from pathlib import Path

import pytest

from sklvyso.data_pruning import scaled_max_epochs

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "data" / "drop_epochs.json").read_text()
)


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_epochs(case):
    epochs = scaled_max_epochs(case["epochs"], case["selected"], case["full_size"])
    assert epochs == case["ref_epochs"]


@pytest.mark.parametrize("arguments", [(0, 1, 2), (5, 0, 2), (5, 3, 2), (1.5, 1, 2)])
def test_bad_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=r"must be an integer >= 1"):
        scaled_max_epochs(*arguments)
