"""What a person is told of an approved baseline."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from checks.metrics.baseline import Baseline, Column
from flows.app.baseline import load

NAMES_SHOWN = 3


def tell_approved(path: Path, made: Baseline) -> str:
    """Return the sentence after approval, and what to write into the configuration."""
    about = made.about
    return (
        f"{path}: baseline of {about['samples']:,} samples, {len(made.columns)} columns, "
        f"digest {made.digest[:12]}.\nCompare later runs with it: [drift] baseline = {path.name!r}"
    )


def show(path: Path, *, as_json: bool) -> None:
    """Print a baseline: a table for a person on stderr, the file itself on stdout if asked for.

    Raises:
        StoreError, TableError: there is none, or it was changed by hand.
    """
    found = load(path)
    if as_json:
        sys.stdout.write(found.to_json())
    about = found.about
    console = Console(stderr=True)
    told = (
        f"Run {about['run']} of {about['source']}, measured {about['measured']}, "
        f"{about['samples']:,} samples, gristmill {about['gristmill']}, digest {found.digest[:12]}"
    )
    console.print(told, markup=False, highlight=False, soft_wrap=True)
    table = Table("column", "of", "kind", "missing", "median, or most frequent")
    for column in found.columns:
        name = column.name if column.split is None else f"{column.name} in {column.split}"
        missing = column.counts[-1] / max(1, sum(column.counts))
        table.add_row(name, column.of, column.bins.kind, f"{missing:.1%}", _middle(column))
    console.print(table)


def _middle(column: Column) -> str:
    if column.bins.kind == "number":
        return "" if column.median is None else f"{column.median:.4g}"
    total = max(1, sum(column.counts))
    shares = [f"{name} {count / total:.0%}" for name, count in
              zip(column.bins.names[:NAMES_SHOWN], column.counts, strict=False)]  # fmt: skip
    return ", ".join(shares)
