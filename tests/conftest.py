"""Small data sets with known truth, and where the real ones lie."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "2")  # before polars starts its threads

import numpy as np
import polars as pl
import pytest
from hypothesis import settings
from PIL import Image, ImageFilter

from checks.core.check import _REGISTRY

settings.register_profile("untimed", deadline=None)  # a busy machine is no failed law
settings.load_profile("untimed")

ROOT = Path(__file__).parent.parent
CLASSES = ("bar", "disc")


@pytest.fixture(autouse=True)
def forget_foreign_checks() -> Iterator[None]:
    """What a test declares does not outlive it: a later run in this process would take it."""
    yield
    for name, known in list(_REGISTRY.items()):
        if not known.function.__module__.startswith("checks."):
            del _REGISTRY[name]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data for measuring; tests that need it skip where it is absent."""
    given = os.environ.get("GRISTMILL_SHARED_DATA")
    folder = Path(given) if given else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the data for measuring is not here")
    return folder


def draw(kind: str, rng: np.random.Generator, side: int = 24) -> Image.Image:
    """Return a grey picture of a bright bar or disc, at a random place, on a noisy ground."""
    y, x = np.mgrid[:side, :side]
    a, b = rng.uniform(side * 0.3, side * 0.7, 2)
    inside = (np.abs(x - a) < 2) if kind == "bar" else ((x - a) ** 2 + (y - b) ** 2 < 25)
    pixels = np.where(inside, 200, 60) + rng.normal(0, 12, (side, side))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image) -> bytes:
    """Return `image` as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def tiny_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder <class>/<n>.jpg of 2 x 60 pictures; `tiny_image_truth` says what is wrong in it."""
    root = tmp_path_factory.mktemp("images") / "shapes"
    rng = np.random.default_rng(7)
    for kind in CLASSES:
        (root / kind).mkdir(parents=True)
        for i in range(60):
            (root / kind / f"{i:03}.jpg").write_bytes(jpeg(draw(kind, rng)))
    bar, disc = root / "bar", root / "disc"
    whole = (bar / "000.jpg").read_bytes()
    (bar / "001.jpg").write_bytes(whole[: len(whole) // 2])  # truncated
    (bar / "002.jpg").write_bytes(b"no picture at all")
    (bar / "003.jpg").write_bytes((bar / "004.jpg").read_bytes())  # a copy
    dark = draw("disc", rng).point(lambda value: value // 12)
    (disc / "001.jpg").write_bytes(jpeg(dark))
    blurred = draw("disc", rng).filter(ImageFilter.GaussianBlur(4))
    (disc / "002.jpg").write_bytes(jpeg(blurred))
    (disc / "003.jpg").write_bytes((bar / "005.jpg").read_bytes())  # a copy under another label
    return root


@pytest.fixture(scope="session")
def tiny_image_truth() -> dict[str, str]:
    """The defect of each spoiled file of `tiny_images`, by uri."""
    return {
        "bar/001.jpg": "truncated",
        "bar/002.jpg": "not_an_image",
        "bar/003.jpg": "exact_duplicate",
        "disc/001.jpg": "too_dark",
        "disc/002.jpg": "blurry",
        "disc/003.jpg": "conflicting_labels",
    }


@pytest.fixture(scope="session")
def tiny_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 400 rows (age, height_cm, city, grade); `tiny_table_truth` says what is wrong."""
    rng = np.random.default_rng(11)
    age = rng.integers(18, 80, 400)
    height = rng.normal(172, 8, 400).round(1)
    grade = np.where(age + rng.normal(0, 6, 400) > 48, "senior", "junior")
    frame = pl.DataFrame(
        {
            "age": age.astype(str),
            "height_cm": height.astype(str),
            "city": rng.choice(["Arles", "Bergen", "Cadiz"], 400),
            "grade": grade,
        }
    )
    changes = {("age", 3): "", ("age", 5): "N/A", ("height_cm", 7): "1.71", ("city", 9): "Bergem"}
    for (column, row), value in changes.items():
        frame[row, column] = value
    frame[11, "age"], frame[11, "height_cm"] = "-4", "171.5"
    frame = pl.concat([frame, frame[20:21]])  # row 400 is a copy of row 20
    path = tmp_path_factory.mktemp("table") / "people.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="session")
def tiny_table_truth() -> dict[tuple[int, str | None], str]:
    """The defect of each spoiled cell of `tiny_table`, by (row, column)."""
    return {
        (3, "age"): "missing",
        (5, "age"): "placeholder",
        (7, "height_cm"): "mixed_unit",
        (9, "city"): "typo",
        (11, "age"): "impossible",
        (400, None): "exact_duplicate",
    }
