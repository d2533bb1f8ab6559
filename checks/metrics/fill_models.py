"""Numbers guessed from the other numbers of a row: nearest neighbours, or iterated regression."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

NEIGHBOURS = 5
ROUNDS = 10  # of the regression over all columns
NEAREST_COLUMNS = 30  # that a column is regressed on, at most
DIGITS = 6  # significant; beyond them libraries differ
BLOCK_ROWS = 1000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class NumberModel:
    """A fitted model.

    names: the columns it reads, in order. whole: those it fills, and whether they hold whole
    numbers. centre, scale, low, high: of each column in the rows fitted on.
    """

    model: Any
    names: tuple[str, ...]
    whole: Mapping[str, bool]
    centre: Floats
    scale: Floats
    low: Floats
    high: Floats

    def fill(self, cells: pl.DataFrame) -> dict[str, pl.Series]:
        """Return each filled column as text, one value for each row, null where nothing is known.

        Values stay between the smallest and the largest number that the model has seen.
        """
        matrix = (_matrix(cells, self.names) - self.centre) / self.scale
        known = np.isfinite(matrix).any(axis=1)
        guessed = np.full_like(matrix, np.nan)
        places = np.flatnonzero(known)
        for start in range(0, places.size, BLOCK_ROWS):
            block = places[start : start + BLOCK_ROWS]
            guessed[block] = self.model.transform(matrix[block])
        numbers = np.clip(guessed * self.scale + self.centre, self.low, self.high)
        return {name: _tell(numbers[:, at], whole=self.whole[name])
                for at, name in enumerate(self.names) if name in self.whole}  # fmt: skip


def fit_model(
    method: str, train: pl.LazyFrame, whole: Mapping[str, bool], *, rows_max: int, seed: int
) -> NumberModel:
    """Fit `knn` or `iterative` on the train rows with the smallest sample_ids.

    Args:
        method: knn (mean of the 5 nearest rows by the numbers that both have) or iterative (each
            column by Bayesian ridge regression on the others, 10 rounds).
        train: sample_id and columns; those of Float64 are read.
        whole: the columns to fill, and whether they hold whole numbers.
        rows_max: rows fitted on.
        seed: of the order in which the regression visits the columns.

    Source: Troyanskaya et al. 2001 (nearest neighbours); van Buuren and Groothuis-Oudshoorn 2011
    (chained equations), as scikit-learn has them.
    """
    types = train.collect_schema()
    numbers = tuple(name for name, kind in types.items() if kind == pl.Float64)
    rows = train.select("sample_id", *numbers).bottom_k(rows_max, by="sample_id")
    drawn = rows.sort("sample_id").collect(engine="streaming")
    names = tuple(name for name in numbers if drawn[name].is_finite().any())
    matrix = _matrix(drawn, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # columns without spread, rounds that do not converge
        centre, scale = np.nanmean(matrix, axis=0), np.nanstd(matrix, axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        model = _imputer(method, len(names), seed).fit((matrix - centre) / scale)
    told = {name: kind for name, kind in whole.items() if name in names}
    return NumberModel(model, names, told, centre, scale, np.nanmin(matrix, axis=0),
                       np.nanmax(matrix, axis=0))  # fmt: skip


def _imputer(method: str, width: int, seed: int) -> Any:
    if method == "knn":
        from sklearn.impute import KNNImputer  # noqa: PLC0415 - slow to import

        return KNNImputer(n_neighbors=NEIGHBOURS, keep_empty_features=True)
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401, PLC0415
    from sklearn.impute import IterativeImputer  # noqa: PLC0415

    nearest = NEAREST_COLUMNS if width > NEAREST_COLUMNS else None
    return IterativeImputer(max_iter=ROUNDS, random_state=seed, n_nearest_features=nearest,
                            keep_empty_features=True)  # fmt: skip


def _matrix(cells: pl.DataFrame, names: tuple[str, ...]) -> Floats:
    """The columns as float64, (N, D), NaN where there is no finite number."""
    if not names:
        return np.zeros((cells.height, 0))
    matrix = cells.select(pl.col(names).fill_null(float("nan"))).to_numpy().astype(np.float64)
    return np.where(np.isfinite(matrix), matrix, np.nan)


def _tell(numbers: Floats, *, whole: bool) -> pl.Series:
    """The numbers as texts of cells, null where there is none."""
    known = pl.Series(numbers, nan_to_null=True)
    rounded = known.round(0) if whole else known.round_sig_figs(DIGITS)
    return (rounded + 0.0).cast(pl.String).str.strip_suffix(".0")  # no cell says -0
