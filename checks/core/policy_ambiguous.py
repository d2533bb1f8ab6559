"""Labels that are contested but plausible: ambiguous is not wrong."""

from __future__ import annotations

import polars as pl

SECOND_CHOICE, NEIGHBOURS = "second_choice", "neighbours"
VOTES_MIN = 0.5
DIGITS = 6  # so that the last bits of a mean, which threads may change, decide nothing
READ = {"label_prob": pl.Float64, "suggestion_prob": pl.Float64, "label_votes": pl.Float64,
        "suggestion": pl.String}  # fmt: skip


def mark_ambiguous(
    samples: pl.DataFrame, scores: pl.DataFrame, flagged: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return sample_id and `ambiguous`, why a contested label is plausible all the same.

    A label is contested if `flagged` names the sample, or the scores suggest another one. It is
    plausible if it is the model's second choice and its probability reaches the mean that
    the labels of its class have in train (`second_choice`), or if at least half of the neighbours
    bear it (`neighbours`).

    Args:
        samples: tables.Samples.
        scores: sample_id, and as far as they are there `label_prob` (0..1, of the given label),
            `suggestion_prob` (0..1, of the likeliest label), `suggestion` (that label) and
            `label_votes` (0..1, share of the neighbours that bear the given label). Nothing is
            ambiguous by a column that is absent or null.
        flagged: sample_id of those whose label a check doubts.

    Source: class thresholds are Northcutt et al. 2021, arXiv 1911.00068; own measurement: hard
    images with right labels are what a weak model's count takes for errors.

    >>> samples = pl.DataFrame({"sample_id": ["x", "y"], "label": ["a", "a"], "split": "train"})
    >>> scores = pl.DataFrame({"sample_id": ["x", "y"], "suggestion": "b", "label_prob": [0.4, 0.0],
    ...                        "suggestion_prob": [0.5, 0.9]})
    >>> mark_ambiguous(samples, scores).rows()
    [('x', 'second_choice')]
    """
    told = scores.select("sample_id", *(_read(scores, name) for name in READ))
    frame = samples.select("sample_id", "split", "label").sort("sample_id")
    frame = frame.join(told, on="sample_id", how="left", maintain_order="left")
    train = pl.col("label_prob").filter(pl.col("split") == "train")
    usual = train.mean().over("label").round(DIGITS)
    second = pl.col("label_prob") >= (1 - pl.col("suggestion_prob")) / 2  # no third can be likelier
    second &= pl.col("label_prob") < pl.col("suggestion_prob")
    contested = (pl.col("suggestion") != pl.col("label")).fill_null(value=False)
    if flagged is not None:
        contested |= pl.col("sample_id").is_in(flagged["sample_id"].implode())
    reason = (
        pl.when(second & (pl.col("label_prob") >= usual)).then(pl.lit(SECOND_CHOICE))
        .when(pl.col("label_votes") >= VOTES_MIN).then(pl.lit(NEIGHBOURS))
    )  # fmt: skip
    marked = frame.with_columns(ambiguous=reason).filter(contested & pl.col("label").is_not_null())
    return marked.filter(pl.col("ambiguous").is_not_null()).select("sample_id", "ambiguous")


def _read(scores: pl.DataFrame, name: str) -> pl.Expr:
    kind = READ[name]
    if name not in scores.columns:
        return pl.lit(None, kind).alias(name)
    column = pl.col(name).cast(kind)
    return column.fill_nan(None).round(DIGITS) if kind == pl.Float64 else column
