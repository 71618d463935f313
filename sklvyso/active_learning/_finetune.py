"""Fine-tune a pretrained language model on labelled texts.

Mosbach, Andriushchenko, Klakow, "On the Stability of Fine-tuning BERT", ICLR 2021.
"""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklvyso._compat import Interval, StrOptions
from sklvyso._optional import import_optional
from sklvyso.active_learning._backbone import (
    Backbone,
    find_model,
    load_tokenizer,
    quiet_loading,
    resolve_max_length,
)
from sklvyso.active_learning._labels import plain_labels, split_labels
from sklvyso.active_learning._language_model import LanguageModelEstimator
from sklvyso.active_learning._stored_tokenizer import (
    pack_tokenizer,
    unpack_tokenizer,
)
from sklvyso.active_learning._text_net import (
    ClipGradient,
    PretrainedHeadModule,
    TextModule,
    TextNet,
    WarmUpAndDecay,
    freeze,
    ordered_logits,
    set_head,
)
from sklvyso.active_learning._texts import Text, as_texts
from sklvyso.active_learning._tokens import TokenRows, pad, tokenize
from sklvyso.networks import (
    TensorRows,
    class_weights,
    draw_seed,
    encode,
    module_net,
    resolve_device,
    sample_weights,
    split_off,
    torch_seed,
    train_net,
)

# Texts that are padded to one array at a time in prediction.
_CHUNK = 4096


