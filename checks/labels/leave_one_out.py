"""Ridge regression with every sample left out once, from one eigen-decomposition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
HAT_MAX = 0.999
BLOCK = 4096
FLAT = 1e-6


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Standardised features in their principal axes; labels play no part in it.

    rows: shape (N, D), float32. eigenvalues: shape (D,), float64, descending.
    centre, scale: shape (D,), what standardised the features. axes: shape (D, D).
    """

    rows: Floats
    eigenvalues: npt.NDArray[np.float64]
    centre: Floats
    scale: Floats
    axes: Floats

    def project(self, features: Floats) -> Floats:
        """Return other samples in the same axes: shape (M, D)."""
        return (finite((features - self.centre) / self.scale) @ self.axes).astype(np.float32)


def decompose(features: Floats, *, standardise: bool = True) -> Spectrum:
    """Centre and standardise the features and turn them into their principal axes.

    Args:
        features: shape (N, D), any scale; what is not finite counts as the column's mean.
        standardise: divide each column by its deviation; no where the scales carry meaning.

    Cost: O(N * D^2 + D^3); memory two copies of `features`.

    >>> decompose(np.array([[0.0, 1.0], [2.0, 1.0]], np.float32)).eigenvalues.tolist()
    [2.0, 0.0]
    """
    rows = features.astype(np.float32)
    centre, scale = moments(rows)
    scale = scale if standardise else np.ones_like(scale)
    for start in range(0, len(rows), BLOCK):
        rows[start : start + BLOCK] = finite((rows[start : start + BLOCK] - centre) / scale)
    values, vectors = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    axes = np.ascontiguousarray(vectors[:, ::-1]).astype(np.float32)
    for start in range(0, len(rows), BLOCK):
        rows[start : start + BLOCK] = rows[start : start + BLOCK] @ axes
    return Spectrum(rows, np.maximum(values[::-1], 0.0), centre, scale, axes)


def choose_penalty(spectrum: Spectrum, targets: Floats) -> tuple[float, float]:
    """Return the penalty with the smallest left-out squared error, and that error.

    The grid lies around the mean eigenvalue.

    Args:
        spectrum: of N samples.
        targets: shape (N, K).
    """
    unit = float(spectrum.eigenvalues.mean()) or 1.0
    grid = [unit * factor for factor in PENALTIES]
    errors = [
        float(np.square(predict_left_out(spectrum, targets, penalty) - targets).mean())
        for penalty in grid
    ]
    best = int(np.argmin(errors))
    return grid[best], errors[best]


def predict_left_out(spectrum: Spectrum, targets: Floats, penalty: float) -> Floats:
    """Return each sample's prediction from the ridge that has never seen it.

    Exact: f_i = (fitted_i - h_i * y_i) / (1 - h_i), h the diagonal of the hat matrix with an
    unpenalised intercept.

    Args:
        spectrum: of N samples.
        targets: shape (N, K).
        penalty: above 0.

    Returns:
        Shape (N, K), float32.

    Source: Allen 1974, PRESS; Rifkin and Lippert 2007, Notes on Regularized Least Squares.

    >>> spectrum = decompose(np.array([[0.0], [1.0], [2.0], [3.0]], np.float32))
    >>> predict_left_out(spectrum, np.array([[0], [1], [2], [3]], np.float32), 1e-6).round(2)[3]
    array([3.], dtype=float32)
    """
    mean, weights = fit(spectrum, targets, penalty)
    shrink = (1.0 / (spectrum.eigenvalues + penalty)).astype(np.float32)
    left_out = np.empty(targets.shape, np.float32)
    for start in range(0, len(targets), BLOCK):
        rows, given = spectrum.rows[start : start + BLOCK], targets[start : start + BLOCK]
        hat = np.minimum(1.0 / len(targets) + np.square(rows) @ shrink, HAT_MAX)[:, None]
        left_out[start : start + BLOCK] = (mean + rows @ weights - hat * given) / (1.0 - hat)
    return left_out


def fit(spectrum: Spectrum, targets: Floats, penalty: float) -> tuple[Floats, Floats]:
    """Return the intercept (K,) and the weights (D, K) in the principal axes."""
    mean = targets.mean(axis=0, dtype=np.float64).astype(np.float32)
    products = spectrum.rows.T @ (targets - mean)
    return mean, (products / (spectrum.eigenvalues + penalty)[:, None]).astype(np.float32)


def moments(rows: Floats) -> tuple[Floats, Floats]:
    """Return mean and deviation of each column over its finite values; 1 where it is flat."""
    count, total, square = (np.zeros(rows.shape[1]) for _ in range(3))
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK].astype(np.float64)
        known = np.isfinite(block)
        block[~known] = 0
        count += known.sum(axis=0)
        total += block.sum(axis=0)
        square += np.square(block).sum(axis=0)
    mean = total / np.maximum(count, 1)
    spread = np.sqrt(np.maximum(square / np.maximum(count, 1) - np.square(mean), 0))
    scale = np.where(spread > FLAT * (np.abs(mean) + FLAT), spread, 1.0)
    return mean.astype(np.float32), scale.astype(np.float32)


def finite(values: Floats) -> Floats:
    """Return the values, changed in place: 0 where they are not finite."""
    return np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
