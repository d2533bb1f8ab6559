"""One row of counts and shares for each batch of the data: what the quality gate judges.

A batch is what one would send back for repair: a split of a file, or of a class folder. The row
`all` sums them up. Shares are counts over counts, so that they are equal from run to run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import polars as pl

DRIFTED = "drift_large_count"
WHOLE = "all"
# leaks of labels by a column or by a property of the file, which are not rows of test in train
COLUMN_LEAKS = ("property_label_leak", "column_label_leak", "identifier_feature", "future_in_train")
KEYS = ("sample_id", "uri", "row", "split", "label", "xxh3_128", "byte_size")
UNREADABLE, MISSING_LABEL = "unreadable", "missing_label"
COUNTS = ("row_count", "train_count", "class_count", "smallest_class_count")


def build(
    samples: pl.DataFrame,
    metrics: pl.DataFrame,
    findings: pl.DataFrame,
    modality: Literal["image", "table"],
    *,
    check_ids: Sequence[str] = (),
    scan: pl.LazyFrame | None = None,
    drift: Sequence[Mapping[str, Any]] | None = None,
) -> pl.DataFrame:
    """Return one row for each batch and one named `all`, sorted by batch, `all` first.

    Args:
        samples: tables.Samples.
        metrics: sample_id (or uri and row) and one column for each metric.
        findings: tables.Findings.
        modality: images of a folder are batched by split and folder, all else by split and file.
        check_ids: checks that ran; each gets its column even if it found nothing.
        scan: a table source's rows (uri, row and data columns), for the gaps of each column.
        drift: what `checks.metrics.baseline.compare_baseline` returned; None without a baseline.

    Returns:
        batch, split (String); row_count, train_count, class_count, smallest_class_count (Int64);
        then Float64 0..1, null where there is nothing to divide by:
        unreadable_frac, missing_label_frac (null in a set without labels), flagged_frac,
        duplicate_rate, leak_rate (share of the train rows), class_entropy_frac (1: all classes
        of the batch equally frequent), `<check_id>__rate` and `<column or metric>__null_frac`.
        With `drift`, in the row `all` only: drift_large_count, drift_moderate_count (columns
        that moved that far) and `<column, or label_<split>>__drift_psi` (0 and above).
    """
    placed = _place(samples, modality)
    counts = placed.group_by("batch").agg(
        pl.col("split").first(),
        row_count=pl.len().cast(pl.Int64),
        train_count=(pl.col("split") == "train").sum().cast(pl.Int64),
    )
    marks, gaps = _count_marks(placed, findings, check_ids), _count_gaps(placed, metrics, scan)
    wide = counts.join(marks, on="batch", how="left").join(gaps, on="batch", how="left")
    wide = wide.with_columns(pl.exclude("batch", "split").fill_null(0)).sort("batch")
    whole = wide.select(
        pl.lit(WHOLE).alias("batch"),
        pl.lit(WHOLE).alias("split"),
        pl.exclude("batch", "split").sum(),
    )
    table = pl.concat([whole, wide]).join(_measure_classes(placed), on="batch", how="left")
    divided = _divide(table, labelled=samples["label"].null_count() < samples.height)
    return divided if drift is None else divided.with_columns(_list_drift(drift))


def _list_drift(drift: Sequence[Mapping[str, Any]]) -> list[pl.Expr]:
    """One column for each one compared; only the whole set has drifted or not."""
    words = [str(one["word"]) for one in drift]
    told: dict[str, float] = {DRIFTED: words.count("large"),
                              "drift_moderate_count": words.count("moderate")}  # fmt: skip
    for one in drift:
        if one["word"] != "not_judged":
            name = f"{one['name']}_{one['split']}" if one["split"] else str(one["name"])
            told[f"{name}__drift_psi"] = float(one["drift_psi"])
    whole = pl.when(pl.col("batch") == WHOLE)
    return [whole.then(pl.lit(float(value))).alias(name) for name, value in told.items()]


def _place(samples: pl.DataFrame, modality: str) -> pl.DataFrame:
    folders = modality == "image" and not samples["uri"].is_duplicated().any()
    folder = pl.col("uri").str.extract(r"^(.*)/[^/]*$").fill_null(".")
    place = folder if folders else pl.col("uri")
    return samples.select(
        "sample_id", "uri", "row", "split", "label", batch=pl.format("{}: {}", "split", place)
    )


def _count_marks(
    placed: pl.DataFrame, findings: pl.DataFrame, check_ids: Iterable[str]
) -> pl.DataFrame:
    hits = findings.select("sample_id", "check_id", "dimension")
    named = {
        "unreadable_frac": hits.filter(pl.col("check_id") == UNREADABLE),
        "missing_label_frac": pl.concat(
            [
                hits.filter(pl.col("check_id") == MISSING_LABEL).select("sample_id"),
                placed.filter(pl.col("label").is_null()).select("sample_id"),
            ]
        ),
        "flagged_frac": hits,
        "duplicate_rate": hits.filter(pl.col("dimension") == "duplicate"),
        "leak_rate": hits.filter(
            (pl.col("dimension") == "leak") & ~pl.col("check_id").is_in(COLUMN_LEAKS)
        ).join(placed.filter(pl.col("split") == "train"), on="sample_id", how="semi"),
    }
    marks = [frame.select("sample_id", pl.lit(name).alias("mark")) for name, frame in named.items()]
    marks.append(hits.select("sample_id", pl.format("{}__rate", "check_id").alias("mark")))
    counted = (
        pl.concat(marks)
        .unique()
        .join(placed.select("sample_id", "batch"), on="sample_id")
        .group_by("batch", "mark")
        .len()
    )
    ran = {f"{check_id}__rate" for check_id in check_ids} | set(counted["mark"]) - set(named)
    return counted.pivot("mark", on_columns=[*named, *sorted(ran)], index="batch", values="len")


def _count_gaps(
    placed: pl.DataFrame, metrics: pl.DataFrame, scan: pl.LazyFrame | None
) -> pl.DataFrame:
    keys = ["sample_id"] if "sample_id" in metrics.columns else ["uri", "row"]
    own = metrics.drop([key for key in KEYS if key in metrics.columns and key not in keys])
    gaps = _count_nulls(placed.lazy(), own.lazy(), keys)
    if scan is None:
        return gaps
    cells = _count_nulls(placed.lazy(), scan, ["uri", "row"])
    return gaps.join(cells.select("batch", pl.exclude(gaps.columns)), on="batch", how="left")


def _count_nulls(placed: pl.LazyFrame, values: pl.LazyFrame, keys: list[str]) -> pl.DataFrame:
    names = sorted(name for name in values.collect_schema().names() if name not in keys)
    gaps = [pl.col(name).is_null().alias(f"{name}__null_frac") for name in names]
    joined = placed.select("batch", *keys).join(values.select(*keys, *gaps), on=keys, how="left")
    absent = pl.exclude("batch", *keys).fill_null(value=True).sum()
    return joined.group_by("batch").agg(absent).collect(engine="streaming")


def _measure_classes(placed: pl.DataFrame) -> pl.DataFrame:
    both = pl.concat([placed, placed.with_columns(pl.lit(WHOLE).alias("batch"))])
    sizes = both.drop_nulls("label").group_by("batch", "label").len().sort("batch", "label")
    measured = sizes.group_by("batch", maintain_order=True).agg(
        class_count=pl.len().cast(pl.Int64),
        smallest_class_count=pl.col("len").min().cast(pl.Int64),
        sizes=pl.col("len"),
    )
    evenness = [_measure_evenness(counts) for counts in measured["sizes"].to_list()]
    return measured.drop("sizes").with_columns(
        pl.Series("class_entropy_frac", evenness, pl.Float64)
    )


def _measure_evenness(counts: Sequence[int]) -> float | None:
    """Entropy of the class shares over its largest possible value; None for one class."""
    whole = sum(counts)
    if len(counts) < 2:  # noqa: PLR2004 - one class has no spread
        return None
    entropy = math.fsum(-count / whole * math.log(count / whole) for count in sorted(counts))
    return min(1.0, entropy / math.log(len(counts)))


def _divide(table: pl.DataFrame, *, labelled: bool) -> pl.DataFrame:
    shares = [name for name in table.columns if name.endswith(("_frac", "_rate"))]
    shares.remove("class_entropy_frac")
    divided = [
        _share(name, "train_count" if name == "leak_rate" else "row_count") for name in shares
    ]
    classes = ("class_count", "smallest_class_count")
    known = [
        pl.col(name).fill_null(0) if labelled else pl.lit(None, pl.Int64).alias(name)
        for name in classes
    ]
    missing = pl.col("missing_label_frac") if labelled else pl.lit(None, pl.Float64)
    first = ("batch", "split", *COUNTS)
    return (
        table.with_columns(divided)
        .with_columns(*known, missing.alias("missing_label_frac"))
        .select(*first, pl.exclude(*first))
    )


def _share(name: str, of: str) -> pl.Expr:
    return pl.when(pl.col(of) > 0).then(pl.col(name) / pl.col(of)).alias(name)
