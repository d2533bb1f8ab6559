"""Where each image lies inside its shard, and what a loader needs beside it: mapped, then sliced.

An index is a .npy file of `ENTRY` rows in shard order. It is derived from the shard and can be made
again from it. A reader that finds none, or a damaged one, goes the Arrow way: the same samples,
slower. So that nothing but the mapped row is read, `check` proves image, label, weight and id.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from training.errors import DamageError
from training.shards.manifest import Shard
from training.shards.place import Store, locate, map_file
from training.shards.store import StoredFile, put
from training.shards.thrift import Fields, read_struct

ENTRY = np.dtype(
    [
        ("offset", "<i8"),  # of the image's first byte in the shard
        ("length", "<i4"),  # bytes
        ("label", "<i4"),  # position in the sorted labels of the shard's label_counts; -1: none
        ("weight", "<f4"),
        ("id", "<u8"),  # xxh3-64 of the key: the same sample in any manifest
        ("check", "<u8"),  # xxh3-64 of the image, seeded with label, weight and id
    ]
)
_DATA_PAGE = 0  # parquet.thrift, PageType
_TYPE, _PACKED_SIZE, _DATA_HEADER, _NUM_VALUES, _ENCODING = 1, 3, 5, 1, 2
_PLAIN = 0


def index_shard(out: Path, data: bytes | memoryview, rows: pl.DataFrame) -> StoredFile | None:
    """Store the index of a shard's bytes; None if they hold no images that lie plain.

    rows: key, label and weight of the shard's rows, in its order.
    """
    encoded = encode_index(data, rows)
    return None if encoded is None else put(out, "index", encoded, rows.height, ".npy")


def encode_index(data: bytes | memoryview, rows: pl.DataFrame) -> bytes | None:
    """Return the bytes of the index that `index_shard` stores."""
    ranges = locate_images(data)
    if ranges is None:
        return None
    entries = describe_rows(rows)
    entries["offset"], entries["length"] = ranges
    view = memoryview(data)
    entries["check"] = [
        xxhash.xxh3_64_intdigest(view[offset : offset + length], seed)
        for offset, length, seed in zip(*ranges, seeds(entries).tolist(), strict=True)
    ]
    sink = BytesIO()
    np.save(sink, entries, allow_pickle=False)
    return sink.getvalue()


def describe_rows(rows: pl.DataFrame) -> NDArray[Any]:
    """Return entries (N,) with label, weight and id of a shard's rows, the rest still zero.

    rows: key, label and weight of all its rows, in its order.
    """
    entries = np.zeros(rows.height, ENTRY)
    labels = sorted(rows["label"].drop_nulls().unique().to_list())
    codes = {label: code for code, label in enumerate(labels)}
    known = rows["label"].replace_strict(codes, default=-1, return_dtype=pl.Int32)
    entries["label"], entries["weight"] = known.to_numpy(), rows["weight"].to_numpy()
    entries["id"] = [xxhash.xxh3_64_intdigest(key.encode()) for key in rows["key"]]
    return entries


def seeds(entries: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the seed of each entry's check, uint64 (N,): other label, weight or id, other seed."""
    weights = np.ascontiguousarray(entries["weight"]).view(np.uint32).astype(np.uint64)
    labels = entries["label"].astype(np.uint32).astype(np.uint64)
    mixed: NDArray[np.uint64] = entries["id"] ^ (weights << np.uint64(32) | labels)
    return mixed


def read_index(out: Store, shard: Shard) -> NDArray[Any] | None:
    """Return the mapped index of a shard, `ENTRY` (rows,); None where there is none to use."""
    if shard.index is None:
        return None
    try:
        mapped = map_file(locate(out, shard.index))
    except (OSError, ValueError, DamageError):
        return None
    head = _header(shard.rows)
    if mapped[: len(head)] != head or len(mapped) != len(head) + shard.rows * ENTRY.itemsize:
        return None
    return np.frombuffer(mapped, ENTRY, offset=len(head))


@lru_cache(maxsize=64)
def _header(rows: int) -> bytes:
    """What an index of so many rows begins with (`np.load` takes 0.1 ms to tell)."""
    sink = BytesIO()
    facts = {"descr": dtype_to_descr(ENTRY), "fortran_order": False, "shape": (rows,)}
    write_array_header_1_0(sink, facts)
    return sink.getvalue()


def locate_images(data: bytes | memoryview) -> tuple[NDArray[np.int64], NDArray[np.int32]] | None:
    """Return the offset and length in bytes of each image in the Parquet bytes `data`, by row.

    None if the image column is absent, compressed, dictionary-coded or holds nulls. Cost: a walk
    over the page headers and lengths, 1 to 4 us a row.
    """
    meta = pq.read_metadata(pa.BufferReader(data))
    names = [meta.schema.column(number).path for number in range(meta.num_columns)]
    if "image.bytes" not in names:
        return None
    place, view = names.index("image.bytes"), memoryview(data)
    found: list[tuple[int, int]] = []
    for group in range(meta.num_row_groups):
        chunk = meta.row_group(group).column(place)
        if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page:
            return None
        before = len(found)
        start, end = chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size
        if not _walk(view, start, end, found) or len(found) - before != chunk.num_values:
            return None
    ranges = np.array(found, np.int64).reshape(-1, 2)
    return ranges[:, 0].copy(), ranges[:, 1].astype(np.int32)


def _walk(view: memoryview, position: int, end: int, found: list[tuple[int, int]]) -> bool:
    while position < end:
        header, position = read_struct(view, position)
        page, size = header.get(_DATA_HEADER), header[_PACKED_SIZE]
        if header[_TYPE] != _DATA_PAGE or page is None or page[_ENCODING] != _PLAIN:
            return False
        if not _walk_values(view, position, position + size, page, found):
            return False
        position += size
    return True


def _walk_values(
    view: memoryview, position: int, end: int, page: Fields, found: list[tuple[int, int]]
) -> bool:
    """Version 1 pages: definition levels behind their length, then length and bytes of each."""
    (levels,) = struct.unpack_from("<I", view, position)
    position += 4 + levels
    for _ in range(page[_NUM_VALUES]):
        if position + 4 > end:
            return False
        (length,) = struct.unpack_from("<I", view, position)
        found.append((position + 4, length))
        position += 4 + length
    return position == end
