"""Pairs that lie much closer together than their surroundings: twins among feature vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from checks.metrics.similarity import nearest

WIDTH = 256  # columns that neighbours are looked up in; distances are taken over all columns
LOOKED_UP = 16
NEAR, FAR = 5, 12  # the neighbours that tell how far apart different samples lie here
SAMPLES_MIN = 50
SIGMA_MIN = 0.025  # of the logarithm of ratios; CIFAR-10 has 0.026
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """Candidate pairs left < right, shape (P,), and their `ratio`; `usual`: median and MAD of logs.

    ratio: distance over that of the neighbours 5 to 12 of the side that lies more alone.
    """

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    ratio: npt.NDArray[np.float64]
    usual: tuple[float, float]

    def limit(self, ratio_max: float, z_max: float) -> float:
        """Return the ratio below which a pair is rare for this set too; at most `ratio_max`.

        >>> flat = np.array([], np.int64)
        >>> round(Twins(flat, flat, np.array([]), (0.0, 0.1)).limit(0.8, -3.5), 3)
        0.595
        """
        middle, spread = self.usual
        sigma = max(MAD_TO_SIGMA * spread, SIGMA_MIN)
        return min(ratio_max, float(np.exp(middle + z_max * sigma)))


def find_twins(features_ND: npt.NDArray[np.float32]) -> Twins:
    """Return each sample's three nearest others as pairs, with how unusually close they are.

    Args:
        features_ND: finite; N at least SAMPLES_MIN.

    Source: local scaling of distances, Zelnik-Manor and Perona 2004 (self-tuning spectral
    clustering); the larger of both scales and neighbours 5 to 12 by own trial on CIFAR-10.
    Cost: N^2 * 256 multiplications in blocks; memory that of the features and 128 MB.
    """
    spread = features_ND.var(axis=0, dtype=np.float64)
    widest = np.sort(np.argsort(-spread, kind="stable")[:WIDTH])
    lookup = np.ascontiguousarray(features_ND[:, widest])
    places, _ = nearest(lookup, lookup, np.arange(len(lookup)), min(LOOKED_UP, len(lookup) - 2))
    away = _distances(features_ND, places)
    order = np.argsort(away, axis=1, kind="stable")
    places, away = np.take_along_axis(places, order, 1), np.take_along_axis(away, order, 1)
    scale = away[:, NEAR:FAR].mean(axis=1)
    rows = np.repeat(np.arange(len(places)), 3)
    near, gap = places[:, :3].ravel(), away[:, :3].ravel()
    ratio = gap / np.maximum(np.maximum(scale[rows], scale[near]), 1e-12)
    logs = np.log(np.maximum(ratio[::3], 1e-6))
    middle = float(np.median(logs))
    usual = middle, float(np.median(np.abs(logs - middle)))
    left, right = np.minimum(rows, near), np.maximum(rows, near)
    keys, first = np.unique(left * len(places) + right, return_index=True)
    return Twins(keys // len(places), keys % len(places), ratio[first], usual)


def _distances(
    features_ND: npt.NDArray[np.float32], places: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Distances over all columns from each row to its looked-up neighbours, (N, K)."""
    away = np.empty(places.shape)
    for start in range(0, len(places), 512):
        rows = slice(start, start + 512)
        gap = features_ND[places[rows]] - features_ND[rows][:, None]
        away[rows] = np.sqrt(np.einsum("nkd,nkd->nk", gap, gap, dtype=np.float64))
    return away
