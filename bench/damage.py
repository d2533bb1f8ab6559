"""Bad files: which damage is flagged, what is flagged without damage, and what workers survive.

Damage is made on photos of the measuring data, and on mosaics of them that are decoded reduced.
Each figure is a share of files; flagged means: an error kind or a decode warning. The mutated
files and Pillow's crash corpus go through real worker processes.
"""

from __future__ import annotations

import io
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from PIL import Image

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from bench.spoilt_files import (
    CUTS,
    FORMATS,
    HARMLESS,
    SECTORS,
    Damage,
    break_checksum,
    cut_tail,
    draw_picture,
    encode,
    mutate,
    zero_sector,
)
from checks.metrics.image import profile_images
from checks.metrics.image_measure import measure_image
from checks.metrics.image_schema import Limits
from checks.sources.source import open_source

PHOTOS, MOSAICS, PROGRESSIVE, OTHERS = 100, 40, 40, 20
MUTATED = 1_000
FLAGGED_MIN, MEMORY_MB_MAX = 0.95, 1_024
_SIDE_PX, _SIDE_100MP_PX = 400, 10_000
CHILD = "--child"


def main() -> None:
    """Make the files, count what is flagged, and store one figure for each kind of damage."""
    photos = read_photos(PHOTOS)
    figures = {**judge_jpegs(photos), **judge_others(photos)}
    with tempfile.TemporaryDirectory() as folder:
        write_mutated(Path(folder) / "mutated")
        write_large(Path(folder) / "large", photos)
        hostile = find_shared_data() / "hostile_images"
        parts = {"mutated": Path(folder) / "mutated", "hostile": hostile,
                 "100 megapixels": Path(folder) / "large"}  # fmt: skip
        for name, path in parts.items():
            figures |= run_child(name, path)
    show(record("damage", figures))


def read_photos(count: int) -> list[bytes]:
    """Return the first `count` photos of the measuring data, as JPEG files."""
    table = pl.read_parquet(find_shared_data() / "photos" / "photos.parquet", columns=["image"])
    return table["image"].head(count).to_list()


