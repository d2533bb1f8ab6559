"""Columns that tell the label by themselves: filled in after it, or it under another name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.column_table import read_columns
from checks.metrics.tabular_profile import ColumnProfile
from checks.metrics.tellers import Telling, code_values, guess_labels
from checks.sets.drawn import ROWS_MAX, Drawn, draw_rows, list_samples

FOUND = {"sample_id": pl.String, "column": pl.String, "value": pl.Float64,
         "threshold": pl.Float64, "evidence": pl.String}  # fmt: skip
DIGITS = 3
COLUMNS_TOLD = 10


def _example(boat: list[object], kind: str) -> dict[str, dict[str, list[object]]]:
    """200 rows, every third one saved, and a column that may tell."""
    samples = list_samples(["saved" if at % 3 == 0 else "lost" for at in range(200)])
    return {
        "samples": samples,
        "rows": {"sample_id": samples["sample_id"], "boat": boat},
        "columns": {"name": ["boat"], "dtype": ["String"], "kind": [kind], "row_count": [200]},
    }  # fmt: skip


@set_check(
    modality="table",
    needs=("samples", "rows", "columns"),
    dimension="leak",
    severity="warning",
    action="keep",
    gain_min=0.95,
    rows_per_value_min=10,
    open_count_min=30,
    rows_max=ROWS_MAX,
    examples=(
        SetExample(_example([str(at % 5) if at % 3 == 0 else None for at in range(200)],
                            "category"), frozenset({f"{0:032x}-0"})),
        SetExample(_example([str(at % 5) for at in range(200)], "category"), frozenset()),
        SetExample(_example([f"id{at}" for at in range(200)], "identifier"), frozenset()),
    ),
)  # fmt: skip
def column_label_leak(
    tables: Mapping[str, pl.LazyFrame], *, gain_min: float, rows_per_value_min: int,
    open_count_min: int, rows_max: int,
) -> Judged:  # fmt: skip
    """Flag a column that alone tells at least `gain_min` of what the commonest label leaves open.

    Each half of the train rows is guessed from the other: by the commonest label of the row's
    value, of its range of numbers, or of the missing ones. Copies lie in one half. Values of fewer
    than `rows_per_value_min` rows on average tell rows, not labels, and so are not judged; nor is a
    set in which the commonest label leaves fewer than `open_count_min` rows open. At most
    `rows_max` rows are read. The finding names the column and one row that shows it.

    Some columns tell the label with reason. Ask whether the value is known before the label is: if
    not, new data will not have it, and the column must go: `[training] leave_out`.

    Why: a column that was filled in after the label makes a test accuracy that no new row reaches.
    Source: Kaufman et al. 2012, Leakage in data mining (a feature is legitimate if it is known
    before the target); the guess by one column is Holte's 1R (1993), judged on the other half.
    """
    drawn = draw_rows(tables, rows_max)
    drawn = drawn.filter((drawn.samples["split"] == "train") & drawn.samples["label"].is_not_null())
    labels = drawn.samples["label"].rank("dense").cast(pl.Int64).to_numpy() - 1
    columns = [c for c in read_columns(tables["columns"]) if c.is_plain and c.kind != "constant"]
    told: dict[str, float] = {}
    found = []
    for column in columns:
        places, width = code_values(drawn.rows[column.name], column)
        if width * rows_per_value_min > len(labels):
            continue
        telling = guess_labels(places, labels, drawn.halves)
        told[column.name] = round(telling.gain, DIGITS) + 0.0  # no -0
        open_count = telling.rows - telling.common
        if telling.gain >= gain_min and open_count >= open_count_min:
            found.append(_find(column, telling, drawn, gain_min))
    return Judged(pl.DataFrame(found, schema=FOUND, orient="row"), facts=_tell(told, len(labels)))


def _find(
    column: ColumnProfile, telling: Telling, drawn: Drawn, gain_min: float
) -> tuple[Any, ...]:
    """The finding, on the first row that has a value."""
    filled = np.flatnonzero(drawn.rows[column.name].is_not_null().to_numpy())
    shown = drawn.samples["sample_id"][int(filled[0])]
    right, common = telling.right / telling.rows, telling.common / telling.rows
    evidence = (
        f"{column.name} alone tells the label of {right:.1%} of the rows, the commonest label "
        f"{common:.1%}: is it known before the label?"
    )
    return shown, column.name, round(telling.gain, DIGITS), gain_min, evidence


def _tell(told: Mapping[str, float], rows: int) -> dict[str, object]:
    best = sorted(told.items(), key=lambda one: (-one[1], one[0]))[:COLUMNS_TOLD]
    return {"rows_judged": rows, "columns_judged": len(told), "gains": dict(best)}
