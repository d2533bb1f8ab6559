"""Training samples that stand in validation or test as well."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.sets.copies import Copies, Rule, find_copies

A, B = "a" * 32, "b" * 32
EXACTLY = "the same as"


def _example(*splits: str) -> dict[str, dict[str, list[object]]]:
    """The same content in each of `splits`, and a stranger in train."""
    count = len(splits)
    ids: list[object] = [f"{A}-{at}" for at in range(count)]
    return {"samples": {
        "sample_id": [*ids, f"{B}-0"],
        "split": [*splits, "train"], "label": ["x"] * (count + 1),
        "xxh3_128": [*[A] * count, B], "byte_size": [9] * (count + 1),
    }}  # fmt: skip


@set_check(
    needs=("samples", "metrics?"),
    dimension="leak",
    severity="error",
    action="drop",
    bits64_max=6,
    bits256_max=40,
    bits256_small=16,
    ac_std_min=4.0,
    examples=(
        SetExample(_example("train", "test"), frozenset({f"{A}-0"})),
        SetExample(_example("train", "train"), frozenset()),
        SetExample(_example("val", "test"), frozenset()),
    ),
)
def cross_split_leak(
    tables: Mapping[str, pl.LazyFrame], *, bits64_max: int, bits256_max: int,
    bits256_small: int, ac_std_min: float,
) -> Judged:  # fmt: skip
    """Flag a train sample that equals, or nearly equals, a validation or test sample.

    The suggestion is the sample that stays: in test before validation, the closest one first.

    Why: a copy of a test sample in train turns the test into a memory exercise; accuracy rises
    and says nothing about new data.
    Source: ciFAIR (Barz and Denzler 2020, arXiv 1902.00423): 3.3 % of CIFAR-10's test images have
    a near duplicate in train; distances as in `near_duplicate`.
    """
    copies = find_copies(tables, Rule(bits64_max, bits256_max, bits256_small, ac_std_min))
    train = copies.ranked.filter(pl.col("split") == "train").select("sample_id", "content", "look")
    exact = train.join(_choose_held(copies.ranked, "content"), on="content").select(
        "sample_id", "suggestion", "other", bits256=pl.lit(0, pl.Int64),
        limit=pl.lit(bits256_max, pl.Int64), how=pl.lit(EXACTLY),
    )  # fmt: skip
    near = train.join(_choose_near(copies, bits256_max), on="look")
    near = near.join(exact, on="sample_id", how="anti").select(exact.columns)
    return Judged(_tell(pl.concat([exact, near])), facts=copies.facts)


def _choose_held(ranked: pl.DataFrame, grain: str) -> pl.DataFrame:
    """For each content or look outside train the sample that stays: in test before validation."""
    held = ranked.filter(pl.col("split") != "train").sort(
        pl.col("split") != "test", maintain_order=True
    )
    first = held.unique(grain, keep="first", maintain_order=True)
    return first.select(grain, suggestion="sample_id", other="split")


def _choose_near(copies: Copies, bits256_max: int) -> pl.DataFrame:
    """For each look the closest near copy outside train, in test before validation."""
    told = pl.when(pl.col("how").is_null()).then(pl.lit("nearly the same as"))
    pairs = copies.pairs.select(
        "bits256", "limit", how=told.otherwise(pl.format("{} and nearly the same as", "how")),
        look="right", near="left",
    )  # fmt: skip
    own = copies.ranked.select("look").unique().select(
        bits256=pl.lit(0, pl.Int64), limit=pl.lit(bits256_max, pl.Int64),
        how=pl.lit("nearly the same as"), look="look", near="look",
    )  # fmt: skip
    held = _choose_held(copies.ranked, "look").rename({"look": "near"})
    across = pl.concat([pairs, own]).join(held, on="near")
    order = ["look", "away", "bits256", "suggestion"]
    closest = across.with_columns(away=pl.col("other") != "test").sort(order)
    return closest.unique("look", keep="first", maintain_order=True)


def _tell(leaks: pl.DataFrame) -> pl.DataFrame:
    told = pl.format("{} {} in {}", "how", "suggestion", "other")
    bits = pl.format("{} ({} of 256 bits differ)", told, "bits256")
    evidence = pl.when(pl.col("how") == EXACTLY).then(told).otherwise(bits)
    return leaks.select(
        "sample_id", pl.col("bits256").cast(pl.Float64).alias("value"),
        pl.col("limit").cast(pl.Float64).alias("threshold"), "suggestion",
        evidence.alias("evidence"),
    ).sort("sample_id")  # fmt: skip
