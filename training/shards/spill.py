"""Rows on their way to a shard, kept in bounded memory and beyond that in one temporary file."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from training.errors import TrainingError
from training.shards.digest import placements
from training.shards.store import temporary_path, writing

FINE_BITS = 8  # at most 256 shards a split
LIMIT = 64 * 1024 * 1024


class Spill:
    """Collects rows in any order and gives them back by split and shard.

    limit: bytes that wait in memory before they go to disk; a split's largest shard must fit too.
    Use as a context: the temporary file goes away at its end.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._path, self._limit = temporary_path(folder), limit
        self._waiting: list[Any] = []
        self._waiting_bytes = 0
        self._pieces: dict[tuple[str, int], list[Any]] = defaultdict(list)
        self._writer: Any = None
        self._written = 0
        self._file: Any = None
        self.schema: Any = None
        self.totals: dict[str, tuple[int, int]] = {}

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
        self._file = None
        self._path.unlink(missing_ok=True)

    def add(self, table: Any, sizes: Any) -> None:
        """Take in rows. sizes: bytes of each, int64 (N,); they decide how many shards there are.

        Raises:
            TrainingError: if the columns differ from those of the rows before.
            StoreError: if the disk is full.
        """
        self._match(table.schema)
        splits = table.column("split").to_pylist()
        for name in sorted(set(splits)):
            mine = np.array([split == name for split in splits])
            rows, size = self.totals.get(name, (0, 0))
            self.totals[name] = (rows + int(mine.sum()), size + int(sizes[mine].sum()))
        self._waiting.append(table)
        self._waiting_bytes += table.nbytes
        if self._waiting_bytes > self._limit:
            for key, piece in self._grouped():
                self._pieces[key].append(self._write(piece))

    def finish(self) -> None:
        """End the adding: what still waits stays in memory, what was written can be read."""
        for key, piece in self._grouped():
            self._pieces[key].append(piece)
        if self._writer is not None:
            with writing(self._path):
                self._writer.close()
            self._writer = None
            self._file = pa.ipc.open_file(pa.memory_map(str(self._path)))

    def read(self, split: str, number: int, bits: int) -> Any:
        """Return the rows of shard `number` of 2**bits, sorted by key."""
        width = 2 ** (FINE_BITS - bits)
        fine = range(number * width, (number + 1) * width)
        pieces = [piece for place in fine for piece in self._pieces.get((split, place), ())]
        tables = [self._load(piece) if isinstance(piece, int) else piece for piece in pieces]
        if not tables:
            return self.schema.empty_table()
        whole = pa.concat_tables(tables)
        return whole.take(pa.compute.sort_indices(whole.column("key"))).combine_chunks()

    def _match(self, schema: Any) -> None:
        if self.schema is None:
            self.schema = schema
        elif not schema.equals(self.schema):
            before, now = set(map(str, self.schema)), set(map(str, schema))
            raise TrainingError(
                "shards", "the batches differ in their columns", got=sorted(before ^ now) or "order"
            )

    def _grouped(self) -> list[tuple[tuple[str, int], Any]]:
        """Empty the waiting room: rows by split and place, each group a table of its own."""
        if not self._waiting:
            return []
        table = pa.concat_tables(self._waiting).combine_chunks()
        self._waiting, self._waiting_bytes = [], 0
        names, codes = np.unique(np.array(table.column("split").to_pylist()), return_inverse=True)
        groups = codes.astype(np.int64) * 2**FINE_BITS + placements(table.column("key").to_pylist())
        order = np.argsort(groups, kind="stable")
        table, groups = table.take(pa.array(order)), groups[order]
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        ends = np.append(starts[1:], len(groups))
        places = [divmod(int(groups[start]), 2**FINE_BITS) for start in starts]
        return [
            ((str(names[code]), place), table.slice(start, end - start))
            for (code, place), start, end in zip(places, starts, ends, strict=True)
        ]

    def _write(self, piece: Any) -> int:
        with writing(self._path):
            if self._writer is None:
                self._writer = pa.ipc.new_file(str(self._path), self.schema)
            (batch,) = piece.combine_chunks().to_batches()
            self._writer.write_batch(batch)
        self._written += 1
        return self._written - 1

    def _load(self, number: int) -> Any:
        return pa.Table.from_batches([self._file.get_batch(number)])


def count_bits(rows: int, size: int, shard_rows: int, shard_bytes: int) -> int:
    """Return the fewest bits of the key's hash that keep the average shard within both limits.

    >>> count_bits(rows=1000, size=10, shard_rows=100, shard_bytes=100)
    4
    """
    shards = max(-(-rows // shard_rows), -(-size // shard_bytes), 1)
    return min(FINE_BITS, (shards - 1).bit_length())
