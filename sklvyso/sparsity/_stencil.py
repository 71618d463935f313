"""Support through sparse convolutions: packed bits, one word operation a weight."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from sklvyso.sparsity._kept import KeptWeights


class Stencil:
    """Which places of a fine grid a kernel connects to which places of a coarse one.

    Entry k of the kernel connects place p of the coarse grid with place
    ``stride * p + dilation * k - padding`` of the fine grid, where there is one. A
    convolution goes from fine to coarse, a transposed one from coarse to fine.

    Parameters
    ----------
    fine, coarse : sequence of int
        Sizes of the grids; empty for linear layers on vectors.
    kernel, stride, dilation, padding : sequence of int
        One entry an axis; ``padding`` before the first place.
    """

    def __init__(
        self,
        fine: Sequence[int] = (),
        coarse: Sequence[int] = (),
        *,
        kernel: Sequence[int] = (),
        stride: Sequence[int] = (),
        dilation: Sequence[int] = (),
        padding: Sequence[int] = (),
    ):
        self.fine = tuple(fine)
        self.coarse = tuple(coarse)
        self.kernel = tuple(kernel)
        axes = zip(
            *(self.kernel, stride, dilation, padding, self.fine, self.coarse),
            strict=True,
        )
        by_axis = [[_overlap(k, *axis) for k in range(n)] for n, *axis in axes]
        self._slices = [
            (tuple(fine for fine, _ in pairs), tuple(coarse for _, coarse in pairs))
            for pairs in itertools.product(*by_axis)
        ]
        whole = tuple(slice(0, n, 1) for n in self.fine)
        self._is_identity = self.fine == self.coarse and [
            fine for fine, _ in self._slices
        ] == [whole]

    @property
    def links_type(self):
        """Class of what :meth:`links` returns."""
        return Links

    def links(self, weights: KeptWeights, groups: int, *, by_channel: bool) -> Links:
        """Sort kept weights by the channels that they connect."""
        return Links(self, weights, groups, by_channel=by_channel)

    def fine_to_coarse(self, support: np.ndarray) -> np.ndarray:
        """Shift a fine support by each entry of the kernel.

        Parameters
        ----------
        support : ndarray of shape (n_channels, n_fine), dtype bool
            Places in one axis.

        Returns
        -------
        shifted : ndarray of shape (n_kernel, n_channels, n_coarse), dtype bool
            What coarse places see through each entry.
        """
        return self._shift(support, self.fine, self.coarse, 0)

    def coarse_to_fine(self, support: np.ndarray) -> np.ndarray:
        """As :meth:`fine_to_coarse`, in the other direction."""
        return self._shift(support, self.coarse, self.fine, 1)

    def _shift(self, support, source, target, direction):
        if self._is_identity:
            return support[None]
        n = len(support)
        grid = support.reshape(n, *source)
        shifted = np.zeros((len(self._slices), n, *target), dtype=bool)
        for part, slices in zip(shifted, self._slices, strict=True):
            here, there = slices[direction], slices[1 - direction]
            part[(slice(None), *there)] = grid[(slice(None), *here)]
        return shifted.reshape(len(shifted), n, -1)


def _overlap(k, stride, dilation, padding, n_fine, n_coarse):
    """Return slices of both grids that entry k of a kernel connects, along one axis."""
    shift = dilation * k - padding
    first = max(0, -(shift // stride))  # the first with stride * place + shift >= 0
    last = min(n_coarse - 1, (n_fine - 1 - shift) // stride)
    n = max(0, last - first + 1)
    start = stride * first + shift
    fine = slice(start, start + (n - 1) * stride + 1, stride) if n else slice(0, 0)
    return fine, slice(first, first + n)


class Links:
    """Kept weights of a layer, ready to carry support both ways.

    Parameters
    ----------
    stencil : Stencil
        Which places are connected.
    weights : KeptWeights
        Shape (n_coarse_channels, n_fine_channels / groups, *kernel).
    groups : int
        Groups of channels.
    by_channel : bool
        Whether a kernel connects its channels wherever its entries are.
    """

    def __init__(self, stencil, weights, groups, *, by_channel):
        n_coarse, n_local = weights.shape[:2]
        n_kernel = math.prod(weights.shape[2:])
        self.stencil = stencil
        self.by_channel = by_channel
        self.n_coarse, self.n_fine = n_coarse, n_local * groups
        # Dividing numbers of 32 bits takes a third of the time.
        positions = weights.positions.astype(
            np.uint32 if weights.size <= np.iinfo(np.uint32).max else np.uint64
        )
        channels, offset = _split(positions, n_kernel)
        coarse, fine = _split(channels, n_local)
        if groups > 1:
            fine = fine + coarse // (n_coarse // groups) * n_local
        self.coarse, self.fine, self.offset = coarse, fine, offset
        if by_channel or n_kernel == 1:
            self.from_fine, self.from_coarse = fine, coarse
        else:
            self.from_fine = offset * self.n_fine + fine
            self.from_coarse = offset * n_coarse + coarse
        self._seen_by_coarse = None

    def to_coarse(self, fine: np.ndarray) -> np.ndarray:
        """Support of the coarse channels, shape (n_coarse_channels, n_places)."""
        words, n_places = self._fine_words(fine), self._places(self.stencil.coarse)
        rows = words[self.from_fine]
        return _unpack(_any_by(rows, self.coarse, self.n_coarse), n_places)

    def to_fine(self, coarse: np.ndarray) -> np.ndarray:
        """Support of the fine channels, shape (n_fine_channels, n_places)."""
        shifted = (
            coarse[None] if self.by_channel else (self.stencil.coarse_to_fine(coarse))
        )
        words = _pack(shifted.reshape(-1, shifted.shape[-1]))
        order = _sorting(self.fine, self.n_fine)
        rows = words[self.from_coarse[order]]
        result = _any_by(rows, self.fine[order], self.n_fine)
        return _unpack(result, self._places(self.stencil.fine))

    def used(self, *, fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        """Whether each weight connects an alive place with an alive place."""
        seen = self._fine_words(fine)[self.from_fine]
        seen &= _pack(coarse)[self.coarse]
        return seen.any(axis=1)

    def _places(self, grid):
        return 1 if self.by_channel else math.prod(grid)

    def _fine_words(self, fine):
        # A convolution asks twice with the same support, on its way there and back.
        if self._seen_by_coarse is None or self._seen_by_coarse[0] is not fine:
            shifted = (
                fine[None] if self.by_channel else (self.stencil.fine_to_coarse(fine))
            )
            words = _pack(shifted.reshape(-1, shifted.shape[-1]))
            self._seen_by_coarse = (fine, words)
        return self._seen_by_coarse[1]


def _split(numbers, divisor):
    divisor = numbers.dtype.type(divisor)
    quotient = numbers // divisor
    return quotient, numbers - quotient * divisor


def _sorting(channels: np.ndarray, n_channels: int) -> np.ndarray:
    # NumPy sorts 16-bit numbers by counting.
    if n_channels <= np.iinfo(np.uint16).max:
        channels = channels.astype(np.uint16)
    return np.argsort(channels, kind="stable")


def _pack(support: np.ndarray) -> np.ndarray:
    """Pack bool rows into words, shape (n_rows, n_words)."""
    n_places = support.shape[1]
    if n_places == 1:
        return np.ascontiguousarray(support).view(np.uint8)
    n_bytes = -(-n_places // 8)
    size = next((b for b in (1, 2, 4) if n_bytes <= b), 8)
    # The layout of the result follows that of the support.
    bits = np.packbits(np.ascontiguousarray(support), axis=1)
    missing = -n_bytes % size
    if missing:
        padded = np.zeros((len(bits), n_bytes + missing), dtype=np.uint8)
        padded[:, :n_bytes] = bits
        bits = padded
    return bits.view(f"u{size}")


def _unpack(words: np.ndarray, n_places: int) -> np.ndarray:
    if n_places == 1:
        return words.view(bool)
    bits = np.ascontiguousarray(words).view(np.uint8)
    return np.unpackbits(bits, axis=1, count=n_places).view(bool)


def _any_by(rows: np.ndarray, channels: np.ndarray, n_channels: int) -> np.ndarray:
    """Unite the rows of each channel; ``channels`` is sorted."""
    result = np.zeros((n_channels, rows.shape[1]), dtype=rows.dtype)
    if len(rows):
        starts = np.flatnonzero(np.diff(channels, prepend=-1))
        result[channels[starts]] = np.bitwise_or.reduceat(rows, starts, axis=0)
    return result
