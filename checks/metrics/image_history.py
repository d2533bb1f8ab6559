"""What the last complete profile saw: which files have come, gone or changed, and rotted since.

A run trusts path, size and modification time, so that an unchanged folder costs one listing. Bytes
that change while these do not (a failing disk, a copy that kept the time) are found by reading
files again: a hundredth of them in each run, or all. Such a file is measured anew, so that its
metrics are those of its bytes, and marked `changed_in_place` until its old content is back or its
modification time moves on. The mark is the only metric that depends on earlier runs; all others,
and the sample's id, are functions of the bytes alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import xxhash

from checks.metrics.image_cache import KEY, keys_of, write_whole
from checks.sources.identity import fingerprint_entries

if TYPE_CHECKING:
    from checks.sources.source import ImageSource

Verify = Literal["none", "sample", "all"]
TURNS = 100  # runs in which `sample` reads every file once
EXAMPLES_SHOWN = 10
_CHUNK_ROWS = 256  # rows of a table that are read in the same turn: reading one reads its pages
_UNREAD = ""  # the content of a known file that could not be read again: no row has it
KNOWN_SCHEMA = pl.Schema({
    "uri": pl.String(), "row": pl.Int64(), "entry_byte_size": pl.Int64(),
    "entry_mtime_ns": pl.Int64(), "xxh3_128": pl.String(), "original": pl.String(),
    "turn": pl.UInt8(),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class History:
    """The entries of the last complete profile, and what had changed then.

    known: KNOWN_SCHEMA. xxh3_128 is null where the content could not be read; `original` is the
    content before it changed in place, null where it did not.
    facts: `state`, a digest of the data at that time, and `changes`; empty before the first.
    """

    known: pl.DataFrame = field(default_factory=KNOWN_SCHEMA.to_frame)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verified:
    """How many known files were read again, and a digest of all that have changed in place."""

    count: int = 0
    mark: str = ""


def read_history(cache: Path | None) -> History:
    """Return what `cache` tells of the last complete profile; a damaged file tells nothing."""
    if cache is None or not (path := cache / "known.parquet").is_file():
        return History()
    try:
        known = pl.read_parquet(path, glob=False)
        facts = json.loads(pl.read_parquet_metadata(path).get("gristmill", "{}"))
    except (OSError, ValueError, pl.exceptions.PolarsError):
        return History()
    return History(known, facts) if known.schema == KNOWN_SCHEMA else History()


def verify_known(
    source: ImageSource, entries: pl.DataFrame, cache: Path, verify: Verify
) -> Verified:
    """Read known files again and remember which have changed though size and time have not.

    Args:
        source: where the bytes come from.
        entries: what is there now.
        cache: folder of the pieces.
        verify: "sample" reads each file once in TURNS runs, chosen by its name; "all" reads every
            file; "none" only those that have changed before, to see whether they are restored.
    """
    history = read_history(cache)
    now = history.known.join(keys_of(entries), on=KEY, how="semi", nulls_equal=True)
    asked = pl.col("original").is_not_null()
    if verify != "none":
        number = _read_turn(cache)
        asked |= (pl.col("turn") == number % TURNS) if verify == "sample" else pl.lit(value=True)
    due = now.filter(asked & pl.col("xxh3_128").is_not_null()).sort("uri", "row")
    found = [_UNREAD if isinstance(one, OSError) else one for one in source.digests(due)]
    seen = due.with_columns(found=pl.Series(found, dtype=pl.String))
    changed = seen.filter(pl.col("found") != pl.col("xxh3_128"))
    if changed.height:
        marked = changed.select(*KEY, xxh3_128="found", original=_original("found"), turn="turn")
        rest = history.known.join(changed, on=["uri", "row"], how="anti")
        history = History(pl.concat([rest, marked]).sort("uri", "row"), history.facts)
        now = history.known.join(keys_of(entries), on=KEY, how="semi", nulls_equal=True)
        _write_history(history, cache)
    if verify == "sample" and now.height:
        _write_turn(cache, number + 1)
    return Verified(due.height, _mark(now))


def remember(entries: pl.DataFrame, seen: pl.DataFrame, history: History, cache: Path) -> None:
    """Store what a complete profile saw, and what had changed since the one before.

    Args:
        entries: all that is there.
        seen: what `follow` returned for them.
        history: what was known before.
        cache: folder of the pieces.

    Twice the same data gives twice the same changes: those against the last other state.
    """
    state = fingerprint_entries(entries, [_mark(seen)])
    if history.facts.get("state") == state:
        return
    known = seen.with_columns(_turns(seen)).select(list(KNOWN_SCHEMA)).sort("uri", "row")
    changes = tell_changes(history.known, known) if history.facts else None
    _write_history(History(known, {"state": state, "changes": changes}), cache)


def follow(measured: pl.DataFrame, history: History) -> pl.DataFrame:
    """Return KEY, xxh3_128 and original of `measured`, as in `History.known`, in its order.

    What has changed in place keeps its first content as `original`.
    """
    gone = pl.col("error_kind") == "unreadable_file"
    content = pl.when(gone.fill_null(value=False)).then(None).otherwise(pl.col("xxh3_128"))
    now = measured.select(*KEY, found=content)
    before = history.known.select(*KEY, "xxh3_128", "original")
    both = now.join(before, on=KEY, how="left", nulls_equal=True, maintain_order="left")
    return both.select(*KEY, xxh3_128="found", original=_original("found"))


def tell_changes(before: pl.DataFrame, now: pl.DataFrame) -> dict[str, Any]:
    """Return counts and first names of what is different `now`: both of KNOWN_SCHEMA.

    Returns:
        added, removed, changed, touched (another time, the same content), changed_in_place (all
        that stand so now), and examples: by the same names, the first EXAMPLES_SHOWN.
    """
    key = ["uri", "row"]
    both = now.join(before, on=key, how="inner", suffix="_before", maintain_order="left")
    moved = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(f"{name}_before")) for name in KEY if name not in key
    )
    same = (pl.col("xxh3_128") == pl.col("xxh3_128_before")).fill_null(value=False)
    parts = {
        "added": now.join(before, on=key, how="anti", maintain_order="left"),
        "removed": before.join(now, on=key, how="anti", maintain_order="left"),
        "changed": both.filter(moved & ~same),
        "touched": both.filter(moved & same),
        "changed_in_place": now.filter(pl.col("original").is_not_null()),
    }
    return {
        **{name: part.height for name, part in parts.items()},
        "examples": {name: _addresses(part) for name, part in parts.items() if part.height},
    }


def _addresses(part: pl.DataFrame) -> list[str]:
    told = part.head(EXAMPLES_SHOWN).select("uri", "row").iter_rows()
    return [f"{uri}#{row}" if row else uri for uri, row in told]


def _original(found: str) -> pl.Expr:
    """The content before it changed in place, from what is known and what was found."""
    now, known, first = pl.col(found), pl.col("xxh3_128"), pl.col("original")
    unsure = now.is_null() | (now == _UNREAD) | (now == known)
    older = pl.when(known == _UNREAD).then(first).otherwise(pl.coalesce(first, known))
    return pl.when(unsure).then(first).when(now != older).then(older)


def _turns(entries: pl.DataFrame) -> pl.Series:
    """The turn, below TURNS, in which each entry is read again."""
    names = zip(entries["uri"], entries["row"] // _CHUNK_ROWS, strict=True)
    turns = [xxhash.xxh3_64_intdigest(f"{uri}#{chunk}".encode()) % TURNS for uri, chunk in names]
    return pl.Series("turn", turns, dtype=pl.UInt8)


def _mark(known: pl.DataFrame) -> str:
    odd = known.filter(pl.col("original").is_not_null() | (pl.col("xxh3_128") == _UNREAD))
    rows = odd.select("uri", "row", "xxh3_128", "original").sort("uri", "row").rows()
    return xxhash.xxh3_128_hexdigest(repr(rows).encode()) if rows else ""


def _read_turn(cache: Path) -> int:
    try:
        return int(json.loads((cache / "turn.json").read_text())["turn"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _write_turn(cache: Path, number: int) -> None:
    draft = cache / ".turn.tmp"
    draft.write_text(json.dumps({"turn": number}))
    draft.replace(cache / "turn.json")


def _write_history(history: History, cache: Path) -> None:
    facts = {"gristmill": json.dumps(history.facts)}
    write_whole(history.known, cache / "known.parquet", facts)
