"""Valid calls of sklvyso.datasets; no network."""

import os

import numpy as np
from PIL import Image

from sklvyso import datasets
from tests.fuzz.cases import Case, fixed, labels, rows

ROOM = "datasets"
X, Y = rows(12, 4), labels(12, 3)
IMAGES = (np.arange(12 * 16).reshape(12, 4, 4) % 251).astype(np.uint8)
SUBSETS = {"random_state": 0}


def cases():
    yield from homes()
    yield from fetchers()
    yield from loaders()
    yield from generators()
    yield from tasks()


def homes():
    yield Case(
        ROOM,
        "get_data_home",
        datasets.get_data_home,
        fixed(data_home="home"),
        paths=("data_home",),
    )
    yield Case(
        ROOM,
        "clear_data_home",
        datasets.clear_data_home,
        fixed(name="mnist", data_home="home"),
        paths=("data_home",),
    )


def fetchers():
    """Without files and network they answer by an OSError that says what is missing."""

    def fetch(function):
        def call(**given):
            try:
                return function(**given)
            except OSError as error:
                if "was not found and downloading is off" in str(error):
                    return None
                raise

        return call

    for name in datasets.__all__:
        if name.startswith("fetch_"):
            yield Case(
                ROOM,
                name,
                fetch(getattr(datasets, name)),
                fixed(
                    subset="train",
                    n_per_class=2,
                    classes=[0, 1],
                    shuffle=False,
                    random_state=0,
                    as_images=False,
                    dtype="uint8",
                    data_home="home",
                    download_if_missing=False,
                    return_X_y=True,
                    verify="auto",
                    n_retries=0,
                    delay=0.0,
                ),
                paths=("data_home",),
                skip={"download_if_missing": "True would reach for the network"},
            )


def _plant_images():
    for label in ("cat", "dog"):
        os.makedirs(os.path.join("images", label), exist_ok=True)
        Image.new("RGB", (4, 3)).save(os.path.join("images", label, "0.png"))
    return "images"


def _plant_games():
    folder = os.path.join("games", "game_frames", "pong")
    os.makedirs(folder, exist_ok=True)
    for i in range(2):
        Image.new("RGB", (8, 6)).save(os.path.join(folder, f"clip000_{i}.png"))


def loaders():
    def from_images(**given):
        _plant_images()
        return datasets.load_image_archive(**given)

    yield Case(
        ROOM,
        "load_image_archive",
        from_images,
        fixed(
            path="images",
            subset=None,
            classes=["cat"],
            n_per_class=1,
            size=(3, 3),
            mode="RGB",
            cache=False,
            return_X_y=True,
        ),
        paths=("path",),
    )

    def from_games(**given):
        _plant_games()
        return datasets.load_game_frames(**given)

    yield Case(
        ROOM,
        "load_game_frames",
        from_games,
        fixed(data_home="games", games=["pong"], n_per_game=1),
        paths=("data_home",),
    )

    def from_idx(path):
        with open("labels-idx1-ubyte", "wb") as file:
            file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        return datasets.load_idx(path)

    yield Case(
        ROOM, "load_idx", from_idx, fixed(path="labels-idx1-ubyte"), paths=("path",)
    )

    def from_csv(**given):
        with open("train.csv", "w", encoding="utf-8") as file:
            file.write("text,label\nwell made,good\ntoo long ☃,bad\n")
        return datasets.load_text_csv(**given)

    yield Case(
        ROOM,
        "load_text_csv",
        from_csv,
        fixed(
            path="train.csv",
            text=("text",),
            label="label",
            subset=None,
            target_names=["good", "bad"],
            return_X_y=True,
        ),
        paths=("path",),
    )


def generators():
    yield Case(
        ROOM,
        "make_class_difficulty_blobs",
        datasets.make_class_difficulty_blobs,
        fixed(
            n_samples=10,
            n_features=2,
            centers=None,
            separation=2.0,
            sigmas=np.array([0.5, 1.0]),
            weights=np.array([0.5, 0.5]),
            shuffle=True,
            random_state=0,
            return_centers=False,
        ),
    )
    yield Case(
        ROOM,
        "make_game_frames",
        datasets.make_game_frames,
        fixed(n_frames=2, height=32, width=40, n_games=1, random_state=0),
    )
    yield Case(
        ROOM,
        "make_long_tailed",
        datasets.make_long_tailed,
        fixed(
            X=X,
            y=Y,
            imbalance_factor=4.0,
            kind="exp",
            class_order=np.array([2, 0, 1]),
            random_state=0,
        ),
        missing=("X",),  # rows are chosen, not read
    )
    yield Case(
        ROOM,
        "make_spurious_groups",
        datasets.make_spurious_groups,
        fixed(
            images=IMAGES,
            y=Y,
            correlation=0.75,
            cue="color",
            n_cues=None,
            random_state=0,
        ),
    )


def tasks():
    yield Case(
        ROOM,
        "make_permuted_tasks",
        datasets.make_permuted_tasks,
        fixed(
            X=X,
            y=Y,
            n_tasks=2,
            first_identity=True,
            per_channel=False,
            sampling="copy",
            random_state=0,
            permutations=None,
            return_tasks=False,
        ),
        missing=("X",),
    )
    yield Case(
        ROOM,
        "make_permuted_tasks of permutations",
        datasets.make_permuted_tasks,
        fixed(X=X, y=Y, permutations=np.array([[0, 1, 2, 3], [3, 2, 1, 0]])),
        missing=("X",),
    )
    yield Case(
        ROOM,
        "make_rotated_tasks",
        datasets.make_rotated_tasks,
        fixed(
            images=IMAGES,
            y=Y,
            n_tasks=2,
            angles=np.array([0.0, 90.0]),
            sampling="copy",
            return_tasks=False,
        ),
    )
    yield Case(
        ROOM,
        "make_split_tasks",
        datasets.make_split_tasks,
        fixed(
            X=X,
            y=Y,
            n_tasks=None,
            classes_per_task=1,
            class_order=np.array([2, 0, 1]),
            relabel=False,
            return_tasks=False,
        ),
        missing=("X",),
    )