class TransformerTextClassifier(ClassifierMixin, LanguageModelEstimator):
    """Pretrained transformer, fine-tuned on labelled texts.

    The whole language model is trained, with a linear head on its pooled states. The
    default recipe is that of the literature for few labels [1]_: AdamW, a linear
    warm-up over the first tenth of the steps and a linear decay, gradients clipped at
    norm 1, no fewer than 200 steps. The fitted skorch net is ``net_``.

    - Texts are a list, array or Series of str; pairs are two-tuples, an (n, 2) array or
      a data frame of two columns. Labels may be of any kind.
    - Batches hold texts of similar length and are padded to the longest of them.
    - The same ``random_state`` gives the same weights, bit for bit on the CPU; torch's
      and NumPy's global generators stay as they are.

    .. versionadded:: 0.1

    Parameters
    ----------
    model : str, path-like or callable, default=None
        Folder of a model of transformers (as ``save_pretrained`` writes it), name of a
        model of the Hugging Face hub, or a callable without arguments that returns
        ``(tokenizer, module)``.
    tokenizer : str, path-like or tokenizer, default=None
        Another tokenizer than the one of the model.
    pooling : {"mean", "cls", "max", "last", "pooler"}, default="mean"
        What the head sees of the states of the tokens: their mean, the first, the
        largest of each feature, the last, or the model's own pooler.
    layer : int or tuple of int, default=-1
        Whose states: -1 is the last layer, 0 the embeddings; several are averaged.
    normalize : bool, default=False
        Whether the head sees vectors of length 1. For heads that come from a classifier
        of normalised vectors.
    head : {"linear", "pretrained"}, default="linear"
        ``"pretrained"`` takes transformers' ``AutoModelForSequenceClassification`` with
        its own head; pooling, layer, normalize and dropout do not count then.
    init_head : tuple of two arrays, default=None
        ``(coef, intercept)`` of a linear classifier of the same pooled vectors, with
        which the head begins [2]_. None draws small random weights.
    text_columns : str, int or sequence of two of them, default=None
        Columns of a table that hold the texts. None takes all of them.
    max_length : int, default=128
        Longest text in tokens; the rest is cut off. None, like any larger number, is
        the limit of the model.
    lr : float, default=5e-5
        Largest learning rate, > 0. Base-size models take 2e-5.
    weight_decay : float, default=0.01
        Of matrices; biases and layer norms do not decay.
    max_epochs : int, default=3
        Passes over the training texts.
    min_steps : int, default=200
        Fewest steps: where the texts are few, more epochs are made.
    batch_size : int, default=16
        Texts of a step.
    warmup_ratio : float, default=0.1
        Part of the steps in which the rate rises, in [0, 1].
    max_grad_norm : float, default=1.0
        Norm at which gradients are clipped; None does not clip.
    dropout : float, default=0.1
        Dropout before the head, in [0, 1).
    freeze_embeddings : bool, default=False
        Keep the table of words as it is. In small models it holds half of all weights,
        and steps take less time.
    freeze_layers : int, default=0
        Lowest layers that are kept as they are, together with all embeddings.
    class_weight : dict or "balanced", default=None
        Weights of the classes in the loss, by label.
    early_stopping : bool, default=False
        Hold out a stratified part of the texts, stop when its loss has not fallen for
        ``patience`` epochs, and go back to the best epoch.
    validation_fraction : float, default=0.1
        The part held out, in (0, 1).
    patience : int, default=3
        Epochs without improvement before stopping.
    precision : {"float32", "bf16", "fp16"}, default="float32"
        Autocast type on a GPU. The CPU computes in float32 always.
    device : str or torch.device, default="auto"
        ``"auto"`` is the GPU when there is one.
    local_files_only : bool, default=True
        Whether a model of the hub must be on this machine already. False downloads it.
    revision : str, default=None
        Branch, tag or commit of the hub.
    trust_remote_code : bool, default=False
        Whether code of the model's folder may run.
    random_state : int, RandomState instance or None, default=None
        Seeds head, order of texts, dropout and the validation split.
    verbose : int, default=0
        1 shows one progress bar on standard error, 0 nothing.

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The fitted net.
    module_ : torch.nn.Module
        The fitted module, ``net_.module_``; the language model is
        ``module_.language_model``.
    tokenizer_ : tokenizer
        What makes tokens of texts.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    n_iter_ : int
        Epochs run.
    n_steps_ : int
        Steps that were planned.
    best_epoch_ : int
        With early stopping, the epoch that was gone back to, from 1.
    n_truncated_ : int
        Training texts that were cut at ``max_length``.
    history_ : list of dict
        One entry an epoch: ``train_loss``, seconds ``dur``, and with early stopping
        ``valid_loss`` and ``valid_acc``.

    See Also
    --------
    PretrainedTextEncoder : The states of a frozen model, computed once.
    PretrainedActiveLearner : Chooses the texts to label; its last stage may be this.

    Notes
    -----
    A single class in ``y`` is learned without training: it is predicted always.

    References
    ----------
    .. [1] Mosbach, Andriushchenko, Klakow, "On the Stability of Fine-tuning BERT:
       Misconceptions, Explanations, and Strong Baselines", ICLR 2021.
    .. [2] Kumar, Raghunathan, Jones, Ma, Liang, "Fine-Tuning can Distort Pretrained
       Features and Underperform Out-of-Distribution", ICLR 2022.

    Examples
    --------
    >>> from sklvyso import TransformerTextClassifier
    >>> texts = ["a fine film", "dull and long", "moving", "a waste of time"]
    >>> labels = ["good", "bad", "good", "bad"]
    >>> classifier = TransformerTextClassifier(
    ...     "path/to/all-MiniLM-L6-v2", random_state=0
    ... )
    >>> classifier.fit(texts, labels).predict(["a dull waste"])  # doctest: +SKIP
    array(['bad'], dtype='<U4')
    """

    _needed_state = ("classes_", "net_")
    _parameter_constraints: dict[str, list] = {
        **LanguageModelEstimator._parameter_constraints,
        "head": [StrOptions({"linear", "pretrained"})],
        "init_head": [tuple, list, None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "min_steps": [Interval(Integral, 0, None, closed="left")],
        "warmup_ratio": [Interval(Real, 0, 1, closed="both")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "freeze_embeddings": ["boolean"],
        "freeze_layers": [Interval(Integral, 0, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "precision": [StrOptions({"float32", "bf16", "fp16"})],
        "random_state": ["random_state"],
    }

    classes_: np.ndarray
    net_: TextNet | None
    history_: list[dict]

    def __init__(
        self,
        model: Any = None,
        *,
        tokenizer: Any = None,
        pooling: str = "mean",
        layer: int | Sequence[int] = -1,
        normalize: bool = False,
        head: str = "linear",
        init_head: tuple[ArrayLike, ArrayLike] | None = None,
        text_columns: Any = None,
        max_length: int | None = 128,
        lr: float = 5e-5,
        weight_decay: float = 0.01,
        max_epochs: int = 3,
        min_steps: int = 200,
        batch_size: int = 16,
        warmup_ratio: float = 0.1,
        max_grad_norm: float | None = 1.0,
        dropout: float = 0.1,
        freeze_embeddings: bool = False,
        freeze_layers: int = 0,
        class_weight: Mapping[Any, float] | str | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 3,
        precision: str = "float32",
        device: str | torch.device = "auto",
        local_files_only: bool = True,
        revision: str | None = None,
        trust_remote_code: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.layer = layer
        self.normalize = normalize
        self.head = head
        self.init_head = init_head
        self.text_columns = text_columns
        self.max_length = max_length
        self.lr = lr
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.warmup_ratio = warmup_ratio
        self.max_grad_norm = max_grad_norm
        self.dropout = dropout
        self.freeze_embeddings = freeze_embeddings
        self.freeze_layers = freeze_layers
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.precision = precision
        self.device = device
        self.local_files_only = local_files_only
        self.revision = revision
        self.trust_remote_code = trust_remote_code
        self.random_state = random_state
        self.verbose = verbose

    def __getstate__(self):
        state = super().__getstate__()
        if "tokenizer_" in state:
            state["tokenizer_"] = pack_tokenizer(state["tokenizer_"])
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "tokenizer_" in state:
            self.tokenizer_ = unpack_tokenizer(state["tokenizer_"])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> TransformerTextClassifier:
        """Fine-tune the model from its pretrained weights.

        Parameters
        ----------
        X : sequence of n texts or pairs of texts
            Training texts.
        y : array-like of shape (n,)
            Labels: int, str, bool or object.
        sample_weight : array-like of shape (n,), default=None
            Weights >= 0 of the texts in the loss.

        Returns
        -------
        self : TransformerTextClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are not valid, or the training diverges.
        OSError
            If the model is not there.
        """
        self._validate_params()
        texts, codes, weight = self._check_data(X, y, sample_weight)
        for name in ("net_", "best_epoch_", "tokenizer_"):
            self.__dict__.pop(name, None)
        seed = draw_seed(self.random_state)
        if len(self.classes_) == 1:
            return self._predict_always()
        device = resolve_device(self.device)
        with torch_seed(seed, device):
            module = self._new_module(len(self.classes_))
        backbone = module.backbone
        rows = tokenize(backbone.tokenizer, texts, self._longest(backbone))
        net, n_steps = self._new_net(module, len(texts), codes, device)
        best_epoch = self._train(net, rows, codes, weight, seed, n_steps)
        # A pickle would hold the weights three times and the moments of the optimiser,
        # and no training goes on.
        net.optimizer_.state.clear()
        net.optimizer_.param_groups.clear()
        net.module = type(module)
        self.tokenizer_ = backbone.tokenizer
        self.n_steps_ = n_steps
        self.n_truncated_ = int(rows.is_truncated.sum())
        self.history_ = _epochs(net)
        self.n_iter_ = len(self.history_)
        if best_epoch is not None:
            self.best_epoch_ = best_epoch
        self.net_ = net
        return self

    @property
    def module_(self) -> torch.nn.Module:
        """The fitted module."""
        check_is_fitted(self)
        if self.net_ is None:
            raise AttributeError("There is no module: y held a single class.")
        return self.net_.module_

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits.

        Parameters
        ----------
        X : sequence of n texts or pairs of texts
            Texts.

        Returns
        -------
        scores : ndarray of shape (n, n_classes), or (n,) for two classes
            Logits; for two classes the second minus the first.
        """
        check_is_fitted(self)
        logits = self._logits(as_texts(X, self.text_columns))
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : sequence of n texts or pairs of texts
            Texts.

        Returns
        -------
        proba : ndarray of shape (n, n_classes), dtype float32
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        logits = torch.from_numpy(self._logits(as_texts(X, self.text_columns)))
        return torch.softmax(logits, dim=1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Most probable classes.

        Parameters
        ----------
        X : sequence of n texts or pairs of texts
            Texts.

        Returns
        -------
        y : ndarray of shape (n,)
            Labels.
        """
        check_is_fitted(self)
        logits = self._logits(as_texts(X, self.text_columns))
        return self.classes_[logits.argmax(axis=1)]

    # -- the parts of fit ---------------------------------------------------------

    def _check_data(self, X, y, sample_weight):
        self._check_model()
        texts = as_texts(X, self.text_columns)
        if y is None:
            raise ValueError("y must be the labels of the texts. Got None instead.")
        y, is_missing = split_labels(y, np.nan)
        check_consistent_length(texts, y)
        if is_missing.any():
            raise ValueError(
                "y must hold a label for each text. Got a missing one at index "
                f"{int(is_missing.argmax())}."
            )
        y = plain_labels(y.tolist())
        classes = np.unique(y)
        weight = None
        if sample_weight is not None:
            weight = sample_weights(sample_weight, np.empty((len(texts), 1)))
        self.classes_ = classes
        return texts, encode(y, classes), weight

    def _predict_always(self):
        self.net_ = None
        self.history_ = []
        self.n_iter_ = self.n_steps_ = self.n_truncated_ = 0
        return self

    def _new_module(self, n_outputs: int) -> TextModule | PretrainedHeadModule:
        module: TextModule | PretrainedHeadModule
        if self.head == "pretrained":
            module = PretrainedHeadModule(self._with_pretrained_head(n_outputs))
        else:
            backbone = self._load()
            layer = self._layers()
            backbone.check_output(self.pooling, layer)
            module = TextModule(
                _private_copy(backbone, is_shared=callable(self.model)),
                n_outputs,
                pooling=self.pooling,
                layer=layer,
                normalize=self.normalize,
                dropout=self.dropout,
            )
            if self.init_head is not None:
                set_head(module, *self._checked_head())
        freeze(module, embeddings=self.freeze_embeddings, n_layers=self.freeze_layers)
        return module

    def _checked_head(self) -> tuple[np.ndarray, np.ndarray]:
        head: Any = self.init_head
        if len(head) != 2:
            raise ValueError(
                "init_head must be the pair (coef, intercept). Got "
                f"{len(head)} entries instead."
            )
        try:
            coef, intercept = (np.asarray(part, np.float64) for part in head)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"init_head must hold two arrays of numbers. Got {head!r:.100} instead."
            ) from error
        return coef, intercept

    def _with_pretrained_head(self, n_outputs: int) -> Backbone:
        if self.init_head is not None:
            raise ValueError(
                "init_head needs head='linear': the head of "
                "AutoModelForSequenceClassification sees other features. Got "
                "head='pretrained'."
            )
        if callable(self.model):
            backbone = self._load()
            return _private_copy(backbone, is_shared=True)
        transformers = import_optional(
            "transformers", extra="text", caller=type(self).__name__
        )
        options = {
            "local_files_only": True,
            "trust_remote_code": self.trust_remote_code,
        }
        folder = find_model(
            self.model, revision=self.revision, local_files_only=self.local_files_only
        )
        with quiet_loading(transformers):
            tokenizer = load_tokenizer(
                self.tokenizer, folder, self.local_files_only, options
            )
            model = transformers.AutoModelForSequenceClassification.from_pretrained(
                str(folder), num_labels=n_outputs, dtype=torch.float32, **options
            )
        return Backbone(tokenizer, model)

    def _longest(self, backbone: Backbone) -> int:
        return resolve_max_length(self.max_length, backbone)

    def _new_net(self, module, n_texts, codes, device) -> tuple[TextNet, int]:
        n_trained = n_texts
        if self.early_stopping:
            n_trained -= math.ceil(self.validation_fraction * n_texts)
        steps_an_epoch = max(math.ceil(n_trained / self.batch_size), 1)
        n_epochs = max(self.max_epochs, math.ceil(self.min_steps / steps_an_epoch))
        net = module_net(
            module,
            net_class=TextNet,
            input_shape=(2, 1),
            n_outputs=len(self.classes_),
            device=device,
            optimizer=functools.partial(torch.optim.AdamW, fused=True),
            optimizer__param_groups=_without_decay(module),
            weight_decay=self.weight_decay,
            lr=self.lr,
            batch_size=self.batch_size,
            max_epochs=n_epochs,
            precision=self.precision,
            criterion__weight=class_weights(self.class_weight, self.classes_, codes),
        )
        return net, n_epochs * steps_an_epoch

    def _train(self, net, rows: TokenRows, codes, weight, seed, n_steps) -> int | None:
        tokens = pad(rows, range(len(codes)))
        validation = None
        if self.early_stopping:
            data = TensorRows(tokens, codes, weight, device=net.device)
            training, validation = split_off(
                data, codes, weight, self.classes_, self.validation_fraction, seed
            )
            assert training.rows is not None
            kept = training.rows.cpu().numpy()
            tokens, codes = tokens[kept], codes[kept]
            weight = None if weight is None else weight[kept]
        callbacks: dict[str, Any] = {"rate": WarmUpAndDecay(n_steps, self.warmup_ratio)}
        if self.max_grad_norm is not None:
            callbacks["clip"] = ClipGradient(self.max_grad_norm)
        return train_net(
            net,
            tokens,
            codes,
            weight,
            seed=seed,
            validation=validation,
            patience=self.patience,
            callbacks=callbacks,
            verbose=self.verbose,
            description="fine-tune ",
        )

    def _logits(self, texts: list[Text]) -> np.ndarray:
        net = self.net_
        if net is None:
            return np.zeros((len(texts), 1), np.float32)
        logits = np.empty((len(texts), len(self.classes_)), np.float32)
        longest = self._longest(net.module_.backbone)
        for start in range(0, len(texts), _CHUNK):
            some = texts[start : start + _CHUNK]
            rows = tokenize(self.tokenizer_, some, longest)
            tokens = pad(rows, range(len(some)))
            logits[start : start + _CHUNK] = ordered_logits(net, tokens, rows.lengths())
        return logits


def _without_decay(module: torch.nn.Module) -> list[tuple[str, dict]]:
    """Parameter groups of skorch that keep vectors from decaying."""
    return [
        (name, {"weight_decay": 0.0})
        for name, parameter in module.named_parameters()
        if parameter.ndim < 2
    ]


def _private_copy(backbone: Backbone, *, is_shared: bool) -> Backbone:
    """Return a backbone whose module may be trained."""
    if not is_shared:
        return backbone
    return Backbone(backbone.tokenizer, copy.deepcopy(backbone.module))


def _epochs(net: TextNet) -> list[dict]:
    names = ("epoch", "dur", "train_loss", "valid_loss", "valid_acc")
    return [{name: row[name] for name in names if name in row} for row in net.history]
