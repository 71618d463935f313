"""ImpressLearnClassifier: learn task after task, forget nothing."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklvyso._arguments import check_sequence
from sklvyso._compat import Interval, StrOptions
from sklvyso._versioned import VersionedEstimator
from sklvyso.continual._backbone import make_backbone, own_state, set_weights
from sklvyso.continual._combination import Impression
from sklvyso.continual._inputs import (
    checked_rows,
    rows_by_task,
    tasks_of_rows,
)
from sklvyso.continual._learning import Learner, Rows
from sklvyso.continual._masks import (
    ALLOCATIONS,
    MASK_MODES,
    kept_fractions,
)
from sklvyso.continual._predictions import TaskPredictions
from sklvyso.continual._running import Runner
from sklvyso.continual._stream import add_task, go_on
from sklvyso.continual._task_inference import INFERENCE_METHODS
from sklvyso.continual._tasks import (
    Task,
    without_task,
)
from sklvyso.networks import (
    OPTIMIZERS,
    as_tensor,
    check_module,
    draw_seed,
    is_same,
    resolve_device,
    sample_weights,
    torch_shape,
    unique_labels,
)

# What makes the frozen network and its input, and cannot change after the first task.
_FIXED = (
    "module",
    "hidden_layer_sizes",
    "module_params",
    "input_shape",
    "input_scale",
    "n_superfluous",
)
_FORMAT_VERSION = 1
_PRIVATE = ("_tasks", "_backbone", "_runner", "_seed", "_n_learned", "_built_with")
# What follows from tasks and masks, and is not stored.
_PUBLISHED = (
    "classes_",
    "coef_",
    "loss_curves_",
    "mask_shapes_",
    "n_impressions_",
    "task_classes_",
    "task_kinds_",
    "task_scores_",
    "tasks_",
)
# What float32 still holds; a float would be cast to half-precision parameters.
_LARGEST = np.float64(1e30)


class ImpressLearnClassifier(TaskPredictions, VersionedEstimator, BaseEstimator):
    """Classifier that learns task after task on one frozen random network.

    The first ``n_impressions`` tasks each learn a binary mask over the frozen weights,
    an impression. A later task learns one coefficient for each impression and layer: a
    few dozen numbers. Nothing that a task uses is ever changed by another, so earlier
    predictions stay the same bit for bit.

    - :meth:`partial_fit` adds a task; :meth:`predict` takes its name, or infers the
      task of each row where it is not given.
    - With ``new_task="auto"`` a later task is tried on held-out rows; if a mask of its
      own does clearly better than coefficients, it gets one, which serves later tasks
      as a further impression. Unrelated tasks need that.
    - What is stored: a seed, a bit for each weight and impression, the coefficients,
      and the statistics of normalisation layers.

    .. versionadded:: 0.1

    Parameters
    ----------
    module : str, class, callable or nn.Module, default=None
        Network without biases: a name of :func:`~sklvyso.networks.make_network` (which
        builds it so, with batch normalisation without scale and shift in residual and
        VGG networks), a class, or an instance, whose own weights are the frozen ones.
        This and the parameters up to ``input_scale``, and ``n_superfluous``, cannot
        change once a task is learned.
        None is an MLP. All but an instance get random weights of one magnitude, from
        ``random_state``.
    hidden_layer_sizes : sequence of int, default=(300, 100)
        Of the MLP.
    module_params : mapping, default=None
        Keyword arguments of the module.
    input_shape : tuple of int, default=None
        Shape of one sample, channels last, to fold rows into images.
    input_scale : float, default=None
        Factor on each batch, such as 1/255 for pixels.
    n_impressions : int, default=5
        Masks to learn before tasks are learned from coefficients, >= 1.
    impressions : {"heterogeneous", "homogeneous", "random"}, default="heterogeneous"
        A mask from each of the first tasks; all from the first task with different
        random numbers; or random masks, a baseline.
    new_task : {"auto", "coefficients", "mask"}, default="auto"
        What a task learns once there are ``n_impressions`` masks. ``"coefficients"`` is
        the paper's method, ``"mask"`` is SupSup's.
    max_impressions : int, default=None
        Masks at most; None for no bound.
    mask_tolerance : float, default=0.05
        Accuracy on held-out rows by which a mask has to be better, for ``"auto"``.
    validation_fraction : float, default=0.2
        Share of the rows held out for that trial; with fewer than 20 such rows there
        is none, and coefficients are learned. All rows train in the end.
    mask_mode : {"topk_abs", "topk", "threshold"}, default="topk_abs"
        How scores select a mask: see :func:`topk_mask`.
    density : float, default=0.5
        Fraction of the weights that a mask keeps, in [0, 1].
    density_allocation : {"uniform", "erdos_renyi"}, default="uniform"
        The same in all layers, or ``min(0.5, c (out + in) / (out in kh kw))``.
    density_budget : float, default=None
        c, such as 1 to 75, for ``"erdos_renyi"``.
    coef_scope : {"layer", "network"}, default="layer"
        A coefficient for each impression and layer, or one for each impression.
    dedicated_output : bool, default=False
        Whether a later task has a mask of its own in the output layer and combines
        impressions in the others only.
    task_inference : {"auto", "exhaustive", "one_shot", "binary"}, default="auto"
        How to find the task of a row when it is not given. ``"exhaustive"`` and
        ``"auto"`` run each task's network and take the most certain one.
        ``"one_shot"`` and ``"binary"`` take gradients of superposed tasks, whose time
        does not grow with the number of tasks; they find far fewer where tasks are
        combinations (see the user guide for the shares).
    n_superfluous : int, default=40
        Outputs that no class ever uses. Training pushes them down, which tells a
        task's own rows from others: task inference needs them.
    max_epochs, coef_max_epochs : int, default=10
        Epochs of a mask; of coefficients.
    lr : float, default=3e-3
        Learning rate of scores of masks; 1e-3 in the authors' code, too little for
        some hundred steps.
    coef_lr : float, default=0.05
        Learning rate of coefficients. With 1e-3 they hardly move.
    lr_schedule : "cosine", dict, callable or None, default="cosine"
        As for :class:`~sklvyso.networks.NetworkClassifier`.
    coef_l1 : float, default=0.0
        Weight of ``sum_l (||coef_l||_1 - 1)^2``; 0.005 in the authors' code.
    coef_weight_decay : float, default=0.0
        Of the coefficients; 0.01 in the authors' code.
    batch_size : int, default=128
        Rows of a batch.
    optimizer : str, class or callable, default="adam"
        As for :class:`~sklvyso.networks.NetworkClassifier`.
    on_known_task : {"error", "refine"}, default="error"
        What :meth:`partial_fit` does with a named task that has a mask of its own.
        Others may combine that mask, so it never changes; ``"refine"`` goes on with
        coefficients of all masks, from that one. Tasks with coefficients go on in any
        case, and so does the unnamed one (``task=None``).
    task_column : int or str, default=None
        Column of ``X`` that holds the task; it is no feature. Works in pipelines and
        searches without metadata routing, where earlier steps let it pass as it is:
        ``ColumnTransformer(..., remainder="passthrough",
        verbose_feature_names_out=False).set_output(transform="pandas")``. Without these
        two an array without names arrives, where it is a position: -1, for the last.
        Missing values are inferred by :meth:`predict`.
    n_outputs : int, default=None
        Classes of the largest task; None takes that of the first :meth:`fit` or
        :meth:`partial_fit`. The frozen output layer cannot grow.
    device : str or torch.device, default="auto"
        ``"auto"`` is CUDA where there is some.
    random_state : int, RandomState instance or None, default=None
        Decides all. The numbers of a task depend on how many came before it only.
    verbose : int, default=0
        1 shows a bar for each training.

    Attributes
    ----------
    tasks_ : list
        Names, in the order they were learned.
    task_classes_ : dict
        Labels of each task, in the order of its outputs.
    task_kinds_ : dict
        ``"mask"`` or ``"coefficients"`` of each task.
    task_scores_ : dict
        Held-out accuracies that decided a later task with ``new_task="auto"``.
    classes_ : ndarray of shape (n_classes,)
        Labels of all tasks, sorted.
    coef_ : ndarray of shape (n_tasks, n_layers, n_masks), dtype float32
        Coefficients; one-hot for tasks with a mask, 0 for impressions that came after
        the task, and in the output layer where it has a mask of its own.
    impressions_ : list of list of ndarray
        Packed masks of each layer; :meth:`mask` unpacks them.
    n_impressions_ : int
        Masks there are.
    mask_shapes_ : list of tuple
        Shapes of the masked weights, in the order of the network.
    density_ : ndarray of shape (n_layers,)
        Fraction that masks keep, a mean over impressions.
    backbone_seed_ : int
        Decides the frozen weights.
    backbone_checksum_ : str
        Digest of the frozen weights, checked when an estimator is loaded.
    loss_curves_ : dict
        Training losses of each task, an entry an epoch.
    n_outputs_ : int
        Classes that a task may have.
    input_shape_ : tuple of int
        Shape of one sample, channels last.
    n_features_in_ : int
        Columns of ``X``, the task column among them.
    feature_names_in_ : ndarray of shape (n_columns,)
        Column names, when ``X`` was a data frame with string columns.
    net_ : skorch net
        Of the last training in this process; not stored.

    See Also
    --------
    TaskStratifiedKFold : Cross-validation that keeps all tasks in all parts.
    task_scorer : Scorer that hands the task to ``predict``.

    Notes
    -----
    Accuracy of coefficients depends on how related tasks are: rotations of what the
    impressions saw reach that of a mask of their own, pixel permutations do not, and
    there learned impressions are no better than random ones.

    With one impression coefficients only rescale layers, which changes nothing in a
    ReLU network without biases.

    Our own choices, beside ``new_task``: cosine learning rates, superfluous outputs in
    training, task inference for combinations.

    References
    ----------
    .. [1] Bhardwaj, Kempe, Vysogorets, Teng, Ezekwem, "ImpressLearn: Continual Learning
       via Combined Task Impressions", arXiv 2210.01987, 2022.
    .. [2] Wortsman et al., "Supermasks in Superposition", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklvyso import ImpressLearnClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> learner = ImpressLearnClassifier(n_impressions=2, random_state=0)
    >>> for low in (0, 3, 6):
    ...     rows = (y >= low) & (y < low + 3)
    ...     _ = learner.partial_fit(X[rows], y[rows], task=f"from {low}")
    >>> learner.tasks_
    ['from 0', 'from 3', 'from 6']
    >>> bool(np.isin(learner.predict(X, task="from 3"), [3, 4, 5]).all())
    True
    """

    _needed_state = (
        "_built_with",
        "_tasks",
        "backbone_checksum_",
        "backbone_seed_",
        "impressions_",
        "input_shape_",
        "n_outputs_",
    )
    _parameter_constraints: dict[str, list] = {
        "module": [str, callable, torch.nn.Module, None],
        "hidden_layer_sizes": ["array-like"],
        "module_params": [Mapping, None],
        "input_shape": [tuple, list, None],
        "input_scale": [Interval(Real, 0, _LARGEST, closed="right"), None],
        "n_impressions": [Interval(Integral, 1, None, closed="left")],
        "impressions": [StrOptions({"heterogeneous", "homogeneous", "random"})],
        "new_task": [StrOptions({"auto", "coefficients", "mask"})],
        "max_impressions": [Interval(Integral, 1, None, closed="left"), None],
        "mask_tolerance": [Interval(Real, 0, 1, closed="both")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "mask_mode": [StrOptions(set(MASK_MODES))],
        "density": [Interval(Real, 0, 1, closed="both")],
        "density_allocation": [StrOptions(set(ALLOCATIONS))],
        "density_budget": [Interval(Real, 0, None, closed="neither"), None],
        "coef_scope": [StrOptions({"layer", "network"})],
        "dedicated_output": ["boolean"],
        "task_inference": [StrOptions({"auto", *INFERENCE_METHODS})],
        "n_superfluous": [Interval(Integral, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "coef_max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, _LARGEST, closed="right")],
        "coef_lr": [Interval(Real, 0, _LARGEST, closed="right")],
        "lr_schedule": [StrOptions({"cosine"}), dict, callable, None],
        "coef_l1": [Interval(Real, 0, None, closed="left")],
        "coef_weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "on_known_task": [StrOptions({"error", "refine"})],
        "task_column": [Integral, str, None],
        "n_outputs": [Interval(Integral, 1, None, closed="left"), None],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Tasks travel by themselves where metadata are routed.
    __metadata_request__fit = {"task": True}
    __metadata_request__partial_fit = {"task": True}
    __metadata_request__score = {"task": True}

    input_shape_: tuple[int, ...]
    classes_: np.ndarray
    _built_with: dict[str, Any]
    impressions_: list[Impression]
    _tasks: list[Task]

    def __init__(
        self,
        module: Any = None,
        *,
        hidden_layer_sizes: Sequence[int] = (300, 100),
        module_params: Mapping[str, Any] | None = None,
        input_shape: Sequence[int] | None = None,
        input_scale: float | None = None,
        n_impressions: int = 5,
        impressions: str = "heterogeneous",
        new_task: str = "auto",
        max_impressions: int | None = None,
        mask_tolerance: float = 0.05,
        validation_fraction: float = 0.2,
        mask_mode: str = "topk_abs",
        density: float = 0.5,
        density_allocation: str = "uniform",
        density_budget: float | None = None,
        coef_scope: str = "layer",
        dedicated_output: bool = False,
        task_inference: str = "auto",
        n_superfluous: int = 40,
        max_epochs: int = 10,
        coef_max_epochs: int = 10,
        lr: float = 3e-3,
        coef_lr: float = 0.05,
        lr_schedule: Any = "cosine",
        coef_l1: float = 0.0,
        coef_weight_decay: float = 0.0,
        batch_size: int = 128,
        optimizer: Any = "adam",
        on_known_task: str = "error",
        task_column: int | str | None = None,
        n_outputs: int | None = None,
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.module = module
        self.hidden_layer_sizes = hidden_layer_sizes
        self.module_params = module_params
        self.input_shape = input_shape
        self.input_scale = input_scale
        self.n_impressions = n_impressions
        self.impressions = impressions
        self.new_task = new_task
        self.max_impressions = max_impressions
        self.mask_tolerance = mask_tolerance
        self.validation_fraction = validation_fraction
        self.mask_mode = mask_mode
        self.density = density
        self.density_allocation = density_allocation
        self.density_budget = density_budget
        self.coef_scope = coef_scope
        self.dedicated_output = dedicated_output
        self.task_inference = task_inference
        self.n_superfluous = n_superfluous
        self.max_epochs = max_epochs
        self.coef_max_epochs = coef_max_epochs
        self.lr = lr
        self.coef_lr = coef_lr
        self.lr_schedule = lr_schedule
        self.coef_l1 = coef_l1
        self.coef_weight_decay = coef_weight_decay
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.on_known_task = on_known_task
        self.task_column = task_column
        self.n_outputs = n_outputs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- learning -----------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        task: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> ImpressLearnClassifier:
        """Forget all tasks and learn those of the rows, in order of appearance.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Training rows or images; a data frame with ``task_column``.
        y : array-like of shape (n,)
            Labels.
        task : str, int or array-like of shape (n,), default=None
            Name of the task, or of each row's. None is one task, named 0.
        sample_weight : array-like of shape (n,), default=None
            Weights >= 0 of the rows in the loss.

        Returns
        -------
        self : ImpressLearnClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are not valid, or a training diverges; then the
            estimator is what it was before.
        """
        self._validate_params()
        with self._all_or_nothing():
            self._forget()
            self._learn_all(X, y, task, sample_weight, classes=None)
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        task: Any = None,
    ) -> ImpressLearnClassifier:
        """Learn further tasks; a task that is known goes on.

        A call is a task, not a batch: all rows of a task belong into one call. The
        mask that the first one learns is frozen, and later rows of that task move
        coefficients only, which hardly learns; with one mask there is a warning.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, H, W) or (n, H, W, C)
            Training rows or images.
        y : array-like of shape (n,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels of the task that will ever come; None takes those of ``y``.
        sample_weight : array-like of shape (n,), default=None
            Weights >= 0 of the rows in the loss.
        task : str, int or array-like of shape (n,), default=None
            Name of the task, or of each row's. None is the task named 0.

        Returns
        -------
        self : ImpressLearnClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If data are not valid, a task has more classes than the output layer, or it
            is known and has a mask of its own (see ``on_known_task``); then the
            estimator is what it was before.
        """
        self._validate_params()
        with self._all_or_nothing():
            self._learn_all(X, y, task, sample_weight, classes)
        return self

    def remove_task(self, name: Any) -> ImpressLearnClassifier:
        """Forget a task; the others stay as they are.

        Masks that no task has or combines any more are deleted too.

        Parameters
        ----------
        name : str or int
            Task.

        Returns
        -------
        self : ImpressLearnClassifier
            Without it.

        Raises
        ------
        ValueError
            If there is no such task, or no other.
        """
        check_is_fitted(self)
        task = self._tasks[self._position(name)]
        if len(self._tasks) == 1:
            raise ValueError(
                f"{name!r} is the only task; an estimator has one at least. Use fit to "
                "start anew."
            )
        tasks, masks = without_task(
            self._tasks,
            self.impressions_,
            task.name,
            keeps_all=self.impressions != "heterogeneous",
        )
        self._publish(tasks, masks)
        return self

    def _learn_all(self, X, y, task, sample_weight, classes) -> None:
        is_first = not self.__sklearn_is_fitted__()
        X, y, task = checked_rows(self, X, y, task, reset=is_first)
        if not is_first:
            self._check_unchanged()
        weight = None if sample_weight is None else sample_weights(sample_weight, X)
        rows = rows_by_task(tasks_of_rows(task, len(X), 0))
        if classes is not None:
            classes = unique_labels(classes)
        labels = {name: _labels_of(y[index], classes) for name, index in rows.items()}
        if is_first:
            self._start(max(map(len, labels.values())), X[:1])
        self._check_bound()
        for name, index in rows.items():
            whole = len(rows) == 1
            part = X if whole else X[index]
            own = weight if weight is None or whole else weight[index]
            if own is not None and not own.any():
                raise ValueError(
                    "sample_weight must be above 0 for one row of each task or more. "
                    f"Got zeros only for task {name!r}."
                )
            refines = self.on_known_task == "refine" or task is None
            self._learn(name, part, y[index], own, labels[name], refines)

    def _check_unchanged(self) -> None:
        """Refuse parameters that would change what earlier tasks predict."""
        for name, before in self._built_with.items():
            now = getattr(self, name)
            if not is_same(now, before):
                raise ValueError(
                    f"{name} cannot change once tasks are learned: it makes the "
                    f"network that they share. Got {now!r} after {before!r}; fit "
                    "starts anew."
                )

    def _check_bound(self) -> None:
        bound = self.max_impressions
        if bound is not None and bound < self.n_impressions:
            raise ValueError(
                f"max_impressions must be at least n_impressions={self.n_impressions}. "
                f"Got {self.max_impressions} instead."
            )

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        for name in _PRIVATE:
            self.__dict__.pop(name, None)

    @property
    def _n_logits(self) -> int:
        return self.n_outputs_ + int(self._built_with["n_superfluous"])

    def _check_backbone(self, first_row: np.ndarray) -> None:
        """Send a row through the network before anything is learned."""
        module = self._backbone.clone()
        layers = self._backbone.layers(module)
        set_weights(layers, self._backbone.weights)
        row = self._runner.net.prepare(as_tensor(first_row))
        n_logits, ran = self._n_logits, []
        for layer in layers:
            layer.register_forward_hook(lambda layer, *_: ran.append(layer))
        try:
            check_module(module, row, n_logits)
        except ValueError as error:
            if "must return logits" not in str(error):
                raise
            raise ValueError(
                f"module must return {n_logits} logits, n_outputs={self.n_outputs_} "
                f"for classes and n_superfluous={self.n_superfluous} for none: {error}"
            ) from error
        if self.dedicated_output and (len(layers) < 2 or ran[-1] is not layers[-1]):
            raise ValueError(
                "dedicated_output needs a hidden layer, and the output layer as the "
                "last layer that the module registers. Its layers are "
                f"{self._backbone.names}."
            )

    def _start(self, n_classes: int, first_row: np.ndarray) -> None:
        """Make the frozen network."""
        self._built_with = {name: copy.copy(getattr(self, name)) for name in _FIXED}
        self._built_with["module"] = self.module
        self.n_outputs_ = n_classes if self.n_outputs is None else int(self.n_outputs)
        self._seed = draw_seed(self.random_state)
        self.backbone_seed_ = draw_seed(np.random.RandomState(self._seed))
        self._n_learned, self._tasks, self.impressions_ = 0, [], []
        self._make_backbone()
        self._check_backbone(first_row)
        self.backbone_checksum_ = self._backbone.checksum()

    def _make_backbone(
        self, state: Mapping[str, np.ndarray] | None = None, *, is_loading: bool = False
    ) -> None:
        built = self._built_with
        self._backbone = make_backbone(
            built["module"],
            torch_shape(self.input_shape_),
            self._n_logits,
            check_sequence("hidden_layer_sizes", built["hidden_layer_sizes"]),
            built["module_params"],
            self.backbone_seed_,
            state,
        )
        scale = built["input_scale"]
        device = _usable(self.device) if is_loading else resolve_device(self.device)
        self._backbone.to(device)
        self._runner = Runner(
            self._backbone,
            self.input_shape_,
            None if scale is None else float(scale),
            self.batch_size,
            device,
        )

    def _learn(self, name, X, y, weight, labels, refines) -> None:
        """Learn one task and publish it."""
        known = [task for task in self._tasks if task.name == name]
        learner = Learner(self._backbone, self, self._seed, self._runner.net.device)
        before = known[0].classes if known else labels
        labels = np.concatenate([before, labels[~np.isin(labels, before)]])
        for other in self._tasks[:1] + known:
            # One array for all tasks with the same classes.
            is_same_kind = other.classes.dtype == labels.dtype
            if is_same_kind and np.array_equal(other.classes, labels):
                labels = other.classes
        if len(labels) > self.n_outputs_:
            raise ValueError(
                f"Task {name!r} has {len(labels)} classes, more than the output layer "
                f"of this estimator, {self.n_outputs_}, which is frozen: fit anew with "
                f"n_outputs={len(labels)} or more."
            )
        self._check_labels(labels)
        order = np.argsort(labels, kind="stable")
        codes = order[np.searchsorted(labels, y, sorter=order)].astype(np.int64)
        rows = Rows(X, codes, weight)
        masks = self.impressions_
        if known:
            before = replace(known[0], classes=labels)
            task, learned = go_on(learner, before, rows, masks, refines=refines)
            tasks = [task if one is known[0] else one for one in self._tasks]
        else:
            new = Task(name, labels, position=self._n_learned)
            task, masks, learned = add_task(learner, new, rows, masks)
            tasks = [*self._tasks, task]
            self._n_learned += 1
        self._keep(learned, task, tasks, masks)

    def _check_labels(self, labels: np.ndarray) -> None:
        if self._tasks:
            before = self._tasks[0].classes
            if (before.dtype.kind in "OUS") != (labels.dtype.kind in "OUS"):
                raise ValueError(
                    "y must hold labels of one kind in all tasks. Got "
                    f"{labels[:3].tolist()} after {before[:3].tolist()}."
                )

    def _keep(self, learned, task, tasks, masks) -> None:
        self._publish(tasks, masks)
        self.net_ = learned.net
        # The network of the task, without scores and tables that trained it.
        self.net_.module_ = self._runner.module(task, masks)
        self.net_.module = self.net_.module_
        self.net_.optimizer_ = None
        self.net_.penalty = None

    def _publish(self, tasks: list[Task], masks: list) -> None:
        """Set the attributes that tell of tasks and masks."""
        n_layers = len(self._backbone.weights)
        self._tasks = tasks
        self.impressions_ = masks
        self.n_impressions_ = len(masks)
        self.tasks_ = [task.name for task in tasks]
        self.task_classes_ = {task.name: task.classes for task in tasks}
        self.task_kinds_ = {task.name: task.kind for task in tasks}
        self.task_scores_ = {task.name: task.scores for task in tasks if task.scores}
        self.loss_curves_ = {task.name: task.loss_curve for task in tasks}
        self.classes_ = np.unique(np.concatenate([task.classes for task in tasks]))
        self.mask_shapes_ = self._backbone.shapes
        self.density_ = kept_fractions(masks, self.mask_shapes_)
        for array in (*(t.classes for t in tasks), *(b for m in masks for b in m)):
            array.flags.writeable = False  # what a user changes, tasks would predict
        self.coef_ = np.stack(
            [task.coefficients(n_layers, len(masks)) for task in tasks]
        )

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Put the estimator back to what it was when a block raises."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def __sklearn_is_fitted__(self) -> bool:
        return bool(getattr(self, "tasks_", None))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # -- storing ------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("_runner", "net_", *_PUBLISHED):
            state.pop(name, None)
        backbone = state.pop("_backbone", None)
        if backbone is not None and not _is_by_name(self._built_with["module"]):
            state["_own_state"] = own_state(backbone)
        state["_format_version"] = _FORMAT_VERSION
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop("_format_version", _FORMAT_VERSION)
        if version > _FORMAT_VERSION:
            raise ValueError(
                f"This ImpressLearnClassifier was stored in format {version}, newer "
                f"than {_FORMAT_VERSION}, which this version of sklvyso reads: upgrade "
                "sklvyso."
            )
        own = state.pop("_own_state", None)
        super().__setstate__(state)
        if not state.get("_tasks"):
            return
        self._make_backbone(own, is_loading=True)
        self._publish(self._tasks, self.impressions_)
        checksum = self._backbone.checksum()
        if checksum != self.backbone_checksum_:
            raise ValueError(
                "The frozen weights could not be rebuilt from backbone_seed_: their "
                f"checksum is {checksum} instead of {self.backbone_checksum_}. Was the "
                "estimator stored by another version of sklvyso?"
            )


def _is_by_name(module: Any) -> bool:
    return module is None or isinstance(module, str)


def _usable(device: Any) -> str:
    """Return a device, or the CPU where it is not there: a pickle may have moved."""
    try:
        return resolve_device(device)
    except ValueError:
        return "cpu"


def _labels_of(y: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """Return the labels of a task, sorted."""
    found = unique_labels(y)
    if classes is None:
        return found
    try:
        foreign = found[~np.isin(found, classes)]
    except TypeError as error:
        raise TypeError(
            f"y must hold labels of the kind of classes={classes.tolist()}: {error}"
        ) from error
    if len(foreign):
        raise ValueError(
            f"classes must hold all labels of y. Got {classes.tolist()}, but y has "
            f"{foreign.tolist()} too."
        )
    return classes
