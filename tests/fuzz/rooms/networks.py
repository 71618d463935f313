"""Valid calls of sklvyso.networks."""

import functools

import numpy as np
import torch
from skorch import NeuralNet
from torch import nn

from sklvyso import NetworkClassifier, networks
from sklvyso.networks import SkorchClassifier
from tests.fuzz.cases import Case, fitting, fixed, labels, method_of, rows

ROOM = "networks"
X, Y = rows(), labels()
SMALL = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
UNBOUNDED = ("max_epochs", "verbose", "patience", "batch_size")
# Training multiplies float32 numbers, whose sums depend on the order of memory.
FLOAT32 = 1e-4


@functools.cache
def fitted():
    return NetworkClassifier(**SMALL).fit(X, Y)


@functools.cache
def with_dropout():
    return NetworkClassifier(**SMALL, module_params={"dropout": 0.5}).fit(X, Y)


def skorch_net():
    return NeuralNet(
        nn.Linear,
        criterion=nn.CrossEntropyLoss,
        module__in_features=3,
        module__out_features=3,
        max_epochs=1,
        train_split=None,
        verbose=0,
    )


def probabilities(estimator, data):
    return estimator.predict_proba(X)


def cases():
    yield from training()
    yield from fitted_methods()
    yield from skorch_methods()
    yield from inspection()
    yield from making()


def training():
    for method in ("fit", "partial_fit", "initialize", "train"):
        data = {"X": X, "y": Y, "sample_weight": np.arange(1, 13) / 8.0}
        if method in ("partial_fit", "initialize"):
            data["classes"] = np.arange(3)
        if method == "train":
            yield method_of(
                ROOM,
                fitted,
                "train",
                fixed(**data),
                lambda e: e.predict_proba(X),
                owner="NetworkClassifier",
                rtol=FLOAT32,
                cost=3,
            )
            continue
        yield fitting(
            ROOM,
            NetworkClassifier,
            fixed(**SMALL),
            fixed(**data),
            probabilities,
            method=method,
            callables=("augment", "lr_schedule"),
            skip={"compile": "torch.compile takes longer than the limit"},
            unbounded=UNBOUNDED,
            rtol=FLOAT32,
            cost=3,
        )


def fitted_methods():
    for name in ("predict", "predict_proba", "decision_function"):
        yield method_of(
            ROOM, fitted, name, fixed(X=X), owner="NetworkClassifier", rtol=FLOAT32
        )
    name = next(n for n, p in fitted().module_.named_parameters() if p.ndim == 2)
    masks = {name: np.ones(fitted().module_.get_parameter(name).shape, dtype=bool)}
    yield method_of(
        ROOM, fitted, "mask_weights", fixed(masks=masks), owner="NetworkClassifier"
    )


def skorch_methods():
    def fit(net, random_state, X, y):
        return SkorchClassifier(net, random_state=random_state).fit(X, y)

    yield Case(
        ROOM,
        "SkorchClassifier.fit",
        lambda **given: fit(**given).predict_proba(X.astype(np.float32)),
        lambda: {
            "net": skorch_net(),
            "random_state": 0,
            "X": X.astype(np.float32),
            "y": Y,
        },
        rtol=FLOAT32,
        cost=3,
    )
    model = functools.cache(lambda: fit(skorch_net(), 0, X.astype(np.float32), Y))
    single = X.astype(np.float32)
    for name, arguments in {
        "predict": {"X": single},
        "predict_proba": {"X": single},
        "partial_fit": {"X": single, "y": Y, "classes": np.arange(3)},
        "initialize": {"X": single, "y": Y, "classes": np.arange(3)},
        "train": {"X": single, "y": Y},
        "mask_weights": {"masks": {"weight": np.ones((3, 3), dtype=bool)}},
    }.items():
        yield method_of(
            ROOM,
            model,
            name,
            fixed(**arguments),
            owner="SkorchClassifier",
            rtol=FLOAT32,
        )


def inspection():
    estimator = {"estimator": fitted()}
    rows_of = {"X": X}
    yield Case(
        ROOM,
        "penultimate_features",
        networks.penultimate_features,
        lambda: estimator | rows_of,
        rtol=FLOAT32,
    )
    yield Case(
        ROOM,
        "dropout_probabilities",
        networks.dropout_probabilities,
        lambda: {"estimator": with_dropout(), "X": X, "n_samples": 2, "seed": 0},
        rtol=FLOAT32,
        unbounded=("n_samples",),
    )
    yield Case(ROOM, "logits_module", networks.logits_module, lambda: dict(estimator))
    yield Case(
        ROOM,
        "dropout_layers",
        lambda module: len(networks.dropout_layers(module)),
        lambda: {"module": with_dropout().module_},
    )
    yield Case(
        ROOM,
        "scoring_batches",
        lambda **given: list(networks.scoring_batches(**given)),
        lambda: {
            **estimator,
            "X": X,
            "y": Y,
            "sample_weight": np.arange(1, 13) / 8.0,
            "batch_size": 5,
            "rows": np.array([0, 3, 3]),
        },
    )


def making():
    yield Case(
        ROOM,
        "adopt_estimator",
        lambda **given: type(networks.adopt_estimator(**given)).__name__,
        lambda: {"estimator": NetworkClassifier(), "caller": "Me", "need": "network"},
        skip={"caller": "a word of the developer's for error messages"},
    )
    yield Case(
        ROOM,
        "as_rows",
        networks.as_rows,
        fixed(X=rows(4, 6).reshape(4, 3, 2)),
        missing=("X",),
        infinite=True,
    )
    yield Case(ROOM, "available_networks", networks.available_networks, dict)
    yield Case(ROOM, "draw_seed", networks.draw_seed, fixed(random_state=0))
    yield Case(
        ROOM,
        "final_step",
        lambda estimator: type(networks.final_step(estimator)).__name__,
        lambda: {"estimator": NetworkClassifier()},
    )
    yield Case(
        ROOM,
        "takes_images",
        networks.takes_images,
        lambda: {"estimator": NetworkClassifier()},
    )
    yield Case(
        ROOM,
        "set_seeds",
        networks.set_seeds,
        lambda: {"estimator": NetworkClassifier(), "rng": np.random.RandomState(0)},
    )

    def seeded(seed, device):
        with networks.torch_seed(seed, device):
            return torch.rand(2)

    yield Case(ROOM, "torch_seed", seeded, fixed(seed=0, device="cpu"))
    yield Case(ROOM, "torch_shape", networks.torch_shape, fixed(input_shape=(3, 2)))

    def held(parameters, masks):
        layer = nn.Linear(2, 2)
        parameters = {"w": layer.weight} if parameters is None else parameters
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        with networks.held_at_zero(optimizer, parameters, masks):
            return None

    def initialized(module, method):
        with networks.torch_seed(0):
            return networks.initialize(module, method)

    yield Case(
        ROOM,
        "initialize",
        initialized,
        lambda: {"module": nn.Linear(2, 3), "method": "kaiming_normal"},
        callables=("method",),
    )

    def made(**given):
        with networks.torch_seed(0):
            return networks.make_network(**given)

    yield Case(
        ROOM,
        "make_network",
        made,
        fixed(
            name="mlp",
            input_shape=(3,),
            n_outputs=2,
            bias=True,
            batch_norm=False,
            hidden_layer_sizes=(4,),
            dropout=0.0,
            activation="relu",
            initialization=None,
        ),
        callables=("initialization",),
    )
