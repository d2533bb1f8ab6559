"""The text of the table cells that examples point at, read from the source in one scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

TEXT_MAX = 160
ROW_COLUMNS_MAX = 8
COMPARED_MAX = 40  # columns of rows that are set side by side
KEYS = ("uri", "row")


def read_cells(
    source: Any, examples: Sequence[dict[str, Any]], members: Sequence[dict[str, Any]] = ()
) -> None:
    """Put `cell` (String or None) and, for findings on whole rows, `cells` into each example.

    Args:
        source: a table source with `scan()`: uri, row, then the data columns; or None.
        examples: examples of all checks, changed in place.
        members: rows that are compared: they get the `cells` of the first 40 columns.
    """
    for example in examples:
        example["cell"], example["cells"] = None, []
    for member in members:
        member["cells"] = []
    places = [(one["uri"], one["row"]) for one in (*examples, *members)]
    if source is None or getattr(source, "modality", "") != "table" or not places:
        return
    scan: pl.LazyFrame = source.scan()
    names = [name for name in scan.collect_schema().names() if name not in KEYS]
    wanted = {str(example["column"]) for example in examples} & set(names)
    first = names[: COMPARED_MAX if members else ROW_COLUMNS_MAX]
    keep = [*KEYS, *dict.fromkeys([*first, *sorted(wanted)])]
    keys = pl.LazyFrame(places, schema={"uri": pl.String, "row": pl.Int64}, orient="row").unique()
    found = scan.select(keep).join(keys, on=list(KEYS), how="semi").collect()
    rows = {(row["uri"], row["row"]): row for row in found.rows(named=True)}
    for example in examples:
        row = rows.get((example["uri"], example["row"]), {})
        example["cell"] = _text(row.get(example["column"])) if example["column"] else None
        if not example["column"]:
            example["cells"] = _list(row, names[:ROW_COLUMNS_MAX])
    for member in members:
        member["cells"] = _list(rows.get((member["uri"], member["row"]), {}), first)


def _list(row: dict[str, Any], names: Sequence[str]) -> list[list[str | None]]:
    return [[name, _text(row.get(name))] for name in names if row]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)[:TEXT_MAX]
