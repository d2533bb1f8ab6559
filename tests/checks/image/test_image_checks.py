"""Image checks on sets whose defects were made here, measured by the real profiler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageFilter

from checks.core.check import load_checks, select_checks
from checks.core.run import run_row_checks


def draw_digit(seed: int) -> Image.Image:
    """A white stroke on black, 28 x 28 px, as handwritten digits are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:28, :28]
    turn, bend = rng.uniform(-0.6, 0.6), rng.uniform(-0.05, 0.05)
    away = np.abs((x - 14) - turn * (y - 14) - bend * (y - 14) ** 2)
    stroke = np.clip(2.4 - away, 0, 1) * ((y > 4) & (y < 23))
    return Image.fromarray((255 * stroke).astype(np.uint8))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The checks that flagged each file, by the file's stem."""
    image = pytest.importorskip("checks.metrics.image")
    opener = pytest.importorskip("checks.sources.source")
    root: Path = tmp_path_factory.mktemp("digits")
    for name in ("a", "b"):
        (root / name).mkdir()
    for seed in range(80):
        draw_digit(seed).save(root / "a" / f"ok{seed}.png")
    digit = draw_digit(100)
    pixels = np.asarray(digit)
    (root / "b" / "cut.png").write_bytes((root / "a" / "ok0.png").read_bytes()[:60])
    (root / "b" / "void.png").write_bytes(b"")
    digit.filter(ImageFilter.GaussianBlur(1.5)).save(root / "b" / "blur.png")
    Image.fromarray((pixels * 0.15).astype(np.uint8)).save(root / "b" / "dark.png")
    Image.fromarray((pixels * 0.2 + 150).astype(np.uint8)).save(root / "b" / "washed.png")
    Image.new("L", (28, 28), 255).save(root / "b" / "white.png")
    digit.resize((200, 200)).save(root / "b" / "large.png")
    digit.crop((12, 0, 16, 28)).save(root / "b" / "thin.png")
    digit.convert("CMYK").save(root / "b" / "ink.tif")
    digit.save(root / "b" / "lie.jpg", "PNG")
    source = opener.open_source(str(root))
    metrics = image.profile_images(source, source.entries(), workers=1)
    keyed = metrics.with_columns(sample_id=pl.col("uri").str.extract(r"([^/]+)\.\w+$"))
    findings = run_row_checks(keyed.lazy(), select_checks(load_checks(), "image"))
    hits: dict[str, set[str]] = {}
    for sample, check in findings.select("sample_id", "check_id").iter_rows():
        hits.setdefault(sample, set()).add(check)
    return hits


@pytest.mark.parametrize(
    ("file", "check"),
    [
        ("blur", "blurry"), ("dark", "too_dark"), ("washed", "low_contrast"),
        ("white", "too_light"), ("white", "low_information"), ("large", "odd_size"),
        ("thin", "odd_aspect"), ("thin", "too_small"), ("ink", "minority_mode"),
        ("lie", "extension_mismatch"),
    ],
)  # fmt: skip
def test_defect_is_found(found: dict[str, set[str]], file: str, check: str) -> None:
    """The check meant for a defect finds it."""
    assert check in found[file]


@pytest.mark.parametrize("file", ["cut", "void"])
def test_unreadable_has_one_finding(found: dict[str, set[str]], file: str) -> None:
    """A file that cannot be read has exactly the finding that says so."""
    assert found[file] == {"unreadable"}


def test_digits_are_legitimate(found: dict[str, set[str]]) -> None:
    """White strokes on a black ground are not dark, blurred, flat or blank: no warning at all."""
    warnings = {c.id for c in load_checks().values() if c.severity != "info"}
    clean = [name for name in found if name.startswith("ok") and found[name] & warnings]
    assert clean == []


def test_a_dark_digit_is_not_blurred(found: dict[str, set[str]]) -> None:
    """Low contrast does not pass for blur."""
    assert "blurry" not in found["dark"] | found["washed"]
