"""Valid calls of sklvyso.sparsity."""

import functools

import numpy as np
import torch

from sklvyso import EffectiveSparsityPruner, NetworkClassifier, sparsity
from tests.fuzz.cases import Case, fitting, fixed, labels, method_of, rows

ROOM = "sparsity"
X, Y = rows(12, 3), labels(12, 2)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)
    )


def masks():
    return {
        "0.weight": np.arange(12).reshape(4, 3) % 2 == 0,
        "2.weight": np.array([[1, 1, 0, 1], [0, 1, 1, 0]], dtype=bool),
    }


def cases():
    yield from of_masks()
    yield from of_scores()
    yield from pruner()


def of_masks():
    def on_network(**more):
        return lambda: {"module": network(), "masks": masks(), **more}

    shape = {"input_shape": (3,), "rules": None}
    how = {"granularity": "pixel", "norm": "identity"}
    for name, more in {
        "apply_masks": {},
        "compact": shape,
        "effective_masks": {**shape, **how},
        "sparsity_report": {**shape, **how},
    }.items():
        yield Case(ROOM, name, getattr(sparsity, name), on_network(**more))
    # One mask as an argument of its own, so that it is spoiled too.
    yield Case(
        ROOM,
        "effective_masks of one mask",
        lambda masks: sparsity.effective_masks(network(), {"0.weight": masks}, (3,)),
        lambda: {"masks": masks()["0.weight"]},
    )
    yield Case(
        ROOM,
        "apply_masks of one mask",
        lambda masks: sparsity.apply_masks(network(), {"0.weight": masks}),
        lambda: {"masks": masks()["0.weight"]},
    )
    masked = functools.cache(lambda: sparsity.apply_masks(network(), masks()))
    for name in ("read_masks", "remove_masks"):
        yield Case(ROOM, name, getattr(sparsity, name), lambda: {"module": masked()})
    yield Case(
        ROOM,
        "save_masks",
        lambda masks, path: str(sparsity.save_masks(masks, path)),
        lambda: {"masks": masks(), "path": "masks.safetensors"},
        paths=("path",),
    )

    def load(path):
        sparsity.save_masks(masks(), "masks.safetensors")
        return sparsity.load_masks(path)

    yield Case(
        ROOM, "load_masks", load, fixed(path="masks.safetensors"), paths=("path",)
    )
    yield Case(
        ROOM,
        "export_module",
        lambda **given: sparsity.export_module(**given) and None,
        lambda: {"module": network(), "path": "net.pt2", "input_shape": (3,)},
        paths=("path",),
        cost=10,
    )
    yield Case(
        ROOM,
        "SparsityReport.to_frame",
        lambda: sparsity.sparsity_report(network(), masks(), (3,)).to_frame(),
        dict,
    )


def of_scores():
    yield Case(
        ROOM,
        "layer_quotas",
        sparsity.layer_quotas,
        fixed(
            shapes=[(4, 3), (2, 4)], sparsity=0.5, method="erk", names=["one", "two"]
        ),
        callables=("method",),
    )
    data = {"X": X, "y": Y, "sample_weight": np.arange(1, 13) / 8.0}
    yield Case(
        ROOM,
        "prune_scores",
        sparsity.prune_scores,
        lambda: {
            "module": network(),
            "method": "snip",
            **data,
            "input_shape": (3,),
            "batch_size": 5,
            "n_iterations": "auto",
            "sparsity": 0.5,
            "n_samples": None,
            "exclude": (),
            "rules": None,
            "device": None,
            "random_state": 0,
            "verbose": 0,
        },
        rtol=1e-4,
        callables=("method",),
        unbounded=("n_iterations", "verbose", "batch_size", "n_samples"),
    )
    for method in ("synflow", "snip", "random"):
        given = data if method == "snip" else {}
        yield Case(
            ROOM,
            f"prune_module by {method}" if method != "synflow" else "prune_module",
            sparsity.prune_module,
            lambda method=method, given=given: {
                "module": network(),
                "method": method,
                **given,
                "sparsity": 0.5,
                "target": "effective",
                "quota": "erk" if method == "random" else None,
                "input_shape": (3,),
                "min_per_layer": 0,
                "granularity": "pixel",
                "rules": None,
                "exclude": (),
                "random_state": 0,
                "verbose": 0,
            },
            callables=("method", "quota"),
            unbounded=("verbose",),
        )


def pruner():
    def params():
        return {
            "estimator": NetworkClassifier(
                hidden_layer_sizes=(4,), max_epochs=1, random_state=0
            ),
            "sparsity": 0.5,
            "n_iterations": 2,
            "random_state": 0,
        }

    for method in ("fit", "prune", "partial_fit"):
        more = {"classes": np.arange(2)} if method == "partial_fit" else {}
        yield fitting(
            ROOM,
            EffectiveSparsityPruner,
            params,
            fixed(X=X, y=Y, sample_weight=np.arange(1, 13) / 8.0, **more),
            lambda fitted, data: fitted.predict_proba(X),
            method=method,
            cost=6,
            rtol=1e-4,
            callables=("pruner", "quota"),
            unbounded=(
                "max_epochs",
                "dense_epochs",
                "n_iterations",
                "verbose",
                "score_batch_size",
                "n_score_samples",
            ),
        )
    fitted = functools.cache(lambda: EffectiveSparsityPruner(**params()).fit(X, Y))
    for name, arguments in {
        "predict": {"X": X},
        "predict_proba": {"X": X},
        "compact": {},
        "report": {},
    }.items():
        yield method_of(
            ROOM,
            fitted,
            name,
            fixed(**arguments),
            owner="EffectiveSparsityPruner",
            rtol=1e-4,
        )
    yield method_of(
        ROOM,
        fitted,
        "export",
        fixed(path="pruned.pt2", compacted=True),
        outputs=lambda e: None,
        paths=("path",),
        owner="EffectiveSparsityPruner",
        cost=10,
    )
