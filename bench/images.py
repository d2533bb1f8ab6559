"""The image profile against a bare Pillow decode and against cleanvision: CPU time, same files.

Ours is everything: reading, `profile_images` in this process, all row checks on images and the set
checks on copies, leaks and conflicts. Imports and compiling are outside the clock on all sides.
Rounds are interleaved; a figure is the median of the rounds' ratios, its interval the lowest to
the highest of six (the true median lies outside once in 2^5, so 97 %). All three are given the
same files. Run it as `python -m bench.images --json` (a quarter of an hour); without
GRISTMILL_PEERS (a Python that has cleanvision 0.3.7) the ratios against cleanvision are left out.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import polars as pl
from PIL import Image

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from checks.core.check import Check, load_checks
from checks.core.run import run_row_checks, run_set_checks
from checks.metrics.image import profile_images
from checks.sources.identity import identify
from checks.sources.source import open_source

ROUNDS = 6
SET_CHECKS = {"exact_duplicate", "near_duplicate", "cross_split_leak", "conflicting_labels"}
RIVAL = Path(__file__).parent / "rival_cleanvision.py"


@dataclass(frozen=True, slots=True)
class Case:
    """A set of files and the targets of the two ratios."""

    name: str
    make: Callable[[Path], None]
    cleanvision_by_ours: float
    ours_by_pillow: float | None


def read_photos() -> list[bytes]:
    """Return the shared photos, as they are encoded."""
    cells = pl.read_parquet(find_shared_data() / "photos" / "photos.parquet")["image"].to_list()
    return [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]


def make_photos(folder: Path) -> None:
    """Write the 900 shared photos, most of them 400 x 533 px."""
    for at, photo in enumerate(read_photos()):
        (folder / f"{at:04}.jpg").write_bytes(photo)


def make_mosaics(folder: Path) -> None:
    """Write 300 JPEGs (quality 85) of 3 x 3 or 4 x 4 shared photos each: 1.9 or 3.4 MP."""
    tiles = [Image.open(io.BytesIO(photo)).resize((400, 533)) for photo in read_photos()]
    for at in range(300):
        side = 3 + at % 2
        mosaic = Image.new("RGB", (400 * side, 533 * side))
        for place in range(side * side):
            corner = place % side * 400, place // side * 533
            mosaic.paste(tiles[(at * 7 + place * 31) % len(tiles)], corner)
        mosaic.save(folder / f"{at:04}.jpg", quality=85)


def make_icons(folder: Path) -> None:
    """Write the 10,000 test images of cifar10n as PNG of 32 x 32 px."""
    images = pl.read_parquet(find_shared_data() / "cifar10n" / "test.parquet")["image"].to_list()
    for at, cell in enumerate(images):
        data = cell["bytes"] if isinstance(cell, dict) else cell
        Image.open(io.BytesIO(data)).convert("RGB").save(folder / f"{at:04}.png")


CASES = (
    Case("photos_400x533", make_photos, 14.0, 1.3),
    Case("mosaics_1_to_4_mp", make_mosaics, 25.0, 0.9),
    Case("png_32x32", make_icons, 9.0, None),
)


def spend(work: Callable[[], object]) -> float:
    """Return the CPU seconds of `work`, its children's included."""
    before = os.times()
    start = time.process_time()
    work()
    spent, after = time.process_time() - start, os.times()
    children = after.children_user + after.children_system
    return spent + children - before.children_user - before.children_system


def judge_folder(folder: Path, checks: list[Check]) -> None:
    """Profile a folder and run every check on the result."""
    source = open_source(folder, kind="image_folder")
    entries = source.entries()
    measured = profile_images(source, entries, workers=0)  # type: ignore[arg-type]
    keys = entries.join(measured.select("uri", "row", "xxh3_128"), on=["uri", "row"])
    samples = identify(keys, 0, 0.1, 0.1)
    metrics = measured.drop("byte_size", "xxh3_128").join(
        samples.select("uri", "row", "sample_id", "label"), on=["uri", "row"]
    )
    run_row_checks(metrics.lazy(), checks)
    run_set_checks({"samples": samples.lazy(), "metrics": metrics.lazy()}, checks)


def decode_folder(folder: Path) -> None:
    """Decode every file with Pillow and do nothing with it."""
    for path in sorted(folder.rglob("*.*")):
        Image.open(path).load()


@contextmanager
def open_rival() -> Iterator[Callable[[Path], float] | None]:
    """Give a function from a folder to cleanvision's CPU seconds, None where it is absent."""
    peer = os.environ.get("GRISTMILL_PEERS")
    if not peer:
        print("GRISTMILL_PEERS is not set: no ratios against cleanvision", file=sys.stderr)
        yield None
        return
    process = subprocess.Popen(
        [peer, str(RIVAL)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    words, answers = process.stdin, process.stdout

    def ask(folder: Path) -> float:
        words.write(f"{folder}\n")
        words.flush()
        return float(answers.readline())

    try:
        yield ask
    finally:
        words.close()
        process.wait()
        answers.close()


def measure_case(case: Case, home: Path, ask: Callable[[Path], float] | None) -> dict[str, Figure]:
    """Return the costs of each file and their ratios over the rounds."""
    folder = home / case.name
    (folder / "one").mkdir(parents=True)
    case.make(folder / "one")
    count = len(list((folder / "one").iterdir()))
    checks = [c for c in load_checks().values() if c.kind == "row" and c.modality == "image"]
    checks += [check for name, check in load_checks().items() if name in SET_CHECKS]
    judge_folder(folder, checks)
    rounds = []
    for _ in range(ROUNDS):
        ours = spend(lambda: judge_folder(folder, checks)) / count
        pillow = spend(lambda: decode_folder(folder)) / count
        rival = ask(folder) / count if ask else None
        rounds.append((ours, pillow, rival))
    return describe_rounds(case, rounds, count)


def describe_rounds(
    case: Case, rounds: list[tuple[float, float, float | None]], count: int
) -> dict[str, Figure]:
    """Return medians of the rounds: milliseconds of CPU time for each file, and ratios."""
    by_pillow = [ours / pillow for ours, pillow, _ in rounds]
    by_rival = [rival / ours for ours, _, rival in rounds if rival is not None]
    name = case.name
    figures = {
        f"{name}_ours_by_pillow": _ratio(by_pillow, case.ours_by_pillow, "lower"),
        f"{name}_ours_ms": Figure(
            median(ours for ours, _, _ in rounds) * 1000, None, "lower", count, unit="ms"
        ),
        f"{name}_pillow_ms": Figure(
            median(pillow for _, pillow, _ in rounds) * 1000, None, "lower", count, unit="ms"
        ),
    }
    if by_rival:
        figures[f"{name}_cleanvision_by_ours"] = _ratio(
            by_rival, case.cleanvision_by_ours, "higher"
        )
    return figures


def _ratio(ratios: list[float], target: float | None, better: str) -> Figure:
    return Figure(median(ratios), target, better, len(ratios), (min(ratios), max(ratios)), "x")  # type: ignore[arg-type]


def measure() -> dict[str, Figure]:
    """Return every case's figures."""
    figures: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as home, open_rival() as ask:
        for case in CASES:
            figures |= measure_case(case, Path(home), ask)
    return figures


if __name__ == "__main__":
    show(record("images", measure()))
