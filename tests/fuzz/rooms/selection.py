"""Valid calls of sklvyso.selection."""

import numpy as np

from sklvyso import selection
from tests.fuzz.cases import Case, fixed, labels, proba, rows

Z = rows(14, 3)
SIZES = {"random_state": 0, "n_select": 4}
VOTES = np.stack([labels(10, 2), labels(10, 3), labels(10, 2)])


def cases():
    one_table = {
        "bald": np.stack([proba(10, 3), proba(10, 3)[::-1]]),
        "entropy": proba(),
        "least_confidence": proba(),
        "margin": proba(),
    }
    for name, table in one_table.items():
        key = "proba_samples" if name == "bald" else "proba"
        yield Case("selection", name, getattr(selection, name), fixed(**{key: table}))
    yield Case(
        "selection",
        "variation_ratio",
        selection.variation_ratio,
        fixed(votes=VOTES),
    )
    yield Case(
        "selection", "badge", selection.badge, fixed(Z=Z, proba=proba(14, 3), **SIZES)
    )
    for name, more in {
        "central_points": {},
        "typical_points": {"n_neighbors": 3},
        "cluster_margin": {"scores": np.arange(14) / 8.0, "prefilter": 9},
        "k_center_greedy": {"selected": np.array([0, 3]), "distances": None},
    }.items():
        yield Case(
            "selection",
            name,
            getattr(selection, name),
            fixed(Z=Z, **SIZES, **more),
            missing=("scores",),
        )
    yield Case(
        "selection",
        "top_scores",
        selection.top_scores,
        fixed(scores=np.arange(14) % 5 / 8.0, **SIZES),
        missing=("scores",),  # infinite scores are first or last
    )
