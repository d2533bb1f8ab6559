"""Rows on their way to a shard: sorted runs in one temporary file, read back shard by shard.

Each time `limit` bytes wait in memory they are written as one run: a record batch for each split,
sorted by the 64-bit hash of the key. A shard is a range of hashes, so it takes one slice of each.
"""

from __future__ import annotations

import mmap
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.errors import TrainingError
from training.shards.digest import placements
from training.shards.store import temporary_path, writing

MAX_BITS = 20  # at most 1,048,576 shards a split
LIMIT = 128 * 1024 * 1024
_HASH_BITS = 64
_MOST_BYTES = 2**31 - 1  # Arrow counts the bytes of a column in 32 bits


@dataclass(frozen=True, slots=True)
class Runs:
    """What a `Spill` took in, for as long as it is open; other processes may read it too.

    batches: numbers of a split's record batches in the file. totals: rows and bytes of each split.
    """

    path: Path
    schema: Any
    batches: Mapping[str, list[int]]
    totals: Mapping[str, tuple[int, int]]

    def read(self, split: str, number: int, bits: int) -> Any:
        """Return the rows of shard `number` of 2**bits, sorted by key, as a pyarrow Table.

        Raises:
            TrainingError: if they are too many bytes for one shard.
        """
        parts = list(self._copy(split, number, bits))
        if (size := sum(part.nbytes for part in parts)) > _MOST_BYTES:
            advice = "Write smaller shards: lower shard_bytes."
            raise TrainingError("shards", "a shard would be too large", got=size, advice=advice)
        whole = pa.Table.from_batches(parts, self.schema).combine_chunks()
        del parts
        return whole.take(pc.sort_indices(whole.column("key"))).combine_chunks()

    def _copy(self, split: str, number: int, bits: int) -> Iterator[Any]:
        """Copy a slice of each run, and give back the pages that were mapped for it.

        Linux maps 2 MiB around what is touched: over many runs that would be the whole file.
        """
        with self.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        runs = pa.ipc.open_file(pa.py_buffer(mapped))
        for at in self.batches[split]:
            run = runs.get_batch(at)
            rows = _find(run.column(run.num_columns - 1).to_numpy(), number, bits)
            if len(rows):
                yield run.select(range(run.num_columns - 1)).take(pa.array(rows))
            mapped.madvise(mmap.MADV_DONTNEED)


def _find(hashes: NDArray[np.uint64], number: int, bits: int) -> NDArray[np.int64]:
    """The rows of one run, sorted by hash, whose hash begins with `number`."""
    rest = _HASH_BITS - bits
    start = int(np.searchsorted(hashes, np.uint64(number << rest)))
    end = len(hashes)
    if number + 1 < 2**bits:
        end = int(np.searchsorted(hashes, np.uint64((number + 1) << rest)))
    return np.arange(start, end)


class Spill:
    """Collects rows in any order. Use as a context: the temporary file goes away at its end.

    limit: bytes that wait in memory before they go to disk.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder, self._path, self._limit = folder, temporary_path(folder), limit
        self._waiting: list[Any] = []
        self._waiting_bytes = 0
        self._batches: dict[str, list[int]] = defaultdict(list)
        self._totals: dict[str, tuple[int, int]] = {}
        self._writer: Any = None
        self._written = 0
        self._schema: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()
        with suppress(OSError):  # the next writer sweeps it
            self._path.unlink(missing_ok=True)

    def add(self, table: Any, sizes: Any) -> None:
        """Take in rows. sizes: bytes of each, int64 (N,); they decide how many shards there are.

        Raises:
            TrainingError: if the columns differ from those of the rows before.
            StoreError: if the disk is full.
        """
        self._match(table.schema)
        for name, mine in _by_split(table):
            rows, size = self._totals.get(name, (0, 0))
            self._totals[name] = rows + len(mine), size + int(sizes[mine].sum())
        self._waiting.append(table)
        self._waiting_bytes += table.nbytes
        if self._waiting_bytes > self._limit:
            self._write_run()

    def finish(self) -> Runs:
        """Write what still waits and return all of it, to be read.

        Raises:
            TrainingError: if there are no rows.
            StoreError: if the disk is full.
        """
        if self._schema is None:
            raise TrainingError("shards", "there are no samples to write")
        if self._waiting:
            self._write_run()
        with writing(self._folder):
            self._writer.close()
        self._writer = None
        return Runs(self._path, self._schema, dict(self._batches), dict(self._totals))

    def _match(self, schema: Any) -> None:
        if self._schema is None:
            self._schema = schema
        elif not schema.equals(self._schema):
            before, now = set(map(str, self._schema)), set(map(str, schema))
            raise TrainingError(
                "shards", "the batches differ in their columns", got=sorted(before ^ now) or "order"
            )

    def _write_run(self) -> None:
        table = pa.concat_tables(self._waiting).combine_chunks()
        self._waiting, self._waiting_bytes = [], 0
        hashes = placements(table.column("key").to_pylist())
        for name, mine in _by_split(table):
            order = mine[np.argsort(hashes[mine], kind="stable")]
            run = table.take(pa.array(order)).append_column("", pa.array(hashes[order]))
            self._write(name, run.combine_chunks())

    def _write(self, split: str, run: Any) -> None:
        with writing(self._folder):
            if self._writer is None:
                self._writer = pa.ipc.new_file(str(self._path), run.schema)
            for batch in run.to_batches():
                self._writer.write_batch(batch)
                self._batches[split].append(self._written)
                self._written += 1


def _by_split(table: Any) -> list[tuple[str, Any]]:
    """Each split that occurs, with its rows, int64 (N,), in their order."""
    coded = table.column("split").combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy()
    names = coded.dictionary.to_pylist()
    return sorted((name, np.flatnonzero(codes == code)) for code, name in enumerate(names))


def count_bits(rows: int, size: int, shard_rows: int, shard_bytes: int) -> int:
    """Return the fewest bits of the key's hash that keep the average shard within both limits.

    >>> count_bits(rows=1000, size=10, shard_rows=100, shard_bytes=100)
    4
    """
    shards = max(-(-rows // shard_rows), -(-size // shard_bytes), 1)
    return min(MAX_BITS, (shards - 1).bit_length())
