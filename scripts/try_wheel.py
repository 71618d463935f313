"""Try the installed wheel with one extra: names, a fit, and what each extra brings.

Usage: python try_wheel.py EXTRA ..., in an environment that holds the wheel and these.
"""

import importlib
import sys
import tempfile
from pathlib import Path

import numpy as np

import sklvyso

GIVEN = set(sys.argv[1:])
if "all" in GIVEN:
    GIVEN |= {"text", "plot", "video", "frame", "export", "distributed"}
if "demo" in GIVEN:
    GIVEN |= {"text", "plot"}
FOLDER = Path(tempfile.mkdtemp())


def small_report():
    from sklvyso.sparsity import sparsity_report

    return sparsity_report(*small_network(), (4,))


def small_network():
    from sklvyso.networks import make_network

    module = make_network("mlp", (4,), 3)
    masks = {
        name: np.ones(value.shape, dtype=bool)
        for name, value in module.named_parameters()
        if name.endswith("weight")
    }
    return module, masks


def use_text():
    try:
        sklvyso.PretrainedTextEncoder("no/such-model").fit(["a text"])
    except OSError as error:  # transformers is there and looked for the model
        assert "no/such-model" in str(error), error


def use_plot():
    from sklvyso.plotting import SparsityDisplay

    assert SparsityDisplay.from_report(small_report()).ax_ is not None


def use_video():
    from sklvyso.artifacts import iter_frames

    path = FOLDER / "clip.mp4"
    path.write_bytes(b"no video")
    try:
        next(iter_frames(path))
    except ValueError as error:
        assert "clip.mp4" in str(error), error


def use_frame():
    assert len(small_report().to_frame()) > 0


def use_export():
    from sklvyso.sparsity import export_module, load_masks, save_masks

    module, masks = small_network()
    assert set(load_masks(save_masks(masks, FOLDER / "masks.safetensors"))) == set(
        masks
    )
    assert export_module(module, FOLDER / "net.onnx", (4,)).stat().st_size > 0


USES = {
    "text": use_text,
    "plot": use_plot,
    "video": use_video,
    "frame": use_frame,
    "export": use_export,
}


def check_names():
    n_names = 0
    for name in sklvyso.__all__:
        value = getattr(sklvyso, name)
        for inner in getattr(value, "__all__", ()):
            getattr(value, inner)
            n_names += 1
    return n_names + len(sklvyso.__all__)


def main():
    place = Path(sklvyso.__file__).parent
    assert "site-packages" in place.parts, f"not the installed wheel: {place}"
    assert (place / "py.typed").is_file()
    n_names = check_names()
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = np.arange(60) % 3
    sampler = sklvyso.DRoPSampler(density=0.5, random_state=0)
    X_kept, y_kept = sampler.fit_resample(X, y)
    sklvyso.NetworkClassifier(max_epochs=2, random_state=0).fit(X_kept, y_kept)
    missing = []
    for extra, use in USES.items():
        try:
            use()
        except ImportError as error:
            assert extra not in GIVEN, f"{extra} is installed, and: {error}"
            assert f"sklvyso[{extra}]" in str(error), error
            missing.append(extra)
    if "distributed" in GIVEN:
        importlib.import_module("distributed")
    print(f"{n_names} names; says how to install: {', '.join(missing) or 'nothing'}")


if __name__ == "__main__":
    main()
