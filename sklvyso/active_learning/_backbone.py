"""Pretrained language models: where they lie, what they are, how they are run."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from numbers import Integral
from pathlib import Path
from typing import Any

import torch

from sklvyso._optional import import_optional
from sklvyso.active_learning._pooling import POOLINGS, pool_tokens
from sklvyso.active_learning._tokens import PADDING

# What a folder of a model may hold that changes its output.
_WEIGHTS = ("*.safetensors", "*.bin")
_SETTINGS = ("*.json", "*.txt", "*.model", "*.jinja")
_NOT_SETTINGS = {"README.md", "trainer_state.json", "training_args.json"}
_CHUNK = 2**20


def find_model(
    model: str | os.PathLike, *, revision: str | None, local_files_only: bool
) -> Path:
    """Return the folder of a model, downloaded if that is allowed.

    Parameters
    ----------
    model : str or path-like
        A folder, or the name of a model of the Hugging Face hub.
    revision : str or None
        Branch, tag or commit of the hub.
    local_files_only : bool
        Whether a hub model must be on this machine already.

    Returns
    -------
    folder : Path
        With ``config.json`` in it.

    Raises
    ------
    OSError
        If it is not there.
    """
    folder = Path(os.path.expanduser(model))
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise OSError(
                f"model must be a folder with a config.json, as save_pretrained writes "
                f"it. There is none in {folder}."
            )
        return folder
    name = str(model)
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    if looks_like_path or not name.strip():
        raise OSError(f"model was not found: there is no folder {name!r}.")
    hub = import_optional("huggingface_hub", extra="text", caller="A model by its name")
    try:
        return Path(
            hub.snapshot_download(
                name,
                revision=revision,
                local_files_only=local_files_only,
                allow_patterns=[*_SETTINGS, *_WEIGHTS],
            )
        )
    except Exception as error:  # the hub has many, of several libraries
        downloads = (
            "downloads are off (local_files_only=True): pass the path of a folder, "
            "download the model once with local_files_only=False"
            if local_files_only
            else "the download failed"
        )
        raise OSError(
            f"model {name!r} was not found: there is no such folder in {Path.cwd()}, "
            f"and it is not in the cache of the Hugging Face hub; {downloads}. "
            f"({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error


class Backbone:
    """A tokenizer, a module without head, and what is to be known of them.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Makes token numbers.
    module : torch.nn.Module
        A transformers model that returns states of tokens.
    """

    def __init__(self, tokenizer: Any, module: torch.nn.Module):
        self.tokenizer = tokenizer
        self.module = module
        self.config = module.config
        padding = getattr(tokenizer, "pad_token_id", None)
        self.pad_id = 0 if padding is None else int(padding)
        names = getattr(tokenizer, "model_input_names", ())
        self.takes_types = "token_type_ids" in names

    @property
    def n_layers(self) -> int:
        """Number of layers above the embeddings."""
        return int(self.config.num_hidden_layers)

    @property
    def width(self) -> int:
        """Length of a state."""
        return int(self.config.hidden_size)

    def longest(self) -> int:
        """Most tokens that the model takes; a large number where there is no limit."""
        limits = [getattr(self.tokenizer, "model_max_length", None)]
        positions = getattr(self.config, "max_position_embeddings", None)
        if positions is not None and self.config.model_type in _OFFSET_POSITIONS:
            positions -= self.pad_id + 1
        limits.append(positions)
        known = [int(limit) for limit in limits if limit and limit > 0]
        return min([*known, 10**9])

    def states(self, tokens: torch.Tensor, layer: int | tuple[int, ...], pooling: str):
        """Return pooled states of a batch, shape (n, d).

        Parameters
        ----------
        tokens : int tensor of shape (n, 2, n_tokens)
            As :func:`~sklvyso.active_learning._tokens.pad` makes them.
        layer : int or tuple of int
            Position in the hidden states, from 0 for the embeddings; several are
            averaged.
        pooling : {"mean", "cls", "max", "last", "pooler"}
            How tokens become one vector.
        """
        mask = tokens[:, 0] != PADDING
        output = self.module(
            **self.inputs(tokens, mask), output_hidden_states=layer != -1
        )
        if pooling == "pooler":
            return output.pooler_output
        if layer == -1:
            return pool_tokens(output.last_hidden_state, mask, pooling)
        layers = (layer,) if isinstance(layer, int) else layer
        chosen = [output.hidden_states[i] for i in layers]
        return pool_tokens(torch.stack(chosen).mean(dim=0), mask, pooling)

    def inputs(self, tokens: torch.Tensor, mask: torch.Tensor) -> dict:
        """Return the keyword arguments of the module for a batch."""
        ids = tokens[:, 0].long()
        inputs = {
            "input_ids": ids.masked_fill(~mask, self.pad_id),
            "attention_mask": mask.long(),
        }
        if self.takes_types:
            inputs["token_type_ids"] = tokens[:, 1].long()
        return inputs

    def check_output(self, pooling: str, layer: int | tuple[int, ...]) -> None:
        """Refuse a pooling or a layer that this model does not have.

        Raises
        ------
        ValueError
            If it has no such layer, or no pooler.
        """
        layers = (layer,) if isinstance(layer, int) else tuple(layer)
        n_states = self.n_layers + 1
        if not layers or not all(-n_states <= i < n_states for i in layers):
            raise ValueError(
                f"layer must lie in [{-n_states}, {n_states - 1}] for this model of "
                f"{self.n_layers} layers (0 for the embeddings, -1 for the last one). "
                f"Got {layer!r} instead."
            )
        if pooling != "pooler":
            return
        if getattr(self.module, "pooler", None) is None:
            raise ValueError(
                "pooling='pooler' needs a model with a pooler, as BERT has it. Got "
                f"{type(self.module).__name__}, which has none: use one of "
                f"{sorted(POOLINGS)}."
            )
        if layer != -1:
            raise ValueError(
                f"layer must be -1 with pooling='pooler'. Got {layer!r} instead."
            )


# Their positions start after the number of the padding token.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "mpnet"}


def load_backbone(
    model: Any,
    *,
    tokenizer: Any = None,
    revision: str | None = None,
    local_files_only: bool = True,
    trust_remote_code: bool = False,
    caller: str,
) -> Backbone:
    """Load tokenizer and module.

    Parameters
    ----------
    model : str, path-like or callable
        Folder, hub name, or a callable that returns ``(tokenizer, module)``.
    tokenizer : str, path-like, tokenizer or None, default=None
        Another tokenizer than the one of the model.
    revision, local_files_only, trust_remote_code
        As for transformers' ``from_pretrained``.
    caller : str
        Who needs it, for error messages.

    Returns
    -------
    backbone : Backbone
        With a module in evaluation mode, unless it came from a callable.

    Raises
    ------
    ImportError
        If transformers is not installed.
    OSError
        If the model is not there.
    TypeError
        If a callable returns something else.
    """
    if callable(model):
        return Backbone(*_from_callable(model, tokenizer))
    transformers = import_optional("transformers", extra="text", caller=caller)
    folder = find_model(model, revision=revision, local_files_only=local_files_only)
    options = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    with quiet_loading(transformers):
        tokenizer = load_tokenizer(tokenizer, folder, local_files_only, options)
        module = transformers.AutoModel.from_pretrained(
            str(folder), dtype=torch.float32, **options
        )
    return Backbone(tokenizer, module.eval())


def load_tokenizer(
    tokenizer: Any, folder: Path, local_files_only: bool, options: dict
) -> Any:
    """Return a tokenizer: the one given, that of another place, or the model's own.

    Parameters
    ----------
    tokenizer : tokenizer, str, path-like or None
        What the user gave.
    folder : Path
        Of the model.
    local_files_only : bool
        Whether downloads are off.
    options : dict
        Of ``from_pretrained``.
    """
    if tokenizer is not None and not isinstance(tokenizer, str | os.PathLike):
        return tokenizer
    transformers = import_optional("transformers", extra="text", caller="A tokenizer")
    if tokenizer is not None:
        folder = find_model(tokenizer, revision=None, local_files_only=local_files_only)
    return transformers.AutoTokenizer.from_pretrained(str(folder), **options)


def resolve_layers(layer: Any) -> int | tuple[int, ...]:
    """Return the layers that a user names as an integer or a tuple of integers.

    Raises
    ------
    ValueError
        If something else is among them.
    """
    layers = (layer,) if isinstance(layer, Integral) else tuple(layer)
    if any(not isinstance(i, Integral) or isinstance(i, bool) for i in layers):
        raise ValueError(
            f"layer must be an integer, or a tuple of them. Got {layer!r} instead."
        )
    return int(layer) if isinstance(layer, Integral) else tuple(int(i) for i in layer)


def resolve_max_length(max_length: int | None, backbone: Backbone) -> int:
    """Return the length at which texts are cut, the limit of the model at most.

    Parameters
    ----------
    max_length : int or None
        What the user asked for; None for the limit.
    backbone : Backbone
        Knows what the model takes.
    """
    longest = backbone.longest()
    return longest if max_length is None else min(int(max_length), longest)


def _from_callable(model: Callable, tokenizer: Any) -> tuple[Any, torch.nn.Module]:
    made = model()
    is_pair = isinstance(made, tuple | list) and len(made) == 2
    if not is_pair or not isinstance(made[1], torch.nn.Module) or not callable(made[0]):
        raise TypeError(
            "model must return a pair of tokenizer and torch module when it is a "
            f"callable. It returned {made!r:.200}."
        )
    if not hasattr(made[1], "config"):
        raise TypeError(
            "model must return a transformers model, which has a config. It returned a "
            f"{type(made[1]).__name__} without."
        )
    return (made[0] if tokenizer is None else tokenizer), made[1]


@contextlib.contextmanager
def quiet_loading(transformers: Any) -> Iterator[None]:
    """Load models without bars and advice, then go back to what the user chose."""
    log = transformers.utils.logging
    level, shows_bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if shows_bars:
            log.enable_progress_bar()


@contextlib.contextmanager
def in_evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    """Run a block with dropout off; each part goes back to its own mode."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def fingerprint_folder(folder: Path) -> str:
    """Return a digest of everything in a folder that decides a model's output.

    Parameters
    ----------
    folder : Path
        Of a model: weights, configuration, tokenizer.

    Returns
    -------
    digest : str
        Of names and contents; the place of the folder and times of files do not count.
    """
    patterns = (*_WEIGHTS, *_SETTINGS)
    files = {file for pattern in patterns for file in folder.glob(pattern)}
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        if file.name in _NOT_SETTINGS:
            continue
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with open(file, "rb") as stream:
            while block := stream.read(_CHUNK):
                digest.update(block)
    return digest.hexdigest()


def fingerprint_backbone(backbone: Backbone) -> str:
    """Return a digest of the weights, configuration and vocabulary in memory."""
    digest = hashlib.sha256(type(backbone.module).__qualname__.encode())
    for name, value in backbone.module.state_dict().items():
        array = value.detach().cpu().contiguous()
        digest.update(f"{name}{array.dtype}{tuple(array.shape)}".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy())
    config = backbone.config.to_dict()
    for irrelevant in ("_name_or_path", "transformers_version"):
        config.pop(irrelevant, None)
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    digest.update(_vocabulary(backbone.tokenizer).encode())
    return digest.hexdigest()


def _vocabulary(tokenizer: Any) -> str:
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is not None:
        return fast.to_str()
    if hasattr(tokenizer, "get_vocab"):
        return json.dumps(sorted(tokenizer.get_vocab().items()))
    return repr(tokenizer)
