"""What people's verdicts say: which one stands, and how often flags and their absence are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from checks.core.slice_rates import exact_interval
from checks.core.tables import Reviews, guard

DIGITS = 6


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of wrong labels, 0..1, with its 95 % interval; share is None of nothing.

    reviewed: samples with a sure verdict. effective: how many equally likely draws they are worth.
    """

    share: float | None
    low: float
    high: float
    reviewed: int
    effective: float


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Precision of the flags, share of wrong labels among the others, and how many there are.

    wrong_labels: estimated count over the whole set, None where one of both rates is unknown.
    """

    flagged: Rate
    unflagged: Rate
    wrong_labels: float | None


def settle_opinions(opinions: pl.DataFrame) -> pl.DataFrame:
    """Return one verdict for each sample, that of the majority (tables.Reviews).

    Args:
        opinions: tables.Opinions.

    Those who are unsure do not count. Where as many say right as wrong the verdict is unsure:
    nothing is decided. Among those who say wrong the label that most propose is taken; where two
    are proposed equally often, none.

    >>> told = {"sample_id": "x", "label": "a", "verdict": ["wrong", "wrong", "right"],
    ...         "new_label": ["b", "b", None], "comment": None, "reviewer": ["ada", "bob", "eve"],
    ...         "reviewed_at": "", "drawn_prob": 1.0}
    >>> settle_opinions(pl.DataFrame(told)).select("verdict", "new_label", "disputed").row(0)
    ('wrong', 'b', True)
    """
    right = (pl.col("verdict") == "right").sum().cast(pl.Int64)
    wrong = (pl.col("verdict") == "wrong").sum().cast(pl.Int64)
    labels = pl.col("new_label").filter(pl.col("verdict") == "wrong").drop_nulls()
    ordered = opinions.sort("sample_id", "reviewer")
    settled = ordered.group_by("sample_id", maintain_order=True).agg(
        right=right, wrong=wrong, modes=labels.mode().sort(), named=labels.n_unique(),
        drawn_prob=pl.col("drawn_prob").max(), reviewers=pl.col("reviewer").str.join(", "),
    )  # fmt: skip
    verdict = (
        pl.when(pl.col("wrong") > pl.col("right")).then(pl.lit("wrong"))
        .when(pl.col("right") > pl.col("wrong")).then(pl.lit("right"))
        .otherwise(pl.lit("unsure"))
    )  # fmt: skip
    one = (pl.col("modes").list.len() == 1) & (verdict == "wrong")
    both = (pl.col("right") > 0) & (pl.col("wrong") > 0)
    told = settled.with_columns(
        verdict=verdict,
        new_label=pl.when(one).then(pl.col("modes").list.get(0, null_on_oob=True)),
        disputed=both | (pl.col("named") > 1),
    )
    return guard(Reviews, told.select(*Reviews.to_schema().columns), "reviews")


def measure_reviews(
    scores: pl.DataFrame, flagged: pl.DataFrame, verdicts: pl.DataFrame
) -> Reviewed:
    """Return how often flagged labels are wrong, and how often the others are, as people found.

    Each verdict weighs the inverse of its sample's chance of being asked about (Hajek's ratio), so
    that a review of the surest flags and a thin draw of the rest tell of the whole. Intervals are
    Clopper and Pearson's at the effective number of draws.

    Args:
        scores: sample_id of everyone who could be flagged (a null `label_suspicion` could not).
        flagged: sample_id of the flagged.
        verdicts: tables.Reviews, or at least sample_id, verdict and drawn_prob (0..1, not 0).
            Those who are unsure tell nothing; ids that are not in the scores are left out.

    Source: Hajek 1971; intervals: Korn and Graubard 1998, Survey Methodology 24.

    >>> ids = [f"s{i:03}" for i in range(110)]
    >>> scores = pl.DataFrame({"sample_id": ids})
    >>> verdicts = pl.DataFrame({"sample_id": ids[:20], "verdict": ["wrong"] * 8 + ["right"] * 12,
    ...                          "drawn_prob": [1.0] * 10 + [0.1] * 10})
    >>> told = measure_reviews(scores, scores.head(10), verdicts)
    >>> told.flagged.share, told.unflagged.share, told.unflagged.reviewed, told.wrong_labels
    (0.8, 0.0, 10, 8.0)
    """
    ranked = scores
    if "label_suspicion" in scores.columns:
        ranked = scores.filter(pl.col("label_suspicion").is_not_null())
    sure = verdicts.filter(pl.col("verdict").is_in(["right", "wrong"]))
    known = sure.join(ranked.select("sample_id"), on="sample_id", how="semi").sort("sample_id")
    own = ranked.join(flagged.select("sample_id").unique(), on="sample_id", how="semi").height
    inside = pl.col("sample_id").is_in(flagged["sample_id"].implode())
    hit, missed = _measure(known.filter(inside)), _measure(known.filter(~inside))
    shares = ((hit.share, own), (missed.share, ranked.height - own))
    if any(share is None and count for share, count in shares):
        return Reviewed(hit, missed, None)
    total = sum((share or 0.0) * count for share, count in shares)
    return Reviewed(hit, missed, round(total, 2))


def _measure(known: pl.DataFrame) -> Rate:
    if known.is_empty():
        return Rate(None, 0.0, 1.0, 0, 0.0)
    weights = 1 / known["drawn_prob"].to_numpy()
    wrong = (known["verdict"] == "wrong").to_numpy()
    share: Any = weights[wrong].sum() / weights.sum()
    worth = float(weights.sum() ** 2 / (weights**2).sum())
    low, high = exact_interval(round(float(share) * worth, 9), round(worth, 9))
    return Rate(round(float(share), DIGITS), low, high, known.height, round(worth, 3))
