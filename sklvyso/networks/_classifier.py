"""A torch network that behaves like a scikit-learn classifier."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sklvyso._compat import Interval, Options, StrOptions
from sklvyso._validation import validate_data
from sklvyso._versioned import VersionedEstimator
from sklvyso.networks import _fitting
from sklvyso.networks._arrays import as_rows, resolve_input_shape
from sklvyso.networks._batches import TensorRows
from sklvyso.networks._labels import class_weights
from sklvyso.networks._module_parameters import ModuleParameters
from sklvyso.networks._net_making import (
    fixed_parameters,
    new_net,
    refresh_net,
    start_net,
)
from sklvyso.networks._random import draw_seed, torch_seed
from sklvyso.networks._stepwise import StepwiseTraining
from sklvyso.networks._training import OPTIMIZERS
from sklvyso.networks._training_data import validate_training

# What float32 still holds, times an ordinary number.
_LARGEST = np.float64(1e30)  # a float would be cast to a half-precision parameter


class NetworkClassifier(
    StepwiseTraining,
    ModuleParameters,
    ClassifierMixin,
    VersionedEstimator,
    BaseEstimator,
):
    """Torch network with the habits of a scikit-learn classifier.

    Rows or images and labels of any kind go in; training runs through skorch on the
    GPU when there is one, as fast as a hand-written loop; predictions, probabilities
    and scores come out. The fitted skorch net is ``net_``.

    - Rows may be flattened images: ``input_shape`` says how to fold them. Images
      ``(n, H, W)`` and ``(n, H, W, C)`` are taken as they are.
    - ``uint8`` input is neither copied nor rescaled: each batch becomes float32 and is
      multiplied by ``input_scale``.
    - ``fit`` is :meth:`initialize`, which makes the network, followed by :meth:`train`.
      In between and afterwards :meth:`mask_weights` holds weights at zero, and
      ``train`` and :meth:`partial_fit` train the network on.
    - The same ``random_state`` gives the same weights, bit for bit on the CPU; torch's
      and NumPy's global generators stay as they are.

    .. versionadded:: 0.1

    Parameters
    ----------
    module : str, type, callable or torch.nn.Module, default="mlp"
        What to train. A registered name, see
        :func:`~sklvyso.networks.available_networks`; or an ``nn.Module`` class or
        factory. The latter is called with keywords: those of ``input_shape`` (torch
        shape of one sample, ``(C, H, W)`` or ``(n_features,)``), ``n_inputs`` (number
        of values of one sample) and ``n_outputs`` (number of classes) that its
        signature names, and with ``module_params``. It must map a float32 batch
        ``(n, *input_shape)`` to logits ``(n, n_outputs)``. An instance is copied at
        each fit and trained from its own weights.
    input_shape : tuple of int, default=None
        Shape of one sample, channels last: ``(n_features,)``, ``(H, W)`` or
        ``(H, W, C)``; one entry may be -1. None takes the shape of ``X``.
    input_scale : float, default=None
        Factor on each batch, such as ``1 / 255`` for pixels. None does not scale.
    hidden_layer_sizes : tuple of int, default=(300, 100)
        Widths of the hidden layers of ``module="mlp"``; other modules ignore it.
    module_params : dict, default=None
        Further keyword arguments of the module. Each is a parameter of its own for
        ``set_params`` and grid search: ``module__batch_norm=True``.
    optimizer : str or callable, default="adam"
        ``"adam"``, ``"adamw"``, ``"nadam"``, ``"radam"``, ``"adagrad"``, ``"rmsprop"``,
        ``"sgd"``, or a class or factory that takes a list of parameters and ``lr`` (and
        ``weight_decay`` when that is not 0), such as
        ``functools.partial(torch.optim.Adam, fused=True)``.
    lr : float, default=1e-3
        Learning rate, > 0.
    momentum : float, default=0.9
        For ``"sgd"`` and ``"rmsprop"``, in [0, 1).
    weight_decay : float, default=0.0
        Weight decay as the optimiser understands it, >= 0.
    lr_schedule : {"cosine"}, dict or callable, default=None
        How the learning rate moves from epoch to epoch: None keeps it; ``"cosine"``
        falls to zero over ``max_epochs``; a dict ``{"milestones": [80, 120],
        "gamma": 0.2}`` or ``{"step_size": 30}`` drops it by ``gamma`` (default 0.1),
        where milestones below 1 are fractions of ``max_epochs``; a callable maps the
        epoch, from 0, to a factor on ``lr``.
    batch_size : int, default=128
        Rows of a batch; -1 for the whole training set.
    max_epochs : int, default=20
        Passes over the training set.
    class_weight : dict or "balanced", default=None
        Weights of the classes in the loss, by label; absent classes weigh 1. A batch's
        loss is the weighted mean over the batch, as in
        :class:`torch.nn.CrossEntropyLoss`, so that only ratios within a batch count.
    augment : callable, default=None
        Applied to each training batch: float32 tensor in torch's layout in, the same
        shape and type out.
    early_stopping : bool, default=False
        Hold out a stratified part of the training rows (of weight > 0), stop when its
        loss has not fallen for ``patience`` epochs, and go back to the best epoch.
    validation_fraction : float, default=0.1
        The part held out, in (0, 1); at least one row a class.
    patience : int, default=5
        Epochs without improvement before stopping.
    warm_start : bool, default=False
        Let ``fit`` continue, as :meth:`train` does, from the present weights, masks and
        optimiser state for another ``max_epochs``; a schedule starts anew. An
        interrupt then leaves the state of the last whole epoch. Parameters of the
        training may change in between (``lr``, ``batch_size``, ``class_weight``,
        ``augment``, ...), those that make the module and the optimiser may not.
    callbacks : list of skorch callbacks, default=None
        Instances, or pairs of name and instance; copied at each fit. A callback that
        listens to batches or gradients switches off the lean epoch. skorch's
        ``EarlyStopping`` ends a fit; any other KeyboardInterrupt is passed on.
    compile : bool, default=False
        Train through :func:`torch.compile`. ``module_`` is the plain module.
    precision : {"float32", "bf16", "fp16"}, default="float32"
        Autocast type on a GPU. The CPU computes in float32 always.
    device : str or torch.device, default="auto"
        ``"auto"`` is the GPU when there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, order of rows, dropout and the validation split. None draws a
        seed from NumPy's global generator.
    verbose : int, default=0
        1 shows one progress bar on standard error, 0 nothing.

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The fitted net; it holds no training data.
    module_ : torch.nn.Module
        The fitted module, ``net_.module_``.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    input_shape_ : tuple of int
        Shape of one sample, channels last.
    n_features_in_ : int
        Number of values of one sample, of an image too.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, when ``X`` was a data frame with string columns.
    best_epoch_ : int
        With early stopping, the epoch that was gone back to, from 1.
    n_iter_ : int
        Epochs run since the weights were initialised; 0 after :meth:`initialize`.
    history_ : list of dict
        One entry an epoch: ``train_loss`` (weighted mean of the batches as they were
        trained on), seconds ``dur``, and with a validation set ``valid_loss``
        (weighted) and ``valid_acc`` (share of right rows).
    loss_curve_ : ndarray of shape (n_epochs,), dtype float64
        Mean training loss of each epoch.

    See Also
    --------
    sklvyso.networks.make_network : The registered modules by themselves.
    sklearn.neural_network.MLPClassifier : NumPy multi-layer perceptron.

    Notes
    -----
    The loss is the mean cross-entropy of a batch. At one seed, weights are bit-equal on
    the CPU to those of a plain loop that seeds torch with
    ``check_random_state(random_state).randint(2**31 - 1)``, builds the module, and
    draws one ``torch.randperm(n)`` an epoch, with the named optimiser in torch's
    default (not fused) implementation.

    Fitting several networks at the same time in *threads* of one process may change
    which random numbers each gets, because torch's generator belongs to the process.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklvyso import NetworkClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> net = NetworkClassifier(input_scale=1 / 16, max_epochs=10, random_state=0)
    >>> net.fit(X_train, y_train).score(X_test, y_test) > 0.9
    True
    >>> net.predict_proba(X_test[:2]).shape
    (2, 10)
    """

    _needed_state = ("classes_", "net_")
    _parameter_constraints: dict[str, list] = {
        "module": [str, callable],
        "input_shape": [tuple, list, None],
        "input_scale": [Interval(Real, 0, _LARGEST, closed="right"), None],
        "hidden_layer_sizes": [tuple, list],
        "module_params": [dict, None],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, _LARGEST, closed="right")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, _LARGEST, closed="both")],
        "lr_schedule": [StrOptions({"cosine"}), dict, callable, None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(int, {-1})],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "augment": [callable, None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [list, None],
        "compile": ["boolean"],
        "precision": [StrOptions({"float32", "bf16", "fp16"})],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    input_shape_: tuple[int, ...]
    classes_: np.ndarray
    loss_curve_: np.ndarray
    _built_with: dict[str, Any]

    def __init__(
        self,
        module: Any = "mlp",
        *,
        input_shape: Sequence[int] | None = None,
        input_scale: float | None = None,
        hidden_layer_sizes: Sequence[int] = (300, 100),
        module_params: Mapping[str, Any] | None = None,
        optimizer: Any = "adam",
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        lr_schedule: Any = None,
        batch_size: int = 128,
        max_epochs: int = 20,
        class_weight: Mapping[Any, float] | str | None = None,
        augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 5,
        warm_start: bool = False,
        callbacks: list | None = None,
        compile: bool = False,
        precision: str = "float32",
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.module = module
        self.input_shape = input_shape
        self.input_scale = input_scale
        self.hidden_layer_sizes = hidden_layer_sizes
        self.module_params = module_params
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.class_weight = class_weight
        self.augment = augment
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.compile = compile
        self.precision = precision
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ------------------------------------------------------------------

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> NetworkClassifier:
        """Train a network from scratch, or further with ``warm_start``.

        From scratch it is :meth:`initialize` followed by :meth:`train`; but an error
        leaves the estimator unfitted.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Training rows or images; float32 and uint8 are used without a copy.
        y : array-like of shape (n,)
            Labels: int, str, bool or object.
        sample_weight : array-like of shape (n,), default=None
            Weights >= 0 of the rows in the loss.

        Returns
        -------
        self : NetworkClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are not valid, or the training diverges.
        """
        self._validate_params()
        if self.warm_start and self.__sklearn_is_fitted__():
            return self.train(X, y, sample_weight)
        data = self._start(X, y, sample_weight)
        return self._train_first(data, n_epochs=self.max_epochs)

    def initialize(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> NetworkClassifier:
        """Make the network with its initial weights, without training.

        ``initialize(X, y)`` followed by ``train(X, y)`` is ``fit(X, y)``, bit for bit
        on the CPU. In between, the network predicts, its weights may be read, scored
        and masked, and it may be pickled.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Training rows or images: they give the shape of the input.
        y : array-like of shape (n,)
            Labels: they give the classes.
        sample_weight : array-like of shape (n,), default=None
            Checked only; :meth:`train` uses weights.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come, when ``y`` does not hold them all.

        Returns
        -------
        self : NetworkClassifier
            With ``n_iter_`` 0 and an empty history.

        Raises
        ------
        ValueError
            If parameters or data are not valid.
        """
        self._validate_params()
        self._start(X, y, sample_weight, classes)
        return self

    def train(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> NetworkClassifier:
        """Train the present network for another ``max_epochs``.

        The first training after :meth:`initialize` uses the random numbers of
        :meth:`fit`, later ones new numbers. A learning-rate schedule starts anew. After
        an error or an interrupt the network is that of the last whole epoch.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Training rows or images.
        y : array-like of shape (n,)
            Labels, all in ``classes_``.
        sample_weight : array-like of shape (n,), default=None
            Weights >= 0 of the rows in the loss.

        Returns
        -------
        self : NetworkClassifier
            The fitted classifier.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        ValueError
            If parameters or data are not valid, a parameter changed that made the
            network, or the training diverges.
        """
        check_is_fitted(self)
        self._validate_params()
        data = validate_training(self, X, y, sample_weight, reset=False)
        return self._train_on(data, n_epochs=self.max_epochs)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> NetworkClassifier:
        """Train for one epoch on the given rows, without a validation set.

        A learning-rate schedule goes on from call to call; ``"cosine"`` reaches zero
        after ``max_epochs`` calls. An interrupt leaves the state before the call.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Training rows or images.
        y : array-like of shape (n,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed at the first call unless ``y`` holds
            them all.
        sample_weight : array-like of shape (n,), default=None
            Weights >= 0 of the rows in the loss.

        Returns
        -------
        self : NetworkClassifier
            The fitted classifier.
        """
        self._validate_params()
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight must be None or a dict for partial_fit, which does not "
                f"see all rows. Got {self.class_weight!r} instead."
            )
        if self.__sklearn_is_fitted__():
            data = validate_training(
                self, X, y, sample_weight, reset=False, classes=classes
            )
            return self._train_on(data, n_epochs=1, whole_fit=False)
        data = self._start(X, y, sample_weight, classes)
        return self._train_first(data, n_epochs=1, whole_fit=False)

    def _start(self, X, y, sample_weight, classes=None):
        """Make the net and return rows, label codes and weights."""
        self._forget()
        data = validate_training(self, X, y, sample_weight, reset=True, classes=classes)
        net = new_net(self, data[1])
        net.class_labels_ = self.classes_
        self._built_with = fixed_parameters(self)
        with self._numbers_of_start(draw_seed(self.random_state), net.device):
            start_net(net, data[0][:1], len(self.classes_))
        self._keep(net)
        return data

    def _train_first(self, data, *, n_epochs, whole_fit=True):
        """Train a new net; after an error it stays with a warm start only."""
        try:
            return self._train(
                data, n_epochs=n_epochs, whole_fit=whole_fit, goes_back=self.warm_start
            )
        except BaseException:
            if not (self.warm_start and self.n_iter_):
                self._forget()
            raise

    def _train_on(self, data, *, n_epochs, whole_fit=True):
        """Train a net that stays, with parameters that may have changed."""
        refresh_net(self.net_, self, self._built_with, data[1])
        return self._train(data, n_epochs=n_epochs, whole_fit=whole_fit, goes_back=True)

    def _train(self, data, *, n_epochs, whole_fit, goes_back):
        self.__dict__.pop("best_epoch_", None)
        net = self.net_
        X, codes, weight = data
        rows = TensorRows(X, codes, weight, device=net.device)
        training, validation = rows, None
        if self.early_stopping and whole_fit:
            # The first seed: what was validated on must not be trained on later.
            training, validation = _fitting.split_off(
                rows, codes, weight, self.classes_, self.validation_fraction, self._seed
            )
        try:
            with self._numbers_of_training():
                best_epoch = _fitting.train(
                    net,
                    training,
                    validation,
                    self,
                    n_epochs=n_epochs,
                    whole_fit=whole_fit,
                    goes_back=goes_back,
                )
        except BaseException:
            if goes_back:
                self._keep(net)
            raise
        if best_epoch is not None:
            self.best_epoch_ = best_epoch
        self._keep(net)
        return self

    def _keep(self, net):
        super()._keep(net)
        self.loss_curve_ = np.array([epoch["train_loss"] for epoch in self.history_])

    def _scoring_data(self, X, y, sample_weight):
        X, codes, weight = validate_training(self, X, y, sample_weight, reset=False)
        by_class = class_weights(self.class_weight, self.classes_, codes)
        return X, codes, weight, by_class

    def _prepare(self, batch):
        return self.net_.prepare(batch)

    # -- predicting ---------------------------------------------------------------

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _logits(self, X: ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        rows, image_shape = as_rows(X)
        if image_shape is not None:
            resolve_input_shape(self.input_shape_, image_shape, math.prod(image_shape))
        rows = validate_data(self, rows, dtype=(np.float32, np.uint8), reset=False)
        with torch_seed(0, self.net_.device):
            return self.net_.logits(rows)

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return logits; with two classes, their difference.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images.

        Returns
        -------
        scores : ndarray of shape (n, n_classes), or (n,) with two classes, float32
            Higher means more likely; with two classes, > 0 means ``classes_[1]``.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images.

        Returns
        -------
        proba : ndarray of shape (n, n_classes), dtype float32
            Softmax of the logits, columns in the order of ``classes_``.
        """
        return torch.softmax(torch.from_numpy(self._logits(X)), dim=1).numpy()

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most likely label of each row.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Rows or images.

        Returns
        -------
        labels : ndarray of shape (n,)
            Of the kind that ``fit`` got.
        """
        logits = self._logits(X)
        return self.classes_[logits.argmax(axis=1)]
