"""Nothing that is downloaded, cached or passed on is run; nothing goes through a shell.

What else is hostile is tested where it is read: wrong checksums, redirects and corrupt
files in datasets/test_download.py and test_fetch.py; archive members that escape and
links in test_archive.py and test_cifar.py, with the unpickler of CIFAR; measurements
with objects in data_pruning/test_resample.py; file names in the report of a scan and
control characters in artifacts/test_scan.py; damaged text caches in
active_learning/test_encoder.py.
"""

import ast
import json
import os
import pickle
import sqlite3
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import skops.io
import torch
from PIL import Image
from torch import nn

import sklvyso
from sklvyso import DRoPSampler, NetworkClassifier, PretrainedActiveLearner
from sklvyso.active_learning import PretrainedTextEncoder, TransformerTextClassifier
from sklvyso.active_learning._cache import FILE_NAME
from sklvyso.active_learning._stored_tokenizer import unpack_tokenizer
from sklvyso.artifacts import ArtifactDetector, iter_frames
from sklvyso.artifacts._scan import load_model
from sklvyso.datasets import load_game_frames, load_image_archive
from sklvyso.datasets._archive_members import LARGEST_FILE
from sklvyso.datasets._cifar_forms import read_members
from tests.active_learning.conftest import make_texts, save_tiny_bert

ROOT = Path(sklvyso.__file__).parent

# -- the source -----------------------------------------------------------------------

# Full names, or beginnings that end in a dot, which may not even be mentioned.
FORBIDDEN = (
    "cloudpickle.",
    "dill.",
    "importlib.import_module",
    "joblib.load",
    "marshal.",
    "multiprocessing.connection.",
    "os.exec",
    "os.popen",
    "os.spawn",
    "os.system",
    "pandas.read_pickle",
    "pickle.Unpickler",
    "pickle.load",
    "pickle.loads",
    "pty.",
    "shelve.",
    "shutil.unpack_archive",
    "skops.io.load",
    "skops.io.loads",
    "ssl.CERT_NONE",
    "ssl._create_unverified_context",
    "subprocess.",
    "tempfile.mktemp",
    "torch.hub.",
    "torch.jit.load",
    "torch.load",
    "urllib.request.",
    "yaml.",
)
BUILTINS = {"eval", "exec", "__import__"}
METHODS = {"extractall", "extract", "enable_load_extension", "read_pickle"}
ALLOWED = {
    "_optional.py: importlib.import_module": "names of packages of our own code",
    "__init__.py: importlib.import_module": "rooms of the package",
    "artifacts/__init__.py: importlib.import_module": "files of the room",
    "datasets/__init__.py: importlib.import_module": "files of the room",
    "active_learning/_interactive.py: pickle.load": (
        "PretrainedActiveLearner.load reads what the user saved and passes; its "
        "docstring says to trust the file"
    ),
    "artifacts/_scan.py: joblib.load": (
        "--model of the scan command, whose help warns of it"
    ),
    "artifacts/_scan.py: skops.io.load": "with the classes of the room as trusted",
    "artifacts/_scan.py: importlib.import_module": "files of the room, by a pattern",
    "datasets/_cifar_records.py: pickle.Unpickler": (
        "builds arrays and plain containers only"
    ),
    "datasets/_cifar_records.py: importlib.import_module": "four names of NumPy",
    "datasets/_download.py: urllib.request.": "files with published checksums",
}


def is_constant(node, name, value):
    """Say whether a call has a keyword with a constant value."""
    return any(
        keyword.arg == name
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value is value
        for keyword in node.keywords
    )


