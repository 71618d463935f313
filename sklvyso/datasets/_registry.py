"""What we know of each real set: files, sizes, hashes, hosts, class names."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One file of a public set, in its original form.

    SHA-256 is what is checked; MD5 only where no SHA-256 is known. `content_md5` is the
    MD5 of the gunzipped bytes: it recognises unpacked and repackaged copies.
    """

    name: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    content_md5: str | None = None

    @property
    def digest(self) -> tuple[str, str] | None:
        """Algorithm and value of the hash to check, None where none is published."""
        if self.sha256 is not None:
            return "sha256", self.sha256
        if self.md5 is not None:
            return "md5", self.md5
        return None


@dataclass(frozen=True)
class ImageSet:
    """A named set: where its files lie in a data home and how its classes are called.

    `files` maps each subset to its files; `folders` are names that other libraries
    give to the set's folder.
    """

    name: str
    title: str
    files: dict[str, tuple[RemoteFile, ...]]
    target_names: tuple[str, ...]
    folders: tuple[str, ...] = ()
    pixel_mean: float | tuple[float, ...] | None = None
    pixel_std: float | tuple[float, ...] | None = None

    def files_of(self, subsets: tuple[str, ...]) -> tuple[RemoteFile, ...]:
        """Files of the given subsets, each once, in order."""
        return tuple(dict.fromkeys(f for s in subsets for f in self.files[s]))


# name, size, MD5, SHA-256, MD5 of the gunzipped bytes
_IDX_NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_MNIST_ROWS = (
    (
        9912422,
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "6bbc9ace898e44ae57da46a324031adb",
    ),
    (
        28881,
        "d53e105ee54ea40749a09fcbcd1e9432",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "a25bea736e30d166cdddb491f175f624",
    ),
    (
        1648877,
        "9fb629c4189551a2d022fa330f9573f3",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "2646ac647ad5339dbf082846283269ea",
    ),
    (
        4542,
        "ec29112dd5afa0611ce80d1b7f02629c",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "27ae3e4e09519cfbb04c329615203637",
    ),
)
_FASHION_ROWS = (
    (
        26421880,
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    ),
    (
        29515,
        "25c81989df183df01b3e8a0aad5dffbe",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "9018921c3c673c538a1fc5bad174d6f9",
    ),
    (
        4422102,
        "bef4ecab320f06d8554ea6380940ec79",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "8181f5470baa50b63fa0f6fddb340f0a",
    ),
    (
        5148,
        "bb300cfdad3c16e7a12a480ee83cd310",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
)
_KMNIST_ROWS = (
    (None, "bdb82020997e1d708af4cf47b453dcf7", None, None),
    (None, "e144d726b3acfaa3e44228e80efcd344", None, None),
    (None, "5c965bf0a639b31b8f53240b1b52f4d7", None, None),
    (None, "7320c461ea6c1c855c0b718fb2a4b134", None, None),
)

# The historical host of MNIST, yann.lecun.com, answers 403 or 503: it is left out.
_MNIST_HOSTS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_FASHION_HOSTS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)
_KMNIST_HOSTS = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)


def _idx_files(
    hosts: tuple[str, ...], rows: tuple[tuple, ...]
) -> dict[str, tuple[RemoteFile, ...]]:
    files = tuple(
        RemoteFile(name, tuple(host + name for host in hosts), size, sha256, md5, plain)
        for name, (size, md5, sha256, plain) in zip(_IDX_NAMES, rows, strict=True)
    )
    return {"train": files[:2], "test": files[2:]}


_DIGITS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")

MNIST = ImageSet(
    name="mnist",
    title="MNIST",
    files=_idx_files(_MNIST_HOSTS, _MNIST_ROWS),
    target_names=_DIGITS,
    folders=("MNIST",),
    pixel_mean=0.1307,
    pixel_std=0.3081,
)

FASHION_MNIST = ImageSet(
    name="fashion_mnist",
    title="Fashion-MNIST",
    files=_idx_files(_FASHION_HOSTS, _FASHION_ROWS),
    target_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    folders=("FashionMNIST",),
    pixel_mean=0.2860,
    pixel_std=0.3530,
)

KMNIST = ImageSet(
    name="kmnist",
    title="Kuzushiji-MNIST",
    files=_idx_files(_KMNIST_HOSTS, _KMNIST_ROWS),
    target_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    folders=("KMNIST",),
)

_CIFAR_HOST = "https://www.cs.toronto.edu/~kriz/"
_KERAS_HOST = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"

CIFAR10_BINARY = RemoteFile(
    "cifar-10-binary.tar.gz",
    (_CIFAR_HOST + "cifar-10-binary.tar.gz",),
    size=170052171,
    md5="c32a1d4ab5d03f1284b67883e8d87530",
)
# The origin is throttled to 50-85 kB/s since June 2026: the mirror comes first.
CIFAR10_PYTHON = RemoteFile(
    "cifar-10-python.tar.gz",
    (_KERAS_HOST + "cifar-10-python.tar.gz", _CIFAR_HOST + "cifar-10-python.tar.gz"),
    size=170498071,
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    md5="c58f30108f718f92721af3b95e74349a",
)
CIFAR100_BINARY = RemoteFile(
    "cifar-100-binary.tar.gz",
    (_CIFAR_HOST + "cifar-100-binary.tar.gz",),
    size=168513733,
    md5="03b5dce01913d631647c71ecec9e9cb8",
)
CIFAR100_PYTHON = RemoteFile(
    "cifar-100-python.tar.gz",
    (_CIFAR_HOST + "cifar-100-python.tar.gz",),
    md5="eb9058c3a382ffc7106e4002c42a8d85",
)

CIFAR10 = ImageSet(
    name="cifar10",
    title="CIFAR-10",
    files={subset: (CIFAR10_BINARY, CIFAR10_PYTHON) for subset in ("train", "test")},
    target_names=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    pixel_mean=(0.4914, 0.4822, 0.4465),
    pixel_std=(0.2470, 0.2435, 0.2616),
)

CIFAR100 = ImageSet(
    name="cifar100",
    title="CIFAR-100",
    files={subset: (CIFAR100_BINARY, CIFAR100_PYTHON) for subset in ("train", "test")},
    target_names=(),  # read from the archive's own text file
)

_SVHN_HOST = "http://ufldl.stanford.edu/housenumbers/"

SVHN = ImageSet(
    name="svhn",
    title="SVHN",
    files={
        "train": (
            RemoteFile(
                "train_32x32.mat",
                (_SVHN_HOST + "train_32x32.mat",),
                md5="e26dedcc434d2e4c54c9b2d4a06d8373",
            ),
        ),
        "test": (
            RemoteFile(
                "test_32x32.mat",
                (_SVHN_HOST + "test_32x32.mat",),
                md5="eb5a983be6a315427106f1b164d9cef3",
            ),
        ),
    },
    target_names=_DIGITS,
    folders=("SVHN",),
)

IMAGE_SETS = {
    s.name: s for s in (MNIST, FASHION_MNIST, KMNIST, CIFAR10, CIFAR100, SVHN)
}
