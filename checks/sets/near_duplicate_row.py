"""Rows that repeat another one in all but a cell or two, where chance would not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from rapidfuzz.distance import OSA

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.column_table import read_columns
from checks.metrics.row_likeness import (
    GROUPS_MIN,
    Codes,
    Hashed,
    allow_bits,
    cell_of,
    compare_rows,
    find_candidates,
    group_columns,
    hash_rows,
)
from checks.metrics.tabular_profile import ColumnProfile
from checks.sets.drawn import ROWS_MAX, draw_rows, list_samples

FOUND = {"sample_id": pl.String, "value": pl.Float64, "threshold": pl.Float64,
         "suggestion": pl.String, "evidence": pl.String}  # fmt: skip
SAMPLE_ROWS = 20_000  # that dependences and single values are counted on
PAIRS_MAX = 500_000  # that are looked at cell by cell
KEY_MIN = 0.98  # distinct whole numbers among the rows, as the profile has it for identifiers
COMMON_MIN = 20  # pairs that differ in the same columns, before they may be this table's way
SLIP_FRAC, SLIP_LENGTH_MIN = 0.01, 4  # of a number; characters of a text that one edit is a slip in
DIGITS, SHOWN = 1, 40


def _example(rows: int, copies: Mapping[int, int]) -> SetExample:
    """Rows of unlike numbers; each row of `copies` repeats another one but for a cell."""
    samples = list_samples(["x"] * rows)
    ids = samples["sample_id"]
    columns: dict[str, list[object]] = {
        name: [float((at + 1) * factor % 997) for at in range(rows)]
        for name, factor in zip("abcdef", (31, 101, 211, 307, 401, 503), strict=True)
    }
    for copy, at in copies.items():
        for name in "abcde":
            columns[name][copy] = columns[name][at]
    tables: dict[str, dict[str, list[object]]] = {
        "samples": samples,
        "rows": {"sample_id": ids, **columns},
        "columns": {"name": [*"abcdef"], "dtype": ["Float64"] * 6, "kind": ["number"] * 6},
    }  # fmt: skip
    return SetExample(tables, frozenset(str(ids[copy]) for copy in copies))


@set_check(
    modality="table",
    needs=("samples", "rows", "columns"),
    dimension="duplicate",
    severity="warning",
    action="review",
    cells_max=2,
    chance_max=0.1,
    common_frac_max=0.05,
    rows_max=2_000_000,
    examples=(
        _example(80, {60: 3, 70: 4}),
        _example(80, {}),
    ),
)
def near_duplicate_row(
    tables: Mapping[str, pl.LazyFrame], *, cells_max: int, chance_max: float,
    common_frac_max: float, rows_max: int,
) -> Judged:  # fmt: skip
    """Flag a row that equals another one in all but `cells_max` cells (two at most) beyond chance.

    Cells agree by chance where values are common, so agreement counts in bits: the rarer the
    values shared, the more. What rows must share is such that chance gives `chance_max` pairs in
    the whole table. Keys, which differ in copies too, and the label are not compared; a slip (one
    edit in a text, a hundredth of a number) does not count as differing, only as not agreeing.
    Pairs that differ in the same columns, and are more than `common_frac_max` of the rows, are
    what this table is like (a reading each second); the facts tell them.

    A train row is flagged for its like outside train, else the later row; exact copies are left to
    `exact_duplicate`. Tables of more than `rows_max` rows, or of fewer than three columns, are not
    judged. Cost: near-linear, 7 CPU s and 300 MB for a million rows of 20 columns.

    Why: a record entered twice with a slip weighs double, and leaks where it lies in both splits.
    Source: blocking and sorted neighbourhood (Hernandez and Stolfo 1995); agreement weights by
    frequency (Fellegi and Sunter 1969), with the chance of any pair in place of a trained model.
    """
    columns = [c for c in read_columns(tables["columns"]) if _is_compared(c)]
    samples = tables["samples"].select("sample_id", "split", "uri", "row").collect()
    if len(columns) < GROUPS_MIN or not 1 < samples.height <= rows_max:
        told = f"{samples.height} rows, {len(columns)} columns"
        return Judged(pl.DataFrame(schema=FOUND), facts={"not_judged": told})
    cells = [cell_of(c) for c in columns]
    sample = draw_rows(tables, ROWS_MAX).rows.head(SAMPLE_ROWS).select(cells)
    groups = group_columns(sample)
    if len(groups) < GROUPS_MIN:
        return Judged(pl.DataFrame(schema=FOUND), facts={"not_judged": "columns follow each other"})
    hashed = hash_rows(tables["rows"], cells, groups)
    need = [allow_bits(len(hashed.ids), len(columns), k, chance_max) for k in range(cells_max + 1)]
    candidates, count = find_candidates(hashed, need[0], PAIRS_MAX)
    pairs = _compare(tables["rows"], columns, hashed, candidates, groups, sample, need)
    sure = pairs.with_columns(threshold=pl.lit(pl.Series(need)).gather("differing"))
    sure = sure.filter(pl.col("bits") >= pl.col("threshold"))
    usual = _list_usual(sure, common_frac_max * len(hashed.ids))
    kept = sure.join(usual, on="where", how="anti")
    facts = {"candidates": count, "pairs": kept.height, "groups": groups,
             "usual": dict(usual.select("where", "len").iter_rows())}  # fmt: skip
    return Judged(_judge(kept, samples), facts=facts)


def _is_compared(column: ColumnProfile) -> bool:
    """Whether a copy would hold the same: a key, of whole numbers too, is another in each row."""
    whole = column.kind == "number" and column.number_count == column.integer_count
    key = whole and column.distinct_count >= KEY_MIN * max(column.row_count, 1)
    return column.is_plain and column.kind not in ("identifier", "constant") and not key


def _compare(  # noqa: PLR0917 - what is known of the table, in the order it was found
    rows: pl.LazyFrame, columns: list[ColumnProfile], hashed: Hashed, candidates: Codes,
    groups: list[list[str]], sample: pl.DataFrame, need: list[float],
) -> pl.DataFrame:  # fmt: skip
    """Pairs that may pass: left, right, bits, differing cells, where, and how from either side."""
    ends, place = np.unique(candidates, return_inverse=True)
    wanted = hashed.ids.gather(ends).to_frame()
    chosen = rows.join(wanted.lazy(), on="sample_id", how="semi")
    held = chosen.select("sample_id", *(cell_of(c) for c in columns)).sort("sample_id")
    cells = held.collect(engine="streaming").drop("sample_id")
    pairs = place.reshape(-1, 2)
    joint = hashed.bits[candidates[:, 0]] if len(candidates) else np.zeros((0, len(groups)))
    seen = compare_rows(cells, pairs, joint, groups, sample)
    close = np.flatnonzero((seen.differs.sum(axis=1) < len(need)) & (seen.bits >= need[0]))
    found = []
    for at in close.tolist():
        where = np.flatnonzero(seen.differs[at]).tolist()
        one, two = (int(end) for end in pairs[at])
        both = [(cells[one, c], cells[two, c]) for c in where]
        slips = sum(_is_slip(*cell) for cell in both)
        names = [cells.columns[c] for c in where]
        told = [_tell(names, both), _tell(names, [cell[::-1] for cell in both])]
        ids = [str(hashed.ids[int(end)]) for end in candidates[at]]
        found.append((*ids, float(seen.bits[at]), len(where) - slips, ", ".join(names), *told))
    schema = {"left": pl.String, "right": pl.String, "bits": pl.Float64, "differing": pl.Int64,
              "where": pl.String, "how": pl.String, "how_other": pl.String}  # fmt: skip
    return pl.DataFrame(found, schema=schema, orient="row")


def _tell(names: list[str], cells: list[tuple[Any, Any]]) -> str:
    """Each column that differs with the row's own cell and the other one's."""
    both = zip(names, cells, strict=True)
    return ", ".join(f"{name} ({_show(one)}, there {_show(two)})" for name, (one, two) in both)


def _show(cell: Any) -> str:
    """A cell as it is told: 12 and not 12.0, a text in quotes, long ones cut."""
    if isinstance(cell, float):
        return repr(cell).removesuffix(".0")
    return "nothing" if cell is None else f"'{str(cell)[:SHOWN]}'"


def _is_slip(one: Any, other: Any) -> bool:
    """Whether two different cells are almost alike: a hundredth of a number, one edit of a text."""
    if one is None or other is None:
        return True
    if isinstance(one, float):
        return bool(abs(one - other) <= SLIP_FRAC * max(abs(one), abs(other)))
    long = min(len(one), len(other)) >= SLIP_LENGTH_MIN
    return long and OSA.distance(one.casefold(), other.casefold(), score_cutoff=1) <= 1


def _list_usual(pairs: pl.DataFrame, most: float) -> pl.DataFrame:
    """The columns, in which more than `most` pairs differ, with how many."""
    counted = pairs.filter(pl.col("where") != "").group_by("where").len().sort("where")
    return counted.filter(pl.col("len") > max(most, COMMON_MIN))


def _judge(pairs: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Who is flagged of each pair: train for what is held out, else the later row."""
    stays = pl.col("split").replace_strict({"test": 0, "val": 1}, default=2)
    ends = pl.concat([pairs["left"], pairs["right"]]).unique().implode()
    told = samples.filter(pl.col("sample_id").is_in(ends)).select(
        "sample_id", "split", order=pl.struct(stays, "uri", "row").rank("ordinal")
    )
    both = pairs.join(told, left_on="left", right_on="sample_id").join(
        told, left_on="right", right_on="sample_id", suffix="_other"
    )
    later = pl.col("order") > pl.col("order_other")
    named = both.with_columns(
        sample_id=pl.when(later).then("left").otherwise("right"),
        suggestion=pl.when(later).then("right").otherwise("left"),
        there=pl.when(later).then("split_other").otherwise("split"),
        how=pl.when(later).then("how").otherwise("how_other"),
    )
    best = named.sort("sample_id", "bits", "suggestion", descending=[False, True, False])
    best = best.unique("sample_id", keep="first", maintain_order=True)
    evidence = pl.format("equals {} in {} but for {}", "suggestion", "there", "how")
    alike = pl.format("equals {} in {} but for its key", "suggestion", "there")
    return best.select(
        "sample_id", pl.col("bits").round(DIGITS).alias("value"),
        pl.col("threshold").round(DIGITS), "suggestion",
        evidence=pl.when(pl.col("how") == "").then(alike).otherwise(evidence),
    )  # fmt: skip