def dangers(source):
    """Return what a file mentions that could run code from data, or a program."""
    tree = ast.parse(source)
    names, found = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                names[alias.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def dotted(node):
        if isinstance(node, ast.Name):
            return names.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
            return f"{before}.{node.attr}"
        return None

    for node in ast.walk(tree):
        name = dotted(node)
        if isinstance(node, ast.Name) and node.id in BUILTINS:
            found.add(node.id)
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            found.add(node.attr)
        for danger in FORBIDDEN:
            is_family = danger.endswith((".", "exec", "spawn"))
            if name == danger or (name and is_family and name.startswith(danger)):
                found.add(danger)
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        if called == "compile":
            found.add("compile")
        if called == "numpy.load" and not is_constant(node, "allow_pickle", False):
            found.add("numpy.load")
        for keyword in node.keywords:
            value = getattr(keyword.value, "value", None)
            if (keyword.arg, value) in {
                ("shell", True),
                ("trust_remote_code", True),
                ("weights_only", False),
                ("allow_pickle", True),
            }:
                found.add(f"{keyword.arg}={value}")
    return found


def test_the_source_holds_no_danger_without_a_reason():
    found = {
        f"{path.relative_to(ROOT).as_posix()}: {danger}"
        for path in ROOT.rglob("*.py")
        for danger in dangers(path.read_text(encoding="utf-8"))
    }
    assert found == set(ALLOWED), "mend the source, or state the reason in ALLOWED"


@pytest.mark.parametrize(
    ("source", "danger"),
    [
        ("import pickle\npickle.loads(b'')", "pickle.loads"),
        ("from pickle import load as read\nread(1)", "pickle.load"),
        ("import numpy as np\nnp.load('a')", "numpy.load"),
        ("import numpy as np\nnp.load('a', allow_pickle=True)", "allow_pickle=True"),
        ("import torch\ntorch.load('a')", "torch.load"),
        ("import torch.hub\ntorch.hub.load('a')", "torch.hub."),
        ("import os\nos.system('a')", "os.system"),
        ("import os\nos.execvp('a', [])", "os.exec"),
        ("import subprocess as s\ns.run('a', shell=True)", "subprocess."),
        ("run(f, shell=True)", "shell=True"),
        ("print(eval('1'))", "eval"),
        ("map(exec, code)", "exec"),
        ("import joblib\njoblib.load('a')", "joblib.load"),
        ("from yaml import load\nload('a')", "yaml."),
        ("archive.extractall('/')", "extractall"),
        ("f(trust_remote_code=True)", "trust_remote_code=True"),
    ],
)
def test_the_search_finds_dangers(source, danger):
    assert danger in dangers(source)


def test_the_search_lets_harmless_code_pass():
    code = "import re, pickle, numpy as np\nre.compile('a')\nmodule.eval()\n"
    code += "pickle.dumps(1)\nnp.load('a', allow_pickle=False)\n"
    assert dangers(code) == set()


# -- hostile files --------------------------------------------------------------------


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return (os.mkdir, (self.folder,))


@pytest.fixture
def crater(tmp_path):
    """The folder that a bomb makes; none is there after the test."""
    folder = tmp_path / "crater"
    yield folder
    assert not folder.exists(), "a pickle was run"


def test_the_bomb_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "made")))
    assert (tmp_path / "made").is_dir()


def object_array(crater):
    array = np.empty(3, dtype=object)
    array[:] = [Bomb(crater)] * 3
    return array


def png_of_size(width, height):
    """A PNG that claims a size and holds nothing."""

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def test_frames_of_an_array_with_objects_are_refused(tmp_path, crater):
    np.save(tmp_path / "a.npy", object_array(crater), allow_pickle=True)
    with pytest.raises(ValueError):
        list(iter_frames(tmp_path / "a.npy"))
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Bomb(crater)))
    with pytest.raises(ValueError):
        list(iter_frames(tmp_path / "b.npy"))


