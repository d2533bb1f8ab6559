"""What a person's marks on some twenty rows teach about the other cells of their table.

The weights of the signals start at what made tables gave them. Marked cells move them, for the
whole table and for each column, as far as they say otherwise: a few marks outweigh a detector that
is wrong about this table, and make use of hints that are too noisy without marks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.core.check import Check
from checks.metrics.cell_verdicts import signal_of

HINT = "~"  # ends the name of a check with looser thresholds
LOOSE: Mapping[str, Mapping[str, float]] = MappingProxyType({
    "numeric_outlier": {"tail_ratio_max": 0.7},
    "rare_typo": {"ratio_min": 3.0},
    "pattern_outlier": {"share_min": 0.7},
    "dependency_violation": {"support_min": 2, "majority_min": 0.5},
    "missing_value": {"filled_min": 0.1},
})  # fmt: skip
QUIET = 0.01  # how often a cell that no detector flags is wrong, before there are marks
SPREAD = MappingProxyType({"signal": 0.5, "own": 1.5, "column": 1.0})  # of a weight, before marks
_STEPS, _NEAR = 30, 1e-6


Key = tuple[str, str]  # signal, column; an empty one stands for all of them


def loosen(checks: Sequence[Check]) -> list[Check]:
    """Return the checks of `LOOSE` with thresholds that flag more: their findings are hints."""
    return [
        replace(check.configured(**LOOSE[check.id]), id=check.id + HINT)
        for check in checks
        if check.kind == "cell" and check.id in LOOSE
    ]


def keys_of(column: str, signals: Sequence[str]) -> list[Key]:
    """Return the weights that a cell of `column` with `signals` takes part in."""
    return [("", column), *((s, "") for s in signals), *((s, column) for s in signals)]


def spread_of(key: Key) -> float:
    """Return how far a weight may lie from nought before marks speak for it."""
    signal, column = key
    return SPREAD["column" if not signal else "own" if column else "signal"]


def tell_signals(findings: pl.DataFrame, hints: pl.DataFrame) -> pl.DataFrame:
    """Return sample_id, column and the sorted signals of every cell that is flagged or hinted at.

    Args:
        findings: tables.Findings of the cell checks.
        hints: those of `loosen`'s checks; one that its own strict check repeats says nothing more.
    """
    strict = findings.filter(pl.col("column").is_not_null())
    more = hints.with_columns(check=pl.col("check_id").str.strip_suffix(HINT)).join(
        strict, left_on=["sample_id", "column", "check"],
        right_on=["sample_id", "column", "check_id"], how="anti",
    )  # fmt: skip
    told = [
        strict.select("sample_id", "column", signal=signal_of()),
        more.select("sample_id", "column", signal=pl.col("check_id")),
    ]
    both = pl.concat(told).group_by("sample_id", "column")
    return both.agg(signals=pl.col("signal").unique().sort()).sort("sample_id", "column")


def learn_marks(
    marks: pl.DataFrame, cells: pl.DataFrame, columns: Sequence[str]
) -> dict[Key, float]:
    """Return the weights that the marked rows give; every cell of such a row is marked.

    Args:
        marks: sample_id and column of each wrong cell; column is null for a row without one.
        cells: sample_id, column, signals, confidence (null for a mere hint).
        columns: all that a person looked at.
    """
    known = {(s, c): (told, p) for s, c, told, p in cells.join(
        marks.select("sample_id").unique(), on="sample_id", how="semi"
    ).select("sample_id", "column", "signals", "confidence").iter_rows()}  # fmt: skip
    wrong = set(marks.select("sample_id", "column").iter_rows())
    # a column without a signal or a wrong cell in these rows has nothing to teach
    told_of = {column for _, column in (*known, *wrong)}
    lively = [column for column in columns if column in told_of]
    places = [(s, c) for s in sorted(set(marks["sample_id"])) for c in lively]
    told = [known.get(place, ((), None)) for place in places]
    return learn(
        [log_odds(QUIET if p is None else p) for _, p in told],
        [(column, signals) for (_, column), (signals, _) in zip(places, told, strict=True)],
        [place in wrong for place in places],
    )


def apply_weights(cells: pl.DataFrame, weights: Mapping[Key, float]) -> pl.DataFrame:
    """Return `cells` with the confidence that the weights give, reckoned once for each pattern."""
    patterns = cells.select("column", "signals", "confidence").unique()
    sure = [
        _logistic(np.array([
            log_odds(QUIET if p is None else p)
            + sum(weights.get(key, 0.0) for key in keys_of(column, signals))
        ]))[0].round(4)
        for column, signals, p in patterns.iter_rows()
    ]  # fmt: skip
    learnt = patterns.with_columns(learnt=pl.Series(sure, dtype=pl.Float64))
    joined = cells.join(learnt, on=["column", "signals", "confidence"], how="left",
                        nulls_equal=True)  # fmt: skip
    return joined.with_columns(confidence="learnt").drop("learnt")


def learn(
    odds: Sequence[float], signals: Sequence[tuple[str, Sequence[str]]], wrong: Sequence[bool]
) -> dict[Key, float]:
    """Return the most likely weights, given marked cells.

    Args:
        odds: the log odds of each marked cell as its detectors alone give them.
        signals: the column and the signals of each marked cell.
        wrong: whether a person called it wrong.

    Logistic regression about a prior: each weight is normal about nought with `SPREAD`. Newton's
    steps in the order of the cells: the same marks give the same weights.

    Source: detector bits as features and a classifier for each column as in Raha (Mahdavi et al.
    2019); the pooling over columns by a hierarchical prior is Gelman and Hill 2007, chapter 12.

    >>> once = [("size", ["mixed_unit"])]
    >>> weights = learn([4.0, 4.0, 4.0], 3 * once, [False, False, False])
    >>> weights["mixed_unit", "size"] < -1
    True
    """
    names = sorted({key for column, told in signals for key in keys_of(column, told)})
    place = {key: i for i, key in enumerate(names)}
    design = np.zeros((len(signals), len(names)))
    for i, (column, told) in enumerate(signals):
        design[i, [place[key] for key in keys_of(column, told)]] = 1.0
    stiff = np.array([1 / spread_of(key) ** 2 for key in names])
    base, target = np.asarray(odds, float), np.asarray(wrong, float)
    weights = np.zeros(len(names))
    for _ in range(_STEPS):
        sure = _logistic(base + design @ weights)
        slope = design.T @ (sure - target) + stiff * weights
        curve = (design * (sure * (1 - sure))[:, None]).T @ design + np.diag(stiff)
        step = np.linalg.solve(curve, slope)
        # far from the top a full step may overshoot: none is longer than 2
        step *= min(1.0, 2.0 / max(float(np.abs(step).max(initial=0.0)), _NEAR))
        weights -= step
        if np.abs(step).max(initial=0.0) < _NEAR:
            break
    return {key: float(w) for key, w in zip(names, weights, strict=True)}


def _logistic(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))), float)


def log_odds(confidence: float) -> float:
    """Return the log odds of a confidence, 0..1, kept away from both ends."""
    kept = min(max(confidence, 1e-3), 1 - 1e-3)
    return float(np.log(kept / (1 - kept)))
