"""Pictures that show what another one shows, too far apart for a hash: twins by features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.twins import SAMPLES_MIN, find_twins
from checks.metrics.vectors import stack
from checks.sets.copies import rank_samples

FOUND = {"sample_id": pl.String, "value": pl.Float64, "threshold": pl.Float64,
         "suggestion": pl.String, "evidence": pl.String}  # fmt: skip
DIGITS = 3


def _example(last: float, split: str) -> dict[str, dict[str, list[object]]]:
    """Sixty points evenly on a circle, the last one `last` steps from the one before it."""
    ids: list[object] = [f"{at:032x}-0" for at in range(60)]
    angle = np.append(np.arange(59), 58 + last) * 2 * np.pi / 61
    points = np.column_stack([np.cos(angle), np.sin(angle)]).tolist()
    return {
        "samples": {
            "sample_id": ids, "split": ["train"] * 59 + [split], "label": ["x"] * 60,
            "xxh3_128": [str(name)[:32] for name in ids], "byte_size": [9] * 60,
        },
        "features": {"sample_id": ids, "features": points},
    }  # fmt: skip


@set_check(
    modality="image",
    needs=("samples", "features", "metrics?"),
    dimension="duplicate",
    severity="warning",
    action="review",
    relative=True,
    ratio_max=0.765,
    z_max=-8.0,
    samples_max=300_000,
    examples=(
        SetExample(_example(1e-3, "train"), frozenset({f"{59:032x}-0"})),
        SetExample(_example(1e-3, "test"), frozenset({f"{58:032x}-0"})),
        SetExample(_example(1.0, "train"), frozenset()),
    ),
)
def near_twin(
    tables: Mapping[str, pl.LazyFrame], *, ratio_max: float, z_max: float, samples_max: int
) -> Judged:
    """Flag pictures that lie far closer to another one than pictures of this set usually lie.

    A distance in feature space counts beside that of the neighbours 5 to 12 of the side that lies
    more alone: at most `ratio_max` of it, and `z_max` robust deviations below what nearest
    neighbours of this set have. A train picture is flagged for its twin outside train, else the
    one less worth keeping. The same content is left to the checks of copies.

    Why: two frames of one scene, or one object photographed twice, make a split leak although no
    hash tells; but similar things are similar with reason, which is why they are only shown.
    Source: local scaling (Zelnik-Manor and Perona 2004); the limits from CIFAR-10, where people
    judged such pairs (ciFAIR, Barz and Denzler 2020): 51 of 57 are found, and of those that were
    flagged and nobody had judged, five in six show the same when looked at (`bench.twins`).
    """
    ranked = rank_samples(tables).select("sample_id", "split", "content").with_row_index("rank")
    features = tables["features"].select("sample_id", "features").drop_nulls("features")
    frame = ranked.lazy().join(features, on="sample_id").sort("sample_id").collect()
    if not SAMPLES_MIN <= frame.height <= samples_max:
        return Judged(pl.DataFrame(schema=FOUND), facts={"not_judged": f"{frame.height} samples"})
    matrix = stack(frame["features"])
    twins = find_twins(np.where(np.isfinite(matrix), matrix, np.float32(0)))
    limit = round(twins.limit(ratio_max, z_max), DIGITS)
    near = twins.ratio <= limit
    pairs = pl.DataFrame(
        {"left": twins.left[near], "right": twins.right[near], "ratio": twins.ratio[near]}
    )
    findings = _judge(frame.drop("features"), pairs, limit)
    return Judged(findings, facts={"pairs": pairs.height, "ratio_limit": limit})


def _judge(samples: pl.DataFrame, pairs: pl.DataFrame, limit: float) -> pl.DataFrame:
    """Who stays of each pair: in test before validation before train, then the better one."""
    stays = pl.col("split").replace_strict({"test": 0, "val": 1}, default=2)
    told = samples.with_columns(stays=stays).with_row_index("at").with_columns(
        pl.col("at").cast(pl.Int64), order=pl.struct("stays", "rank").rank("ordinal")
    )  # fmt: skip
    both = pairs.join(told, left_on="left", right_on="at").join(
        told, left_on="right", right_on="at", suffix="_other"
    )
    first = both.filter(pl.col("content") != pl.col("content_other"))
    names = ["sample_id", "split", "order"]
    swap = {name: f"{name}_other" for name in names} | {f"{name}_other": name for name in names}
    every = pl.concat([first, first.rename(swap).select(first.columns)])
    kept = every.filter(pl.col("order") > pl.col("order_other")).sort(
        "sample_id", pl.col("split_other") == pl.col("split"), "ratio", "sample_id_other"
    )
    flagged = kept.unique("sample_id", keep="first", maintain_order=True)
    evidence = pl.format("at {} of the usual distance from {} in {}", pl.col("ratio").round(DIGITS),
                         "sample_id_other", "split_other")  # fmt: skip
    return flagged.select(
        "sample_id", pl.col("ratio").round(DIGITS).alias("value"),
        pl.lit(limit).alias("threshold"), pl.col("sample_id_other").alias("suggestion"),
        evidence.alias("evidence"),
    )  # fmt: skip
