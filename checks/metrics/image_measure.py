"""One image, one decode, one row of metrics. Runs inside the worker processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import xxhash
from PIL import Image

from checks.metrics.image_batch import describe_pictures, digest_pixels
from checks.metrics.image_decode import Decoded, decode
from checks.metrics.image_header import (
    UnreadableError,
    count_frames,
    open_image,
    read_extension,
    read_header,
    tell,
)
from checks.metrics.image_plain import Plain, read_plain
from checks.metrics.image_schema import IMAGE_METRICS, Limits, Metrics

# Up to here pictures wait for others, so that one call measures all that have the same shape.
_SMALL_PX, _SMALL_BYTES = 16_384, 65_536
_EMPTY = dict.fromkeys(IMAGE_METRICS)


@dataclass(slots=True)
class _File:
    """A file on its way: its row, and what is known of it so far."""

    data: bytes
    name: str | None
    row: Metrics
    plain: Plain | None = None
    image: Image.Image | None = None
    decoded: Decoded | None = None

    def form(self) -> tuple[int, ...]:
        assert self.decoded is not None
        return (*self.decoded.pixels.shape, self.decoded.pixels.itemsize)


def measure_image(content: bytes | OSError, name: str | None, limits: Limits) -> Metrics:
    """Return one row: byte_size, xxh3_128 and IMAGE_METRICS. Never raises for what data does.

    Args:
        content: the file's bytes, or the error that hid them.
        name: the file's name, for comparing its extension with the content.
        limits: only max_pixels is held here; time and memory are the worker process's.
    """
    return next(measure_images([(content, name, "")], limits))


def measure_images(
    files: Iterable[tuple[bytes | OSError, str | None, str]], limits: Limits
) -> Iterator[Metrics]:
    """Yield the row of each file, in order, as `measure_image` returns it.

    Small pictures are measured together; a large one is not touched before the rows of all that
    came earlier are out, so that a process lost with it has cost nothing else.

    Args:
        files: content, name and address of each (the address tells apart what nobody could read).
        limits: as in `measure_image`.
    """
    waiting: list[_File] = []
    for content, name, address in files:
        if isinstance(content, OSError):
            row = failed_row("unreadable_file", tell(content), None, name, address)
            waiting.append(_File(b"", name, row))
            continue
        row = {**_EMPTY, "byte_size": len(content)}
        row["xxh3_128"] = xxhash.xxh3_128_hexdigest(content)
        file = _File(content, name, row)
        waiting.append(file)
        _attempt(_open, file, limits)
        if file.plain is not None or file.image is not None:
            yield from _finish(waiting[:-1], limits)
            _attempt(_decode, file, limits)
            yield from _finish([file], limits)
            waiting = []
    yield from _finish(waiting, limits)


def failed_row(
    kind: str, message: str, content: bytes | None, name: str | None, address: str = ""
) -> Metrics:
    """Return the row of an image that could not be measured.

    Content that nobody could read is named by its address, so that two such files are no copies.
    """
    known = content if content is not None else f"unreadable:{address or name}".encode()
    row: Metrics = {**_EMPTY, **read_extension(name, None)}
    row["byte_size"] = None if content is None else len(content)
    row["xxh3_128"] = xxhash.xxh3_128_hexdigest(known)
    row["error_kind"], row["error"] = kind, message
    return row


def _attempt(work: Callable[[_File, Limits], None], file: _File, limits: Limits) -> None:
    """Take one step; whatever goes wrong in it becomes the file's error."""
    try:
        work(file, limits)
    except Exception as error:  # noqa: BLE001 - a fault of ours must cost one file, not the run
        _fail(file, error, limits)


def _fail(file: _File, error: Exception, limits: Limits) -> None:
    kind, told = "undecodable", tell(error)
    if isinstance(error, UnreadableError):
        kind, told = error.kind, str(error)
    elif isinstance(error, MemoryError):
        told = f"needs more than {limits.max_memory_mb} MB of memory"
    file.row.update(read_extension(file.name, file.row["format"]))
    file.row["error_kind"], file.row["error"] = kind, told
    file.plain = file.image = file.decoded = None


def _open(file: _File, limits: Limits) -> None:
    """Read the header; of a small picture the pixels too, of another keep what decodes it."""
    row = file.row
    file.plain = read_plain(file.data)
    if file.plain is not None:
        row.update(file.plain.facts)
    else:
        _open_tolerant(file)
    row.update(read_extension(file.name, row["format"]))
    if row["area_px"] > limits.max_pixels:
        size = f"{row['width_px']} x {row['height_px']} px"
        raise UnreadableError("too_many_pixels", f"{size}, the limit is {limits.max_pixels} px")
    if row["area_px"] <= _SMALL_PX and len(file.data) <= _SMALL_BYTES:
        _decode(file, limits)


def _open_tolerant(file: _File) -> None:
    """Read the header with Pillow, whose remarks on metadata are not heard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.image = open_image(file.data)
        file.row.update(read_header(file.image, file.data))


def _decode(file: _File, _limits: Limits) -> None:
    """Decode; a plain file that turns out to be damaged is looked at once more by Pillow."""
    if file.plain is not None:
        facts, file.decoded = file.plain.facts, file.plain.decode()
        file.plain = None
        if file.decoded is not None:
            file.row["frame_count"] = 1
            return
        file.row.update(dict.fromkeys(facts))  # a header cut off in its last segment tells nothing
        _open_tolerant(file)
    assert file.image is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damage is told by decode
        file.decoded = decode(file.image, file.data)
        file.row["frame_count"] = count_frames(file.image, file.data)
    file.row["decode_warning"] = file.decoded.warning
    file.image = None


def _finish(files: list[_File], limits: Limits) -> Iterator[Metrics]:
    """Yield the rows of files that are decoded or have failed, pictures of one shape together."""
    pictures = sorted((file for file in files if file.decoded is not None), key=_File.form)
    for _, alike in groupby(pictures, _File.form):
        _describe(list(alike), limits)
    for file in files:
        yield file.row


def _describe(files: list[_File], limits: Limits) -> None:
    """Add the metrics of pixels to the rows of pictures of one shape; these are not kept."""
    try:
        decoded = [file.decoded for file in files if file.decoded is not None]
        told = describe_pictures(decoded, [file.row["exif_orientation"] for file in files])
        for file, pixels, metrics in zip(files, decoded, told, strict=True):
            file.row.update(metrics)
            file.row["pixel_digest"] = digest_pixels(pixels, file.row)
            file.decoded = None
    except Exception as error:  # noqa: BLE001 - a fault of ours must cost one file, not the run
        if len(files) == 1:
            _fail(files[0], error, limits)
            return
        for file in files:
            _describe([file], limits)
