"""A user's skorch net with the habits of a scikit-learn classifier."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch.nn.parameter import is_lazy

from sklvyso._validation import check_classification_targets, validate_data
from sklvyso._versioned import VersionedEstimator
from sklvyso.networks._fitting import attached, passing_on_interrupts
from sklvyso.networks._labels import encode, unique_labels
from sklvyso.networks._random import draw_seed, torch_seed
from sklvyso.networks._stepwise import StepwiseTraining, module_device
from sklvyso.networks._training import LastWholeEpoch, complete_optimizer
from sklvyso.networks._training_data import check_same_classes
from sklvyso.networks._weight_masks import held_at_zero


class SkorchClassifier(
    StepwiseTraining, ClassifierMixin, VersionedEstimator, BaseEstimator
):
    """A skorch net with labels of any kind and arrays of any number type.

    It makes and trains a net of the user step by step, as
    :class:`~sklvyso.networks.NetworkClassifier` does with its own: ``fit`` is
    :meth:`initialize` followed by :meth:`train`, and :meth:`mask_weights` holds weights
    at zero. The methods of this package wrap a skorch net in it by themselves.

    .. versionadded:: 0.1

    Parameters
    ----------
    net : skorch.NeuralNet
        Yields a row of class scores for each sample; cloned at each fit. Its own
        parameters say how it is trained.
    random_state : int, RandomState instance or None, default=None
        Seeds the net's initial weights and batches.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The fitted net.
    module_ : torch.nn.Module
        The fitted module.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    input_shape_ : tuple of int
        Shape of one sample, ``X.shape[1:]``, as the module takes it.
    n_features_in_ : int
        Columns, or length of the first axis of a sample.
    feature_names_in_ : ndarray of shape (n_features,)
        Column names, when ``X`` was a data frame with string columns.
    n_iter_ : int
        Epochs run since the weights were initialised.
    history_ : list of dict
        One entry an epoch, without batches, as skorch records it.

    See Also
    --------
    sklvyso.networks.NetworkClassifier : With weights of samples and classes, and faster
        epochs.

    Notes
    -----
    A KeyboardInterrupt is passed on, other than in skorch, unless a callback of skorch
    such as ``EarlyStopping`` raised it to end the training.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skorch import NeuralNetClassifier
    >>> from sklvyso.networks import SkorchClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = NeuralNetClassifier(
    ...     torch.nn.Linear,
    ...     module__in_features=4,
    ...     module__out_features=3,
    ...     criterion=torch.nn.CrossEntropyLoss,
    ...     optimizer=torch.optim.Adam,
    ...     iterator_train__shuffle=True,
    ...     lr=0.1,
    ...     max_epochs=30,
    ...     train_split=None,
    ...     verbose=0,
    ... )
    >>> classifier = SkorchClassifier(net, random_state=0).fit(X, y)
    >>> classifier.score(X, y) > 0.9
    True
    """

    _needed_state = ("classes_", "input_shape_", "net_")
    _parameter_constraints: dict[str, list] = {
        "net": [NeuralNet],
        "random_state": ["random_state"],
    }

    input_shape_: tuple[int, ...]
    classes_: np.ndarray

    def __init__(
        self, net: Any, *, random_state: int | np.random.RandomState | None = None
    ):
        self.net = net
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, **fit_params: Any) -> SkorchClassifier:
        """Fit a clone of the net on float32 arrays and label codes.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            What the module takes, as float32.
        y : array-like of shape (n,)
            Labels.
        **fit_params : dict
            Passed to the net.

        Returns
        -------
        self : SkorchClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If data are not valid, or ``sample_weight`` is given, which skorch nets do
            not have.
        """
        X, codes = self._start(X, y, fit_params)
        return self._train_first(X, codes, None, fit_params)

    def initialize(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: None = None,
        classes: ArrayLike | None = None,
    ) -> SkorchClassifier:
        """Make a clone of the net with its initial weights, without training.

        ``initialize(X, y)`` followed by ``train(X, y)`` is ``fit(X, y)``, bit for bit
        on the CPU.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            What the module takes.
        y : array-like of shape (n,)
            Labels: they give the classes.
        sample_weight : None
            Skorch nets have none.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come, when ``y`` does not hold them all.

        Returns
        -------
        self : SkorchClassifier
            With ``n_iter_`` 0 and an empty history.

        Raises
        ------
        ValueError
            If data are not valid, or ``sample_weight`` is given.
        """
        self._start(X, y, {"sample_weight": sample_weight}, classes)
        return self

    def train(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: None = None,
        **fit_params: Any,
    ) -> SkorchClassifier:
        """Train the present net for another ``max_epochs`` of it.

        After an error or an interrupt, module and optimiser are those of the last whole
        epoch.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            What the module takes.
        y : array-like of shape (n,)
            Labels, all in ``classes_``.
        sample_weight : None
            Skorch nets have none.
        **fit_params : dict
            Passed to the net.

        Returns
        -------
        self : SkorchClassifier
            The fitted classifier.

        Raises
        ------
        NotFittedError
            If there is no net yet.
        ValueError
            If data are not valid, or ``sample_weight`` is given.
        """
        check_is_fitted(self)
        self._validate_params()
        refuse_weights(fit_params | {"sample_weight": sample_weight})
        X, codes = self._validate_rows(X, y)
        return self._train(X, codes, None, fit_params, goes_back=True)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        **fit_params: Any,
    ) -> SkorchClassifier:
        """Train for one epoch on the given rows.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            What the module takes.
        y : array-like of shape (n,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed at the first call unless ``y`` holds
            them all.
        **fit_params : dict
            Passed to the net.

        Returns
        -------
        self : SkorchClassifier
            The fitted classifier.
        """
        if not self.__sklearn_is_fitted__():
            X, codes = self._start(X, y, fit_params, classes)
            return self._train_first(X, codes, 1, fit_params)
        self._validate_params()
        refuse_weights(fit_params)
        if classes is not None:
            check_same_classes(classes, self.classes_)
        X, codes = self._validate_rows(X, y)
        return self._train(X, codes, 1, fit_params, goes_back=True)

    # -- steps --------------------------------------------------------------------

    def _start(self, X, y, fit_params, classes=None):
        """Make the net and return rows and label codes."""
        self._validate_params()
        self._forget()
        refuse_weights(fit_params)
        X, y = validate_data(
            self, X, y, dtype=np.float32, allow_nd=True, force_writeable=True
        )
        check_classification_targets(y)
        self.input_shape_ = X.shape[1:]
        self.classes_ = np.unique(y if classes is None else unique_labels(classes))
        codes = encode(y, self.classes_)
        net = clone(self.net)
        if getattr(net, "classes", ()) is None:
            net.set_params(classes=np.arange(len(self.classes_)))
        with self._numbers_of_start(draw_seed(self.random_state), net.device or "cpu"):
            net.initialize()
            _check_forward(net, X)
        net.weight_masks_ = None
        # Masks are stored with the weights: skops stores no tensors of their own.
        stored_apart = net.cuda_dependent_attributes_
        net.cuda_dependent_attributes_ = [*stored_apart, "weight_masks_"]
        self._keep(net)
        return X, codes

    def _validate_rows(self, X, y, dtype=np.float32):
        X, y = validate_data(
            self,
            X,
            y,
            dtype=dtype,
            allow_nd=True,
            force_writeable=dtype is np.float32,
            reset=False,
        )
        check_classification_targets(y)
        self._check_shape(X)
        return X, encode(y, self.classes_)

    def _check_shape(self, X):
        if X.shape[1:] != self.input_shape_:
            raise ValueError(
                f"X must hold samples of shape {self.input_shape_}, as at the first "
                f"call. Got samples of shape {X.shape[1:]}."
            )

    def _train_first(self, X, codes, n_epochs, fit_params):
        try:
            return self._train(X, codes, n_epochs, fit_params, goes_back=False)
        except BaseException:
            self._forget()
            raise

    def _train(self, X, codes, n_epochs, fit_params, *, goes_back):
        net = self.net_
        last_whole = LastWholeEpoch()
        own = [("our_last_whole_epoch", last_whole)] if goes_back else []
        optimizers = [
            # Accelerate wraps the optimiser in one that has no hooks.
            getattr(value, "optimizer", value)
            for value in vars(net).values()
            if isinstance(value, torch.optim.Optimizer)
        ]
        try:
            with contextlib.ExitStack() as stack:
                for optimizer in optimizers:
                    complete_optimizer(optimizer)
                    named = self.module_.named_parameters()
                    stack.enter_context(
                        held_at_zero(optimizer, named, net.weight_masks_)
                    )
                stack.enter_context(attached(net, own))
                stack.enter_context(self._numbers_of_training())
                stack.enter_context(passing_on_interrupts(net))
                net.partial_fit(X, codes, epochs=n_epochs, **fit_params)
        except BaseException:
            if hasattr(last_whole, "state_"):
                last_whole.restore(net)
            if goes_back:
                self._keep(net)
            raise
        self._keep(net)
        return self

    def _keep(self, net):
        super()._keep(net)
        self.module_.eval()

    def _scoring_data(self, X, y, sample_weight):
        refuse_weights({"sample_weight": sample_weight})
        X, codes = self._validate_rows(X, y, dtype=(np.float32, np.uint8))
        return X, codes, None, None

    def _prepare(self, batch):
        return batch.to(module_device(self.net_), torch.float32, non_blocking=True)

    # -- predicting ---------------------------------------------------------------

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return class probabilities.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            What the module takes.

        Returns
        -------
        proba : ndarray of shape (n, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        X = validate_data(
            self,
            X,
            dtype=np.float32,
            allow_nd=True,
            force_writeable=True,
            reset=False,
        )
        self._check_shape(X)
        with torch_seed(0, module_device(self.net_)):
            return self.net_.predict_proba(X)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most likely labels.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            What the module takes.

        Returns
        -------
        labels : ndarray of shape (n,)
            Of the kind that ``fit`` got.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]


def _check_forward(net: NeuralNet, X: np.ndarray) -> None:
    """Send two rows through a new net, whose own errors speak of matrices."""
    if any(is_lazy(parameter) for parameter in net.module_.parameters()):
        return  # the first batch makes its weights
    mode = net.module_.training
    net.module_.eval()
    try:
        with torch.no_grad():
            net.infer(torch.as_tensor(X[[0, -1]], device=net.device))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"net could not process samples of X of shape {X.shape[1:]}: {error}"
        ) from error
    finally:
        net.module_.train(mode)


def refuse_weights(fit_params: dict[str, Any]) -> None:
    """Refuse a sample_weight; skorch would hand it to the module or drop it."""
    if fit_params.pop("sample_weight", None) is not None:
        raise ValueError(
            "sample_weight must be None for a skorch net, whose loss knows no weights "
            "of samples. Got weights: use sklvyso.networks.NetworkClassifier, which "
            "takes the module as module=."
        )