def test_measurements_with_an_array_of_objects_are_refused(tmp_path, crater):
    X, y = np.random.RandomState(0).rand(30, 4), np.arange(30) % 2
    DRoPSampler(random_state=0).fit(X, y).save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as stored:
        arrays = dict(stored) | {"codes": object_array(crater)}
    np.savez(tmp_path / "bad.npz", allow_pickle=True, **arrays)
    with pytest.raises(ValueError, match=r"path must name a file that DRoPSampler"):
        DRoPSampler().load(tmp_path / "bad.npz")


@pytest.mark.parametrize("kind", ["object array", "pickle"])
def test_a_cache_of_images_that_was_replaced_is_not_run(tmp_path, crater, kind):
    folder = tmp_path / "set" / "ant"
    folder.mkdir(parents=True)
    Image.new("RGB", (4, 4), "red").save(folder / "0.png")
    expected = load_image_archive(tmp_path / "set").images.copy()
    (cached,) = tmp_path.glob("set.*.npy")
    if kind == "pickle":
        cached.write_bytes(pickle.dumps(Bomb(crater)))
    else:
        np.save(cached, object_array(crater)[:1], allow_pickle=True)
    np.testing.assert_array_equal(load_image_archive(tmp_path / "set").images, expected)


def test_a_pickle_in_the_text_cache_is_numbers(tmp_path, crater):
    folder = save_tiny_bert(tmp_path / "model")
    texts, _ = make_texts(3)
    encoder = PretrainedTextEncoder(folder, cache_dir=tmp_path).fit(texts)
    size = encoder.transform(texts).shape[1] * 4
    blob = pickle.dumps(Bomb(crater)).ljust(size, b"\0")[:size]
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute(
            "UPDATE vectors SET vector=?, checksum=?", (blob, zlib.crc32(blob))
        )
    connection.close()
    found = PretrainedTextEncoder(folder, cache_dir=tmp_path, normalize=False)
    found = found.fit(texts).transform(texts)
    assert found.shape == (3, size // 4) and found.dtype == np.float32


# -- language models ------------------------------------------------------------------


def outputs_of(estimator, texts, y):
    estimator.fit(texts, y)
    use = getattr(estimator, "transform", None) or estimator.predict
    return use(texts)


@pytest.mark.parametrize("kind", [PretrainedTextEncoder, TransformerTextClassifier])
def test_weights_of_a_language_model_are_not_unpickled(tmp_path, crater, kind):
    folder = Path(save_tiny_bert(tmp_path / "model"))
    (folder / "model.safetensors").unlink()
    torch.save({"embeddings": Bomb(crater)}, folder / "pytorch_model.bin")
    texts, y = make_texts(4)
    with pytest.raises((OSError, ValueError, RuntimeError, pickle.UnpicklingError)):
        outputs_of(kind(str(folder)), texts, y)


@pytest.mark.parametrize("kind", [PretrainedTextEncoder, TransformerTextClassifier])
def test_code_that_comes_with_a_language_model_is_not_run(tmp_path, crater, kind):
    folder = Path(save_tiny_bert(tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "hostile", "auto_map": {}}
    for name in ("AutoConfig", "AutoModel"):
        config["auto_map"][name] = "code.Hostile"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"import os\nos.mkdir({str(crater)!r})\n")
    texts, y = make_texts(4)
    with pytest.raises((OSError, ValueError)):
        outputs_of(kind(str(folder)), texts, y)


@pytest.mark.parametrize("name", ["../escaped", "/tmp/../escaped", "a/../../escaped"])
def test_files_of_a_stored_tokenizer_stay_in_their_folder(name):
    packed = {"class": object, "files": {name: b"x"}}
    with pytest.raises(ValueError, match="must lie in its folder"):
        unpack_tokenizer(packed)


# -- archives and images --------------------------------------------------------------


def test_a_huge_member_is_refused_before_it_is_unpacked(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("ant/0.png", "w") as stream,
    ):
        for _ in range(LARGEST_FILE // 2**20 + 1):
            stream.write(bytes(2**20))
    assert (tmp_path / "a.zip").stat().st_size < 2**20
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("ant/0.png")
        member.size = LARGEST_FILE + 1
        archive.fileobj.write(member.tobuf())
        # A sparse file: the check must come before the bytes.
        archive.fileobj.seek(member.size, os.SEEK_CUR)
        archive.offset = archive.fileobj.tell()
    for name in ("a.zip", "a.tar"):
        with pytest.raises(ValueError, match=r"ant/0.png must be at most 268,435,456"):
            load_image_archive(tmp_path / name, cache=False)


def test_a_huge_batch_of_cifar_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo("folder/batch")
        member.size = LARGEST_FILE + 1
        with open("/dev/zero", "rb") as zeros:
            archive.addfile(member, zeros)
    with pytest.raises(ValueError, match="batch must be at most 268,435,456 bytes"):
        read_members(str(tmp_path / "a.tar.gz"), "folder", ["batch"])


def test_a_link_in_a_zip_is_not_followed(tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (4, 4)).save(secret)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("ant/0.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(secret))
    with pytest.raises(ValueError, match=r"ant/0.png must be a whole image"):
        load_image_archive(tmp_path / "a.zip", cache=False)


def test_images_of_absurd_size_are_refused_by_name(tmp_path):
    folder = tmp_path / "game_frames" / "pong"
    folder.mkdir(parents=True)
    (folder / "0.png").write_bytes(png_of_size(50_000, 50_000))
    with pytest.raises(ValueError, match=r"0.png must be a complete image file"):
        list(iter_frames(folder))
    with pytest.raises(ValueError, match=r"0.png must be a whole image"):
        load_image_archive(tmp_path / "game_frames", cache=False)
    (folder / "0.png").rename(folder / "clip000_0.webp")
    with pytest.raises(ValueError, match=r"clip000_0.webp must be a complete image"):
        load_game_frames(tmp_path)


# -- models ---------------------------------------------------------------------------


def load_refused(path, capsys):
    with pytest.raises(SystemExit):
        load_model(str(path))
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "hostile",
    [
        os.system,
        load_model,  # a function of the room, which opens files
        NetworkClassifier,
        nn.Linear,
    ],
    ids=lambda hostile: hostile.__name__,
)
def test_a_model_for_the_scan_holds_classes_of_the_room_only(tmp_path, capsys, hostile):
    detector = ArtifactDetector()
    detector.predict = hostile
    skops.io.dump(detector, tmp_path / "a.skops")
    refused = load_refused(tmp_path / "a.skops", capsys)
    assert f"types that are not ours: {hostile.__module__}" in refused


def test_a_network_in_a_model_for_the_scan_is_refused(tmp_path, crater, capsys):
    # skorch pickles modules inside of what skops stores.
    X, y = np.random.RandomState(0).rand(30, 4), np.arange(30) % 2
    detector = ArtifactDetector()
    detector.extra = NetworkClassifier(max_epochs=1).fit(X, y)
    skops.io.dump(detector, tmp_path / "a.skops")
    assert "sklvyso.networks._net.TrainingNet" in load_refused(
        tmp_path / "a.skops", capsys
    )


def test_a_trusted_network_is_a_pickle_as_the_guide_says(tmp_path):
    """When this fails, skorch stores modules otherwise: mend the guide."""
    X, y = np.random.RandomState(0).rand(30, 4), np.arange(30) % 2
    network = NetworkClassifier(max_epochs=1).fit(X, y)
    network.net_.module_.bomb = Bomb(tmp_path / "crater")
    stored = skops.io.dumps(network)
    trusted = skops.io.get_untrusted_types(data=stored)
    assert not any("mkdir" in name or "Bomb" in name for name in trusted)
    skops.io.loads(stored, trusted=trusted)
    assert (tmp_path / "crater").is_dir()


def test_a_saved_learner_is_a_pickle_and_says_so():
    assert "A file that you trust" in PretrainedActiveLearner.load.__doc__
