"""All pairs within a Hamming distance among the hashes of a Parquet file, streamed to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from checks.core.errors import CheckError
from checks.core.whole_file import drafting
from checks.metrics.hamming import (
    Crowded,
    Hashes,
    Pairs,
    band_radii,
    count_bits,
    count_crowded,
    pair_blocks,
)

PAIR_SCHEMA = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("bits", pa.uint8())])
_READ_ROWS = 1 << 18


@dataclass(frozen=True, slots=True)
class FilePairs:
    """What was found: hashes read, different ones, pairs written, and what a cap left out."""

    hashes: int
    distinct: int
    pairs: int
    crowded: Crowded


def pairs_within_file(
    path: str | Path, column: str, distance: int, out: str | Path, *, bucket_max: int | None = None
) -> FilePairs:
    """Write every pair of rows whose hashes differ in at most `distance` bits to `out`.

    Equal hashes are one entry: each repeat is paired with the first row that has its hash, at 0
    bits, and only first rows are paired with others. Every pair of the file follows from these.

    Args:
        path: Parquet, read by row groups. Rows without a hash are passed over.
        column: of uint64 or int64.
        distance: bits, 0..64.
        out: Parquet with left < right (row numbers of `path`) and bits; it is there as a whole or
            not at all.
        bucket_max: as in `pair_blocks`; None is exact.

    Raises:
        CheckError: the column is absent or holds no 64-bit integers, or `distance` is impossible.
        OSError: a file cannot be read or written.

    Cost: as `pair_blocks`; memory about 60 bytes a hash and one block of pairs.
    """
    band_radii(distance)
    hashes, rows = read_hashes(Path(path), column)
    order = np.argsort(hashes, kind="stable")
    placed = hashes[order]
    fresh = np.ones(hashes.size, np.bool_)
    fresh[1:] = placed[1:] != placed[:-1]
    first, distinct = rows[order[fresh]], placed[fresh]
    repeats = np.stack([first[np.cumsum(fresh)[~fresh] - 1], rows[order[~fresh]]], axis=1)
    del order, placed, hashes, rows
    blocks = pair_blocks(distinct, distance, bucket_max=bucket_max)
    parts = _describe(repeats, first, distinct, blocks)
    written = _write_parts(parts, Path(out))
    crowded = Crowded(0, 0, 0)
    if bucket_max is not None:
        crowded = count_crowded(distinct, distance, bucket_max)
    return FilePairs(distinct.size + len(repeats), distinct.size, written, crowded)


def read_hashes(path: Path, column: str) -> tuple[Hashes, Pairs]:
    """Return the hashes that are there and their row numbers, both of shape (N,)."""
    with pq.ParquetFile(path) as file:
        known = file.schema_arrow
        kind = known.field(column).type if column in known.names else None
        if kind not in (pa.uint64(), pa.int64()):
            raise CheckError(
                f"{path}: column {column}", "holds no hashes", got=str(kind),
                allowed="uint64 or int64.", advice=f"Its columns: {', '.join(known.names)}.",
            )  # fmt: skip
        hashes = np.empty(file.metadata.num_rows, np.uint64)
        rows = np.empty(file.metadata.num_rows, np.int64)
        count = seen = 0
        for batch in file.iter_batches(_READ_ROWS, columns=[column]):
            values = batch.column(0)
            there = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
            words = values.drop_null().to_numpy(zero_copy_only=False).view(np.uint64)
            hashes[count : count + words.size], rows[count : count + words.size] = (
                words,
                (seen + there),
            )
            count, seen = count + words.size, seen + len(values)
    return hashes[:count], rows[:count]


def _describe(
    repeats: Pairs, first: Pairs, distinct: Hashes, blocks: Iterator[Pairs]
) -> Iterator[pa.Table]:
    yield _table(repeats, np.zeros(len(repeats), np.uint8))
    for block in blocks:
        left, right = block.T
        yield _table(np.sort(first[block], axis=1), count_bits(distinct[left], distinct[right]))


def _table(pairs: Pairs, bits: np.ndarray[tuple[int], np.dtype[np.integer]]) -> pa.Table:
    columns = [pairs[:, 0], pairs[:, 1], bits.astype(np.uint8)]
    return pa.Table.from_arrays([pa.array(c) for c in columns], schema=PAIR_SCHEMA)


def _write_parts(parts: Iterator[pa.Table], out: Path) -> int:
    count = 0
    with (
        drafting(out) as draft,
        pq.ParquetWriter(draft, PAIR_SCHEMA, compression="zstd") as writer,
    ):
        for part in parts:
            writer.write_table(part)
            count += part.num_rows
    return count
