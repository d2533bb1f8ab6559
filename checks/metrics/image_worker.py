"""The worker process of the image profile: `python -m checks.metrics.image_worker`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl
from PIL import Image

from checks.metrics.image_measure import measure_image, measure_images
from checks.metrics.image_schema import Limits, Metrics
from checks.metrics.workers import Handler, Item, serve

if TYPE_CHECKING:
    from checks.sources.source import ImageSource


def measure_items(source: ImageSource, items: list[Item], limits: Limits) -> Iterator[Metrics]:
    """Yield one row of metrics for each item, in order."""
    entries = pl.DataFrame(items, schema={"uri": pl.String, "row": pl.Int64}, orient="row")
    names = source.file_names(entries)
    contents = source.read_bytes(entries)
    addresses = (f"{uri}#{row}" for uri, row in items)
    yield from measure_images(zip(contents, names, addresses, strict=True), limits)


def compile_kernels() -> None:
    """Measure three pictures, so that all kernels are compiled: half a minute, once only."""
    for mode, kind in (("RGB", "JPEG"), ("L", "PNG"), ("RGBA", "PNG")):
        stream = io.BytesIO()
        Image.new(mode, (16, 16)).save(stream, kind)
        measure_image(stream.getvalue(), "warm.jpg", Limits())


def prepare(source: ImageSource, limits: Limits) -> Handler:
    """Return the worker's function, with everything compiled before the limits begin to hold."""
    Image.MAX_IMAGE_PIXELS = None  # the limit on pixels is ours, held before any decode
    compile_kernels()
    return lambda items: measure_items(source, items, limits)


if __name__ == "__main__":
    serve(prepare)
