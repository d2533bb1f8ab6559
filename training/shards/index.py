"""The byte range of each image inside its shard, so that a loader can map the file and slice.

The index is derived from the shard and can be made again from it. A reader that finds none, or one
made for other bytes, goes the Arrow way: the same samples, slower.
"""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training.shards.format import encode_frame
from training.shards.store import StoredFile, put
from training.shards.thrift import Fields, read_struct

_DATA_PAGE = 0  # parquet.thrift, PageType
_TYPE, _PACKED_SIZE, _DATA_HEADER, _NUM_VALUES, _ENCODING = 1, 3, 5, 1, 2
_PLAIN = 0


def index_shard(out: Path, data: bytes, sha256: str) -> StoredFile | None:
    """Store the index of a shard's bytes; None if they hold no images that lie plain."""
    ranges = locate_images(data)
    if ranges is None:
        return None
    offsets, lengths = ranges
    table = pa.table({"offset": offsets, "length": lengths})
    table = table.replace_schema_metadata({"shard_sha256": sha256})
    return put(out, "index", encode_frame(table), len(offsets), ".idx.parquet")


def read_index(out: Path, index: StoredFile | None, sha256: str) -> Any | None:
    """Return (offsets int64 (N,), lengths int32 (N,)) for the shard of that digest, or None."""
    if index is None:
        return None
    try:
        table = pq.read_table(out / index.path, page_checksum_verification=True)
    except (OSError, pa.ArrowException):
        return None
    if (table.schema.metadata or {}).get(b"shard_sha256", b"").decode() != sha256:
        return None
    return table.column("offset").to_numpy(), table.column("length").to_numpy()


def locate_images(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int32]] | None:
    """Return the offset and length in bytes of each image in the Parquet bytes `data`, by row.

    None if the image column is absent, compressed, dictionary-coded or holds nulls. Cost: a walk
    over the page headers and lengths, 1 to 4 us a row.
    """
    meta = pq.read_metadata(BytesIO(data))
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
