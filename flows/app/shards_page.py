"""What a person, or a program, is told of a store of shards."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.app.held_shards import tell_evaluated
from training.export.formats import Exported
from training.shards.damage import Damage
from training.shards.difference import (
    CHANGES,
    count_changes,
    count_evaluated,
    count_reasons,
    list_changes,
)
from training.shards.garbage import Collected
from training.shards.history import Entry
from training.shards.manifest import Manifest

SHOWN = 30
DIGITS, PARENT_DIGITS = 12, 6  # the table of manifests fits a terminal of 80 columns
REWRITE = (
    "delete what is damaged and write the set again (of a run as it is now: gristmill clean RUN, "
    "which writes what is gone or cut short)."
)
ADVICE = {
    "CURRENT": "CURRENT: choose a manifest with gristmill shards use; log lists them.",
    "manifests": f"Manifests: put good copies back, or {REWRITE}",
    "data": f"Shards: {REWRITE}",
    "ledger": f"Ledger: {REWRITE}",
    "fills": f"Filled cells: {REWRITE}",
    "index": "Indexes: --repair makes them anew from their shards.",
}


def show_damage(
    out: Path, found: Sequence[Damage], mended: Sequence[str], *, as_json: bool
) -> None:
    """Print what is damaged, worst first, and what to do."""
    parts = dict.fromkeys(one.part for one in found)
    if as_json:
        _print_json({
            "store": str(out),
            "repaired": list(mended),
            "damage": [
                {"path": one.path, "row": None if one.row < 0 else one.row, "problem": one.problem}
                for one in found
            ],
            "advice": [ADVICE[part] for part in parts],
        })  # fmt: skip
    lines = [f"{path}: made anew from its shard." for path in mended]
    if not found:
        _say(*lines, f"{out}: every byte is what was written.")
        return
    table = _table(
        "file", "row", "problem", title="Damage, worst first; rows from 0", whole=("file", "row")
    )
    for one in found[:SHOWN]:
        _add(table, one.path, "" if one.row < 0 else f"{one.row:,}", one.problem)
    Console(stderr=True).print(table)
    files = len({one.path for one in found})
    more = f", {len(found) - SHOWN:,} more in --json" if len(found) > SHOWN else ""
    places = "place" if len(found) == 1 else "places"
    told = f"{out}: {len(found):,} damaged {places} in {files:,} file{'s' * (files > 1)}{more}."
    _say(*lines, told, *(ADVICE[part] for part in parts))


def show_changes(out: Path, before: Manifest, after: Manifest, *, as_json: bool) -> None:
    """Print what became of samples between two manifests."""
    changes = list_changes(out, before, after)
    counts, reasons = count_changes(changes), count_reasons(out, after, changes)
    evaluated = count_evaluated(out, after, changes)
    shared = len({shard.path for shard in before.shards} & {shard.path for shard in after.shards})
    if as_json:
        _print_json({
            "before": before.digest,
            "after": after.digest,
            "shards_shared": shared,
            "counts": counts.to_dicts(),
            "reasons": reasons.to_dicts(),
            "evaluation_changed_by_people": evaluated,
            "changes": changes.to_dicts(),
        })  # fmt: skip
    console = Console(stderr=True)
    if not changes.is_empty():
        console.print(_changes_table(changes, counts))
    if not reasons.is_empty():
        table = _table("check", "samples", title="Why samples were dropped, by the ledger")
        for name, samples in reasons.iter_rows():
            _add(table, name or "(no reason in this ledger)", f"{samples:,}")
        console.print(table)
    if evaluated:
        _say(tell_evaluated(evaluated))
    totals = Counter(changes["change"].to_list())
    said = ", ".join(f"{totals[name]:,} {name}" for name in CHANGES if totals[name])
    both = f"{shared:,} of {len(after.shards):,} shards are shared"
    _say(f"{before.digest[:DIGITS]} to {after.digest[:DIGITS]}: {said or 'no difference'}; {both}.")


def _changes_table(changes: pl.DataFrame, counts: pl.DataFrame) -> Table:
    """One row for each change, split and class, the most frequent first, with one key."""
    table = _table("change", "split", "class", "samples", "such as", title="What became of samples")
    ordered = counts.sort(pl.col("change"), -pl.col("samples").cast(pl.Int64), "split", "label")
    for change, split, label, samples in ordered.head(SHOWN).iter_rows():
        own = pl.coalesce("split", "split_new") == split
        name = pl.when(pl.col("split").is_null()).then("label_new").otherwise("label")
        keys = changes.filter(pl.col("change") == change, own, name.eq_missing(pl.lit(label)))
        told = "(none)" if label is None else label
        _add(table, change, split, told, f"{samples:,}", keys["key"][0])
    return table


def show_history(entries: Sequence[Entry], *, as_json: bool) -> None:
    """Print the manifests of a store."""
    rows = [_history_row(entry) for entry in entries]
    if as_json:
        _print_json(rows)
    table = _table(" manifest", "name", "rows", "dropped", "parent", "shards", "bytes", "written",
                   whole=(" manifest", "rows", "parent", "bytes", "written"))  # fmt: skip
    for row in rows:
        digest = f"{'*' if row['current'] else ' '}{row['digest'][:DIGITS]}"
        if row["problem"]:
            _add(table, digest, row["problem"])
            continue
        shared = "" if row["shared"] is None else f" ({row['shared']:,})"
        _add(table, digest, row["name"], f"{row['rows']:,}", f"{row['dropped']:,}",
             (row["parent"] or "")[:PARENT_DIGITS], f"{row['shards']:,}{shared}",
             _size(row["bytes"]), row["written"][:16].replace("T", " "))  # fmt: skip
    Console(stderr=True).print(table)
    current = any(row["current"] for row in rows)
    mark = "* is current" if current else "No manifest is current"
    _say(f"{mark}. In brackets: shards that the parent has too. Written: when the file was, UTC.")


def _history_row(entry: Entry) -> dict[str, Any]:
    manifest = entry.manifest
    written = dt.datetime.fromtimestamp(entry.written, dt.UTC).isoformat(timespec="seconds")
    told = {"digest": entry.digest, "current": entry.current, "written": written,
            "problem": entry.problem or None}  # fmt: skip
    if manifest is None:
        return told
    splits = manifest.splits.values()
    return {
        **told,
        "name": manifest.name,
        "kind": manifest.kind,
        "rows": manifest.rows,
        "dropped": sum(split.dropped for split in splits),
        "parent": manifest.parent,
        "shards": len(manifest.shards),
        "shared": entry.shared,
        "bytes": sum(split.bytes for split in splits),
        "splits": {name: split.rows for name, split in manifest.splits.items()},
    }


def show_used(out: Path, manifest: Manifest, *, as_json: bool) -> None:
    """Print which manifest is current now."""
    if as_json:
        _print_json({"store": str(out), "current": manifest.digest, "name": manifest.name})
    _say(f"{out}: {manifest.digest[:DIGITS]} ({manifest.name}, {manifest.rows:,} rows) is current.")


def show_collected(told: Collected, *, dry_run: bool, as_json: bool) -> None:
    """Print what was deleted, or would be."""
    if as_json:
        _print_json({"deleted": not dry_run, "files": list(told.files), "bytes": told.bytes,
                     "forgotten": list(told.forgotten)})  # fmt: skip
    elif dry_run:
        _say(*told.files[:SHOWN])
    done = "would be deleted" if dry_run else "deleted"
    given_up = f", {len(told.forgotten):,} manifests among them" if told.forgotten else ""
    _say(f"{len(told.files):,} files ({_size(told.bytes)}) {done}{given_up}.")


def show_exported(told: Exported, manifest: Manifest, to: str, *, as_json: bool) -> None:
    """Print what was exported, and how it is read."""
    rows = {name: sum(file.rows for file in files) for name, files in told.splits.items()}
    if as_json:
        _print_json({
            "target": str(told.target), "to": to, "manifest": manifest.digest, "rows": rows,
            "files": sum(map(len, told.splits.values())), "bytes": told.bytes,
            "empty": list(told.empty),
        })  # fmt: skip
    counts = ", ".join(f"{count:,} {name}" for name, count in rows.items())
    lines = [f"{told.target}: {counts} ({_size(told.bytes)}) as {to}."]
    lines += [f"Split {name} has no rows and was left out." for name in told.empty]
    _say(*lines)


def _size(count: int) -> str:
    """Bytes for a person.

    >>> _size(900), _size(2_500_000)
    ('900 B', '2.5 MB')
    """
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:  # noqa: PLR2004 - three digits are read at a glance
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def _table(*columns: str, title: str | None = None, whole: Sequence[str] = ()) -> Table:
    """A table as narrow as can be. whole: columns that are never broken into lines."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, no_wrap=name in whole, overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    """Add a row as plain text: what rich would take for markup, or a terminal obey, is shown."""
    table.add_row(*(Text(_printable(cell)) for cell in cells))


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _say(*lines: str) -> None:
    console = Console(stderr=True)
    for line in lines:
        console.print(_printable(line), markup=False, highlight=False, soft_wrap=True)


def _print_json(data: Any) -> None:
    sys.stdout.write(json.dumps(data, indent=1) + "\n")
