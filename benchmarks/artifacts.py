"""Milliseconds a frame: HOG, spectrum, graph Laplacians, against the plain ways.

``python -m benchmarks artifacts``
"""

import os
import tempfile

import numpy as np
from scipy import sparse
from skimage.feature import hog
from skimage.io import imsave
from skimage.transform import resize

from benchmarks._harness import one_thread, side_by_side, store, table
from sklvyso.artifacts import (
    ArtifactDetector,
    DFTFeaturizer,
    GraphLaplacianFeaturizer,
    HOGFeaturizer,
    PixelPatternFeaturizer,
)
from sklvyso.artifacts._reading import read_image
from sklvyso.datasets import load_game_frames, make_game_frames

SIZES = ((480, 640), (1080, 1920))
TOGETHER = {
    "all three defaults": ("HOG", "DFT", "Laplacian"),
    "all three statistics": ("HOG statistics", "DFT statistics", "Laplacian"),
}
LUMA = np.array([0.299, 0.587, 0.114])


def numpy_spectrum(frame):
    """The paper's spectrum as one would write it: complex transform, then resizing."""
    spectrum = np.fft.fftshift(np.fft.fft2(frame @ LUMA))
    return resize(20 * np.log(np.abs(spectrum) + 1), (64, 64), anti_aliasing=True)


def grid_graph(height, width):
    """The Laplacian of the pixel grid as a sparse matrix."""
    paths = [
        sparse.diags_array(
            [-np.ones(n - 1), np.r_[1.0, np.full(n - 2, 2.0), 1.0], -np.ones(n - 1)],
            offsets=[-1, 0, 1],
        )
        for n in (height, width)
    ]
    return sparse.csr_array(
        sparse.kron(paths[0], sparse.eye_array(width))
        + sparse.kron(sparse.eye_array(height), paths[1])
    )


def sparse_laplacian(frame, matrix):
    """Anomaly by matrices, then the Laplacian of each channel on the pixel graph."""
    values = frame.astype(float)
    mean = values.mean(axis=(0, 1))
    weights = 1 / (1 + ((mean[:, None] - mean) / mean.mean()) ** 2)
    np.fill_diagonal(weights, 0)
    laplacian = np.diag(weights.sum(axis=1)) - weights
    centred = values - mean
    anomaly = np.einsum("ijc,cd,ijd->ij", centred, laplacian, centred)
    return anomaly, matrix @ values.reshape(-1, 3)


def scikit_image_hog(frame):
    return hog(
        frame / np.float32(255),
        orientations=9,
        pixels_per_cell=(16, 16),
        cells_per_block=(3, 3),
        block_norm="L2",
        transform_sqrt=True,
        channel_axis=2,
    )


def sample_frames(height, width):
    """Return five frames: real ones where they are at hand, one of each game."""
    if not os.environ.get("SKLVYSO_DATA"):
        return make_game_frames(5, height=height, width=width, random_state=0).images
    frames = load_game_frames(n_per_game=2).images[::2]
    if frames.shape[1:3] == (height, width):
        return frames
    # Brought to size, with the grain that a frame rendered at that size would have.
    grain = np.random.default_rng(0).normal(0, 1.5, (height, width, 3))
    frames = [255 * resize(frame, (height, width)) + grain for frame in frames]
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def scan_rows(X):
    """Frames a second of the default detector: files read, described, judged."""
    height, width = X.shape[1:3]
    clean = make_game_frames(24, height=120, width=160, random_state=0)
    detector = ArtifactDetector(n_simulated=4, tiles=None, random_state=0)
    detector.fit(clean.images, groups=clean.group, clips=clean.clip)
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{i}.png") for i in range(30)]
        for i, path in enumerate(paths):
            imsave(path, X[i % len(X)], check_contrast=False)
        work = {
            "read": lambda: [read_image(path) for path in paths],
            "scan": lambda: detector.corrupted_proba(paths),
        }
        seconds = side_by_side(work, rounds=3)
    row = {"frame": f"{width}x{height}", "featurizer": "whole scan, PNG files"}
    milliseconds = 1000 * seconds["scan"] / len(paths)
    row |= {"ours, ms": milliseconds, "frames a second": 1000 / milliseconds}
    reading = {"frame": row["frame"], "featurizer": "of which reading"}
    return [row, reading | {"ours, ms": 1000 * seconds["read"] / len(paths)}]


def rows_of(height, width):
    X = sample_frames(height, width)
    frame = X[0]
    matrix = grid_graph(height, width)
    featurizers = {
        "pixel patterns": PixelPatternFeaturizer(),
        "HOG, full size": HOGFeaturizer(resize=None),
        "HOG": HOGFeaturizer(),
        "HOG statistics": HOGFeaturizer(statistics=True),
        "DFT": DFTFeaturizer(),
        "DFT statistics": DFTFeaturizer(statistics=True),
        "Laplacian": GraphLaplacianFeaturizer(),
        "Laplacian, weighted pixels": GraphLaplacianFeaturizer(
            "weighted_pixels", random_state=0
        ),
        "Laplacian, superpixels": GraphLaplacianFeaturizer("superpixels"),
    }
    plain = {
        "HOG, full size": lambda: scikit_image_hog(frame),
        "DFT": lambda: numpy_spectrum(frame),
        "Laplacian": lambda: sparse_laplacian(frame, matrix),
    }
    for featurizer in featurizers.values():
        featurizer.fit(X)
    work = {name: lambda f=f: f.transform(X[:1]) for name, f in featurizers.items()}
    work |= {f"plain {name}": function for name, function in plain.items()}
    seconds = side_by_side(work)
    rows = []
    for name in featurizers:
        row = {
            "frame": f"{width}x{height}",
            "featurizer": name,
            "features": len(featurizers[name].get_feature_names_out()),
            "ours, ms": 1000 * seconds[name],
        }
        if name in plain:
            row["plain, ms"] = 1000 * seconds[f"plain {name}"]
            row["plain / ours"] = row["plain, ms"] / row["ours, ms"]
        rows.append(row)
    for total, names in TOGETHER.items():
        milliseconds = sum(1000 * seconds[name] for name in names)
        row = {"frame": f"{width}x{height}", "featurizer": total}
        rows.append(row | {"ours, ms": milliseconds})
    return rows + scan_rows(X)


def run():
    one_thread()
    rows = [row for size in SIZES for row in rows_of(*size)]
    columns = ["frame", "featurizer", "features"]
    columns += ["ours, ms", "plain, ms", "plain / ours", "frames a second"]
    print("Milliseconds a frame, RGB, one thread:")
    print(table(rows, columns))
    store("artifacts", rows)


if __name__ == "__main__":
    run()
