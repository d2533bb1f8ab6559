"""Copies made of real photos: how many `near_duplicate` finds, and how many it makes up.

Each photo of the shared set (known to hold no duplicates, but many look-alikes) is copied once in
every way; copies are encoded again as JPEG and measured by the profile. Each way is judged as a
set of its own beside all originals. Run it as `python -m bench.copies --json`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from checks.core.check import Check, load_checks
from checks.core.run import run_set_checks
from checks.metrics.image import profile_images
from checks.sources.source import open_source
from flows.report.figures import wilson

T = Image.Transpose
QUALITY = 90
PER_WAY = 300
Picture = Image.Image
WAYS: dict[str, tuple[Callable[[Picture], Picture], int, float | None]] = {
    "jpeg_q30": (lambda p: p, 30, 1.0),
    "crop_1_percent": (lambda p: crop_sides(p, 0.01), QUALITY, 0.98),
    "flip": (lambda p: p.transpose(T.FLIP_LEFT_RIGHT), QUALITY, 1.0),
    "rot90": (lambda p: p.transpose(T.ROTATE_90), QUALITY, 1.0),
    "rot180": (lambda p: p.transpose(T.ROTATE_180), QUALITY, None),
    "rot270": (lambda p: p.transpose(T.ROTATE_270), QUALITY, None),
    "resize_third": (lambda p: p.resize((p.width // 3, p.height // 3)), QUALITY, None),
    "grey": (lambda p: p.convert("L"), QUALITY, None),
    "brightness_1_2": (lambda p: p.point(lambda level: min(255, level * 1.2)), QUALITY, None),
    "flip_q30": (lambda p: p.transpose(T.FLIP_LEFT_RIGHT), 30, None),
}
PRECISION_TARGET = 0.99


def crop_sides(picture: Picture, share: float) -> Picture:
    """Return the picture without `share` of its width and height on each side."""
    across, down = round(picture.width * share), round(picture.height * share)
    return picture.crop((across, down, picture.width - across, picture.height - down))


def encode(picture: Picture, quality: int) -> bytes:
    """Return the picture as JPEG."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def copy_photos(photos: list[bytes]) -> Iterator[tuple[str, int, bytes]]:
    """Yield way, number of the photo and encoded bytes: the originals, then the copies."""
    yield from (("original", at, photo) for at, photo in enumerate(photos))
    for name, (change, quality, _) in WAYS.items():
        for at, photo in enumerate(photos[:: max(1, len(photos) // PER_WAY)]):
            picture = Image.open(io.BytesIO(photo)).convert("RGB")
            yield name, at * max(1, len(photos) // PER_WAY), encode(change(picture), quality)


def require_measured(metrics: pl.DataFrame) -> None:
    """Stop where a sound picture could not be measured: its figures would say nothing.

    Raises:
        RuntimeError: with the first error.
    """
    broken = metrics.filter(pl.col("error_kind").is_not_null() | pl.col("phash64").is_null())
    if broken.height:
        message = f"{broken.height} pictures without metrics, the first: {broken['error'][0]}"
        raise RuntimeError(message)


def profile_copies(folder: Path) -> pl.DataFrame:
    """Return way, photo and the metrics of every original and copy."""
    photos = pl.read_parquet(find_shared_data() / "photos" / "photos.parquet", columns=["image"])
    cells: list[Any] = photos["image"].to_list()
    encoded = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
    made = pl.DataFrame(copy_photos(encoded), schema=["way", "photo", "image"], orient="row")
    made.write_parquet(folder / "photos.parquet", row_group_size=200)
    source = open_source(folder / "photos.parquet")
    assert source.modality == "image"
    metrics = profile_images(source, source.entries(), workers=0)
    require_measured(metrics)
    named = made.select("way", "photo").with_row_index("row").with_columns(pl.col("row").cast(int))
    return metrics.join(named, on="row").with_columns(
        sample_id=pl.format("{}-{}", "way", "photo"), split=pl.lit("train"), label=pl.lit("photo")
    )


def judge_way(measured: pl.DataFrame, check: Check) -> pl.DataFrame:
    """Return the pairs (one, two) of photos, way of both, that the check finds as copies."""
    tables = {
        "samples": measured.select("sample_id", "split", "label", "xxh3_128", "byte_size").lazy(),
        "metrics": measured.drop("split", "label", "xxh3_128", "byte_size").lazy(),
    }
    found = run_set_checks(tables, [check]).findings
    known = measured.select("sample_id", "way", "photo")
    return (
        found.select("sample_id", "suggestion", "evidence")
        .join(known, on="sample_id")
        .join(known.rename({"sample_id": "suggestion"}), on="suggestion", suffix="_kept")
    )


def _interval(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def measure() -> dict[str, Figure]:
    """Recall for each way, and precision over all pairs that were found in all sets."""
    check = load_checks()["near_duplicate"]
    figures, true, found = {}, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        measured = profile_copies(Path(folder))
    for way, (_, _, target) in WAYS.items():
        both = measured.filter(pl.col("way").is_in(["original", way]))
        pairs = judge_way(both, check)
        right = pairs.filter(pl.col("photo") == pl.col("photo_kept"))
        count = both.height - both.filter(pl.col("way") == "original").height
        recall = right["photo"].n_unique() / count
        _, low, high = wilson(right["photo"].n_unique(), count)
        figures[f"{way}_recall"] = Figure(recall, target, "higher", count, _interval(low, high))
        true, found = true + right.height, found + pairs.height
    precision, low, high = wilson(true, found)
    figures["pair_precision"] = Figure(
        precision or 0.0, PRECISION_TARGET, "higher", found, _interval(low, high)
    )
    alone = judge_way(measured.filter(pl.col("way") == "original"), check).height
    figures["pairs_among_900_different_photos"] = Figure(alone, 0.0, "lower", 900)
    return figures


if __name__ == "__main__":
    show(record("copies", measure()))
