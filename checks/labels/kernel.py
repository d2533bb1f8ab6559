"""A Gaussian kernel through landmarks: linear algebra on it bends where the classes do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from checks.labels import leave_one_out
from checks.labels.leave_one_out import BLOCK, Floats

Real = TypeVar("Real", np.float32, np.float64)
LANDMARKS, LANDMARKS_MIN = 2048, 256
CELLS = 1 << 26  # of the kernel features, 256 MB: with more rows there are fewer landmarks
JITTER = 1e-5  # below it, directions of the landmarks are rounding noise
TRIED_ROWS, TRIED_LANDMARKS = 2000, 400
SHARPNESS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)


@dataclass(frozen=True, slots=True)
class Space:
    """What turns features (N, D) into kernel features (N, L); labels choose the sharpness alone.

    centre, scale: shape (D,). landmarks: shape (L, D), scaled. turn: shape (L, L).
    sharpness: k(x, y) = exp(-sharpness * |x - y|^2), rows of mean squared norm 1.
    """

    centre: Floats
    scale: Floats
    landmarks: Floats
    turn: Floats
    sharpness: float

    def rescale(self, features: Floats) -> Floats:
        """Return the features as the kernel sees them: (N, D), what is not finite at 0."""
        scaled: Floats = leave_one_out.finite((features - self.centre) / self.scale)
        return scaled

    def lift(self, scaled: Floats) -> Floats:
        """Return the kernel features, (N, L): their products are the kernel, near enough."""
        lifted = np.empty((len(scaled), len(self.landmarks)), np.float32)
        for start in range(0, len(scaled), BLOCK):
            rows = slice(start, start + BLOCK)
            lifted[rows] = _kernel(scaled[rows], self.landmarks, self.sharpness) @ self.turn
        return lifted


def choose_space(features: Floats, targets: Floats, seed: int) -> Space:
    """Return the space whose ridge predicts left-out labels best on a draw of the rows.

    Tried: columns as they are or each divided by its deviation, and several sharpnesses.

    Args:
        features: shape (N, D), any scale.
        targets: shape (N, K), one column for each class.
        seed: of the rows and landmarks drawn.

    Source: Williams and Seeger 2001, the Nystroem method; choice by PRESS, Allen 1974.

    >>> points = np.repeat(np.eye(3, dtype=np.float32), 8, axis=0)
    >>> choose_space(points, points, 0).landmarks.shape
    (24, 3)
    """
    centre, spread = leave_one_out.moments(features)
    order = np.random.default_rng([5, seed]).permutation(len(features))
    tried = np.sort(order[:TRIED_ROWS])
    best = (np.inf, 0, 0.0)
    scales = [unit * _length(features, centre, unit) for unit in (np.ones_like(spread), spread)]
    for which, scale in enumerate(scales):
        for sharpness in SHARPNESS:
            space = _settle(features, centre, scale, order[:TRIED_LANDMARKS], sharpness)
            lifted = space.lift(space.rescale(features[tried]))
            spectrum = leave_one_out.decompose(lifted, standardise=False)
            _, error = leave_one_out.choose_penalty(spectrum, targets[tried])
            best = min(best, (error, which, sharpness))
    count = max(LANDMARKS_MIN, min(LANDMARKS, CELLS // len(features)))
    return _settle(features, centre, scales[best[1]], order[:count], best[2])


def _settle(
    features: Floats, centre: Floats, scale: Floats, drawn: npt.NDArray[np.int64], sharpness: float
) -> Space:
    rows = np.sort(drawn)
    landmarks = leave_one_out.finite((features[rows] - centre) / scale)
    exact = landmarks.astype(np.float64)  # in float32 the matrix of many landmarks has no root
    among = _kernel(exact, exact, sharpness)
    root = np.linalg.cholesky((among + among.T) / 2 + JITTER * np.eye(len(rows)))
    turn = np.linalg.inv(root).T.astype(np.float32)
    return Space(centre, scale, landmarks, np.ascontiguousarray(turn), sharpness)


def _length(features: Floats, centre: Floats, scale: Floats) -> np.float32:
    """Root of the mean squared norm of the rows, kept above what rounding leaves of no spread."""
    total = 0.0
    for start in range(0, len(features), BLOCK):
        block = leave_one_out.finite((features[start : start + BLOCK] - centre) / scale)
        total += float(np.square(block).sum(axis=1).sum(dtype=np.float64))
    least = leave_one_out.FLAT * (float(np.linalg.norm(centre / scale)) + leave_one_out.FLAT)
    return np.float32(max(np.sqrt(total / len(features)), least))


def _kernel(
    rows: npt.NDArray[Real], landmarks: npt.NDArray[Real], sharpness: float
) -> npt.NDArray[Real]:
    ends = np.einsum("ij,ij->i", landmarks, landmarks)
    gaps = np.einsum("ij,ij->i", rows, rows)[:, None] + ends - 2 * (rows @ landmarks.T)
    near: npt.NDArray[Real] = np.exp(np.maximum(gaps, 0) * rows.dtype.type(-sharpness))
    return near