def make_mosaic(photos: Sequence[bytes], first: int, *, progressive: bool = False) -> bytes:
    """Return a JPEG of 4 x 3 photos, 1600 x 1200 px."""
    whole = Image.new("RGB", (4 * _SIDE_PX, 3 * _SIDE_PX))
    for place in range(12):
        tile = Image.open(io.BytesIO(photos[(first * 7 + place) % len(photos)])).convert("RGB")
        spot = (place % 4 * _SIDE_PX, place // 4 * _SIDE_PX)
        whole.paste(tile.resize((_SIDE_PX, _SIDE_PX)), spot)
    stream = io.BytesIO()
    whole.save(stream, "JPEG", quality=85, progressive=progressive)
    return stream.getvalue()


def judge_jpegs(photos: Sequence[bytes]) -> dict[str, Figure]:
    """Return the share flagged for each kind of damage to JPEGs, and the false alarms."""
    files = {
        "full": list(photos),
        "reduced": [make_mosaic(photos, i) for i in range(MOSAICS)],
        "progressive": [make_mosaic(photos, i, progressive=True) for i in range(PROGRESSIVE)],
    }
    figures, hits, alarms = {}, [0, 0], [0, 0]
    for kind, damage in {**SECTORS, **CUTS, **HARMLESS}.items():
        sound = kind in HARMLESS
        counts = {name: count_flagged(some, damage) for name, some in files.items()}
        flagged, n = sum(counts.values()), sum(map(len, files.values()))
        total = alarms if sound else hits
        total[0], total[1] = total[0] + flagged, total[1] + n
        for name, some in files.items():
            figures[f"JPEG, {name} decode: {kind}"] = share(counts[name], len(some), sound=sound)
    figures["JPEG: damage flagged"] = share(*hits, sound=False)
    figures["JPEG: false alarms"] = share(*alarms, sound=True)
    return figures


def judge_others(photos: Sequence[bytes]) -> dict[str, Figure]:
    """Return the share flagged where the format can tell, and the false alarms, by format."""
    small = [Image.open(io.BytesIO(photo)).convert("RGB").resize((300, 225)) for photo in photos]
    cuts = dict(CUTS)
    zeros = cuts.pop("second half zeros")
    asked: dict[str, dict[str, Damage]] = {
        "PNG": {**cuts, "wrong checksum": break_checksum, "no IEND": cut_tail(12),
                "4 KB zeroed": zero_sector, "second half zeros": zeros},
        "GIF": {**cuts, "no trailer": cut_tail(1), "4 KB zeroed": zero_sector},
        "BMP": cuts, "TIFF": cuts,
        "WEBP": {**cuts, "4 KB zeroed": zero_sector, "second half zeros": zeros},
        "AVIF": {**cuts, "4 KB zeroed": zero_sector, "second half zeros": zeros},
    }  # fmt: skip
    figures, alarms = {}, [0, 0]
    for name, damages in asked.items():
        files = [encode(image, name) for image in small[:OTHERS]]
        for kind, damage in damages.items():
            flagged = count_flagged(files, damage)
            figures[f"{name}: {kind}"] = share(flagged, len(files), sound=False)
        for damage in HARMLESS.values():
            alarms[0] += count_flagged(files, damage)
            alarms[1] += len(files)
    figures["other formats: false alarms"] = share(*alarms, sound=True)
    return figures


def count_flagged(files: Sequence[bytes], damage: Damage) -> int:
    """Return how many files have an error kind or a warning after `damage`."""
    flagged = 0
    for index, data in enumerate(files):
        row = measure_image(damage(data, files[(index + 1) % len(files)]), None, Limits())
        flagged += row["error_kind"] is not None or row["decode_warning"] is not None
    return flagged


def share(count: int, n: int, *, sound: bool) -> Figure:
    """Return count / n with the target for sound files (0) or damaged ones."""
    if sound:
        return Figure(count / n, 0.0, "lower", n)
    return Figure(count / n, FLAGGED_MIN, "higher", n)


def write_mutated(folder: Path) -> None:
    """Write MUTATED files made from ten formats, the same in every run."""
    (folder / "any").mkdir(parents=True)  # a class folder: whatever its names, every file counts
    rng = random.Random(20261125)  # noqa: S311 - the same files in every run
    sound = [encode(draw_picture(seed), kind) for kind in FORMATS for seed in range(5)]
    for number in range(MUTATED):
        data = mutate(sound[number % len(sound)], rng.choice(sound), rng)
        (folder / "any" / f"{number:04}.{FORMATS[number // 5 % len(FORMATS)].lower()}").write_bytes(
            data
        )


def write_large(folder: Path, photos: Sequence[bytes]) -> None:
    """Write sound pictures of 100 megapixels: the limits must let them through."""
    folder.mkdir()
    tile = Image.open(io.BytesIO(make_mosaic(photos, 0)))
    whole = Image.new("RGB", (_SIDE_100MP_PX, _SIDE_100MP_PX))
    for x in range(0, _SIDE_100MP_PX, tile.width):
        for y in range(0, _SIDE_100MP_PX, tile.height):
            whole.paste(tile, (x, y))
    whole.save(folder / "baseline.jpg", quality=75)
    whole.save(folder / "progressive.jpg", quality=75, progressive=True)
    whole.save(folder / "full.jpg", quality=75, progressive=True, subsampling=0)
    whole.save(folder / "large.png", compress_level=1)
    whole.putalpha(128)
    whole.save(folder / "alpha.png", compress_level=1)


def run_child(name: str, path: Path) -> dict[str, Figure]:
    """Profile `path` in a process of its own, whose only children are the workers."""
    command = [sys.executable, "-m", "bench.damage", CHILD, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    files, answered, failed, died, late, seconds, peak_mb = map(
        float, done.stdout.splitlines()[-1].split()
    )
    n = int(files)
    figures = {
        f"{name}: files without an answer": Figure(files - answered, 0, "lower", n),
        f"{name}: crashes of a worker": Figure(died, 0, "lower", n),
        f"{name}: files stopped at the time limit": Figure(late, None, "lower", n),
        f"{name}: peak memory of a worker": Figure(peak_mb, MEMORY_MB_MAX, "lower", n, unit="MB"),
        f"{name}: wall-clock": Figure(seconds, None, "lower", n, unit="s"),
    }
    if name == "100 megapixels":
        figures[f"{name}: not measured"] = Figure(failed, 0, "lower", n)
    return figures


def profile(path: Path) -> Mapping[str, float]:
    """Profile `path` with two workers; return counts, seconds and a worker's peak memory."""
    source = open_source(path)
    entries = source.entries()
    start = time.monotonic()
    found = profile_images(source, entries, workers=2)
    seconds = time.monotonic() - start
    kinds = found["error_kind"]
    return {
        "files": entries.height, "answered": found.height, "failed": len(kinds.drop_nulls()),
        "died": int((kinds == "worker_died").sum()), "late": int((kinds == "timeout").sum()),
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }  # fmt: skip


if __name__ == "__main__":
    if CHILD in sys.argv:
        print(*profile(Path(sys.argv[-1])).values())
    else:
        main()
