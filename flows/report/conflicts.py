"""Copies whose labels contradict each other, as pairs that groups are made of."""

from __future__ import annotations

import re

import polars as pl

CONFLICTS = "conflicting_labels"
PAIRS = pl.Schema({
    "sample_id": pl.String(), "check_id": pl.String(), "evidence": pl.String(),
    "keeper": pl.String(), "value": pl.Float64(),
})  # fmt: skip
_NEAR = re.compile(r"([0-9a-f]{32}-\d+)(?: \((\d+) of 256)?")


def pair_conflicts(findings: pl.DataFrame, told: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return pairs like those of duplicates for what `conflicting_labels` found.

    Equal contents stand together; near copies beside the sample that the evidence names. The one
    that stands first is the keeper of a group that is there already, else the one whose label
    most of the copies carry, else the first by place; what the decisions say comes after, see
    `flows.report.duplicates`.

    Args:
        findings: tables.Findings.
        told: samples with xxh3_128 and pixel_digest.
        pairs: sample_id, check_id, evidence, keeper, value of duplicates and leaks.
    """
    mine = findings.filter(pl.col("check_id") == CONFLICTS).select("sample_id", "evidence")
    if mine.is_empty():
        return pl.DataFrame(schema=PAIRS)
    content = pl.coalesce("pixel_digest", "xxh3_128")
    known = told.select("sample_id", "uri", "row", "label", content=content)
    group = dict(zip(pairs["sample_id"], pairs["keeper"], strict=True))
    group |= {keeper: keeper for keeper in group.values()}
    rows = _pair_equal(mine, known, group)
    done = {row[0] for row in rows} | {row[3] for row in rows}
    rows += _pair_near(mine.filter(~pl.col("sample_id").is_in(list(done))), known, group)
    return pl.DataFrame(rows, schema=PAIRS, orient="row")


def _pair_equal(
    mine: pl.DataFrame, known: pl.DataFrame, group: dict[str, str]
) -> list[tuple[str, str, str, str, float | None]]:
    touched = known.join(mine, on="sample_id", how="semi").select("content").unique()
    votes = pl.len().over("content", "label")
    copies = (
        known.join(touched, on="content", how="semi")
        .with_columns(votes=votes, classes=pl.col("label").n_unique().over("content"))
        .filter(pl.col("classes") > 1)
        .sort("content", "votes", "uri", "row", descending=[False, True, False, False])
    )
    rows: list[tuple[str, str, str, str, float | None]] = []
    for _, one in copies.group_by("content", maintain_order=True):
        ids = one["sample_id"].to_list()
        first = next((group[i] for i in ids if i in group), ids[0])
        rows += [(i, CONFLICTS, "", first, None) for i in ids if i != first]
    return rows


def _pair_near(
    mine: pl.DataFrame, known: pl.DataFrame, group: dict[str, str]
) -> list[tuple[str, str, str, str, float | None]]:
    there = set(known["sample_id"])
    rows: list[tuple[str, str, str, str, float | None]] = []
    paired: set[str] = set()
    for sample_id, evidence in mine.sort("sample_id").rows():
        found = _NEAR.search(evidence)
        if found is None or found[1] not in there or sample_id in paired:
            continue
        first = group.get(sample_id) or group.get(found[1]) or found[1]
        bits = float(found[2]) if found[2] else None
        rows += [(i, CONFLICTS, evidence, first, bits)
                 for i in (sample_id, found[1]) if i != first and i not in paired]  # fmt: skip
        paired |= {sample_id, found[1]}
    return rows
