"""The last stage: labels acquired on frozen vectors train a whole model."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.preprocessing import MaxAbsScaler, Normalizer, StandardScaler

from sklvyso.active_learning._backbone import find_model, fingerprint_folder
from sklvyso.active_learning._encoder import PretrainedTextEncoder
from sklvyso.active_learning._finetune import TransformerTextClassifier
from sklvyso.active_learning._vectors import talking_clone


def check_probe_parts(encoder: Any, estimator: Any) -> None:
    """Raise unless an estimator may start as a classifier of an encoder's vectors.

    Parameters
    ----------
    encoder : PretrainedTextEncoder
        As the user gave it.
    estimator : TransformerTextClassifier
        The final estimator.

    Raises
    ------
    ValueError
        If they are of another kind, or of different models.
    """
    if not isinstance(estimator, TransformerTextClassifier):
        raise ValueError(
            "lp_ft=True needs a TransformerTextClassifier as final_estimator. Got "
            f"{type(estimator).__name__} instead."
        )
    if not isinstance(encoder, PretrainedTextEncoder):
        raise ValueError(
            "lp_ft=True needs a PretrainedTextEncoder as encoder. Got "
            f"{type(encoder).__name__} instead."
        )
    if not _is_same_model(encoder, estimator):
        raise ValueError(
            "lp_ft=True needs one model for encoder and final_estimator: a head fits "
            f"to the vectors of its own model only. Got {encoder.model!r} and "
            f"{estimator.model!r}."
        )


def check_refreshing_parts(encoder: Any, final_estimator: Any) -> None:
    """Raise unless a recipe can fine-tune an encoder.

    Raises
    ------
    ValueError
        If one of the two is of another kind.
    """
    is_known = isinstance(final_estimator, TransformerTextClassifier)
    if not is_known or not isinstance(encoder, PretrainedTextEncoder):
        raise ValueError(
            "refresh_every needs a PretrainedTextEncoder as encoder and a "
            "TransformerTextClassifier as final_estimator. Got "
            f"{type(encoder).__name__} and {type(final_estimator).__name__} instead."
        )


def _is_same_model(encoder: Any, estimator: Any) -> bool:
    models = encoder.model, estimator.model
    if any(model is None or callable(model) for model in models):
        return models[0] is models[1]
    folders = [
        find_model(
            each.model, revision=each.revision, local_files_only=each.local_files_only
        )
        for each in (encoder, estimator)
    ]
    if folders[0].resolve() == folders[1].resolve():
        return True
    return fingerprint_folder(folders[0]) == fingerprint_folder(folders[1])


def with_probe_head(
    estimator: Any, given: Any, encoder: Any, scaler: Any, classifier: Any
) -> TransformerTextClassifier:
    """Return a classifier of texts that starts as the light classifier.

    Parameters
    ----------
    estimator : TransformerTextClassifier
        The prototype, already cloned; changed in place.
    given : PretrainedTextEncoder
        The encoder as the user gave it.
    encoder : PretrainedTextEncoder
        What made the vectors; its model is another one where it was refreshed.
    scaler : transformer or None
        What came between vectors and classifier.
    classifier : fitted linear classifier
        With ``coef_`` and ``intercept_``.

    Returns
    -------
    estimator : TransformerTextClassifier
        With the encoder's pooling and the classifier's weights.

    Raises
    ------
    ValueError
        If the classifier is not linear.
    """
    if not hasattr(classifier, "coef_"):
        raise ValueError(
            "lp_ft=True needs a linear classifier, fitted on two classes or more. Got "
            f"{type(classifier).__name__}, which has no coef_."
        )
    if encoder.model is not given.model and encoder.model != given.model:
        estimator.set_params(model=encoder.model, tokenizer=None)
    coef = np.array(classifier.coef_, dtype=np.float64)
    intercept = np.array(classifier.intercept_, dtype=np.float64)
    normalize = encoder.normalize
    if isinstance(scaler, Normalizer):
        normalize = True
    elif isinstance(scaler, StandardScaler):
        coef = coef / scaler.scale_
        intercept = intercept - coef @ scaler.mean_
    elif isinstance(scaler, MaxAbsScaler):
        coef = coef / scaler.scale_
    return estimator.set_params(
        init_head=(coef, intercept),
        head="linear",
        normalize=normalize,
        pooling=encoder.pooling,
        layer=encoder.layer,
        max_length=encoder.max_length,
    )


class TunedModel:
    """A tokenizer and a module in memory, as an encoder takes them.

    Parameters
    ----------
    tokenizer : tokenizer
        Of the model.
    module : torch.nn.Module
        Fine-tuned.
    """

    def __init__(self, tokenizer: Any, module: Any):
        self.tokenizer = tokenizer
        self.module = module

    def __call__(self) -> tuple[Any, Any]:
        """Return both."""
        return self.tokenizer, self.module

    def __sklearn_clone__(self) -> "TunedModel":
        # scikit-learn copies parameters; 90 MB need not be.
        return self


def refreshed_encoder(
    encoder: Any,
    final_estimator: Any,
    texts: list,
    y: np.ndarray,
    seed: int,
    verbose: int = 0,
) -> PretrainedTextEncoder:
    """Return an encoder with a language model that was fine-tuned on labels.

    Parameters
    ----------
    encoder : PretrainedTextEncoder
        Gives pooling, layer and length.
    final_estimator : TransformerTextClassifier
        The recipe.
    texts : list
        Labelled texts.
    y : ndarray of shape (n,)
        Their labels.
    seed : int
        Where the recipe has no random_state.
    verbose : int, default=0
        Where the recipe's is 0.

    Returns
    -------
    encoder : PretrainedTextEncoder
        Fitted; it keeps no cache on disk.
    """
    recipe = talking_clone(final_estimator, verbose).set_params(
        head="linear", pooling=encoder.pooling, layer=encoder.layer
    )
    if recipe.random_state is None:
        recipe.set_params(random_state=seed)
    fitted = recipe.fit(texts, y)
    model = TunedModel(fitted.tokenizer_, fitted.module_.language_model)
    fresh = clone(encoder).set_params(model=model, tokenizer=None, cache_dir=None)
    return fresh.fit(texts)
