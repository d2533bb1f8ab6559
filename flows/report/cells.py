"""The text of the table cells that examples point at, read from the source in one scan."""

from __future__ import annotations

from typing import Any

import polars as pl

TEXT_MAX = 160
ROW_COLUMNS_MAX = 8


def read_cells(source: Any, examples: list[dict[str, Any]]) -> None:
    """Put `cell` (String or None) and, for findings on whole rows, `cells` into each example.

    Args:
        source: a table source with `scan()`: uri, row, then the data columns; or None.
        examples: examples of all checks, changed in place.
    """
    for example in examples:
        example["cell"], example["cells"] = None, []
    if source is None or getattr(source, "modality", "") != "table" or not examples:
        return
    scan: pl.LazyFrame = source.scan()
    names = scan.collect_schema().names()
    wanted = {example["column"] for example in examples} & set(names)
    shown = [name for name in names if name not in ("uri", "row")][:ROW_COLUMNS_MAX]
    keep = ["uri", "row", *dict.fromkeys([*shown, *sorted(wanted - {"uri", "row"})])]
    keys = pl.LazyFrame(
        {"uri": [e["uri"] for e in examples], "row": [e["row"] for e in examples]},
        schema={"uri": pl.String, "row": pl.Int64},
    ).unique()
    found = scan.select(keep).join(keys, on=["uri", "row"], how="semi").collect()
    rows = {(row["uri"], row["row"]): row for row in found.rows(named=True)}
    for example in examples:
        row = rows.get((example["uri"], example["row"]), {})
        example["cell"] = _text(row.get(example["column"])) if example["column"] else None
        if not example["column"]:
            example["cells"] = [[name, _text(row.get(name))] for name in shown if row]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)[:TEXT_MAX]
