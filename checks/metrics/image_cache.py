"""The pieces of measured images on the disk: read, written whole or not at all, gathered.

A piece is a Parquet file with the metrics of one bundle. When a profile is complete its pieces
become one, the index, which holds the entries of that moment and no others: what a later run has
to read grows neither with the number of runs nor with what has long been removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from checks.core.whole_file import drafting
from checks.metrics.image_schema import METRICS_VERSION, PASSING_KINDS, PROFILE_SCHEMA, Limits

KEY = ("uri", "row", "entry_byte_size", "entry_mtime_ns")
PIECE_SCHEMA = pl.Schema({
    **PROFILE_SCHEMA, "entry_byte_size": pl.Int64(), "entry_mtime_ns": pl.Int64()
})  # fmt: skip
PASSING = pl.col("error_kind").is_in(PASSING_KINDS).fill_null(value=False)


def keys_of(entries: pl.DataFrame) -> pl.DataFrame:
    """Return uri, row, entry_byte_size and entry_mtime_ns: by these an entry is known again."""
    return entries.select("uri", "row", entry_byte_size="byte_size", entry_mtime_ns="mtime_ns")


def read_pieces(cache: Path | None, limits: Limits) -> pl.DataFrame:
    """Return every stored row under this METRICS_VERSION and these limits: PIECE_SCHEMA.

    A piece that cannot be read, or that has other columns, is as good as none.
    """
    pieces = [PIECE_SCHEMA.to_frame()]
    for path in _list_pieces(cache, limits):
        try:
            piece = pl.read_parquet(path, glob=False)
        except (OSError, pl.exceptions.PolarsError):
            continue
        if piece.schema == PIECE_SCHEMA:
            pieces.append(piece)
    return pl.concat(pieces)


def pick_known(stored: pl.DataFrame, entries: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return what `stored` knows of `entries`: one row each, the best where two are known.

    Args:
        stored: PIECE_SCHEMA.
        entries: what is there now.
        known: KEY and xxh3_128: contents as they were last seen. A row of another content under
            the same key is out of date.
    """
    slim = stored.select(*KEY, "xxh3_128", passing=PASSING).with_row_index("place")
    found = slim.join(keys_of(entries), on=KEY, how="semi", nulls_equal=True)
    if known.height:
        seen = known.select(*KEY, seen="xxh3_128")
        found = found.join(seen, on=KEY, how="left", nulls_equal=True)
        found = found.filter(pl.col("seen").is_null() | (pl.col("seen") == pl.col("xxh3_128")))
    best = found.sort("uri", "row", "passing", "place").unique(
        ["uri", "row"], keep="first", maintain_order=True
    )["place"]
    whole = pl.int_range(stored.height, dtype=pl.UInt32, eager=True)
    return stored if best.equals(whole) else stored[best]


def write_piece(piece: pl.DataFrame, cache: Path, key: str, limits: Limits) -> Path:
    """Store a piece under `key` and return its path."""
    path = cache / f"{_prefix(limits)}{key}.parquet"
    write_whole(piece, path)
    return path


def gather_pieces(whole: pl.DataFrame, cache: Path, limits: Limits) -> list[Path]:
    """Store `whole` as the index, if that is not what is stored; return the pieces it replaces.

    The caller removes them when nothing needs them any more.
    """
    index = cache / f"{_prefix(limits)}index.parquet"
    loose = [path for path in _list_pieces(cache, limits) if path != index]
    if loose or not index.exists() or _count_rows(index) != whole.height:
        write_whole(whole.select(list(PIECE_SCHEMA)), index)
    return loose


def write_whole(frame: pl.DataFrame, path: Path, facts: Mapping[str, str] | None = None) -> None:
    """Write a Parquet file so that it is there as a whole or not at all; `facts` go with it."""
    with drafting(path) as draft:
        frame.write_parquet(draft, metadata=dict(facts or {}))


def _prefix(limits: Limits) -> str:
    return f"v{METRICS_VERSION}-{hashlib.sha256(repr(limits).encode()).hexdigest()[:8]}-"


def _list_pieces(cache: Path | None, limits: Limits) -> list[Path]:
    return [] if cache is None else sorted(cache.glob(f"{_prefix(limits)}*.parquet"))


def _count_rows(path: Path) -> int:
    try:
        return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError):
        return -1
