"""Duplicates and leaks on pictures whose copies were made here, measured by the real profiler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from checks.core.check import load_checks
from checks.core.run import run_set_checks

CHECKS = load_checks()
KINDS = ("bytes", "pixels", "jpeg", "resized", "mirror", "turned")


def draw_scene(seed: int) -> Image.Image:
    """A picture with structure on all scales, different for each seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (9, 9), np.uint8)
    return Image.fromarray(small).resize((96, 80), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.LazyFrame]:
    """Twelve scenes in train, and one copy of the first ones for each kind of copy."""
    image = pytest.importorskip("checks.metrics.image")
    opener = pytest.importorskip("checks.sources.source")
    root: Path = tmp_path_factory.mktemp("scenes")
    (root / "scene").mkdir()
    (root / "other").mkdir()
    scenes = [draw_scene(seed) for seed in range(12)]
    for at, scene in enumerate(scenes):
        scene.save(root / "scene" / f"{at:02}.png")
    made = {
        "bytes": (scenes[0], "png"), "pixels": (scenes[1], "bmp"), "jpeg": (scenes[2], "jpg"),
        "resized": (scenes[3].resize((72, 60)), "png"),
        "mirror": (scenes[4].transpose(Image.Transpose.FLIP_LEFT_RIGHT), "png"),
        "turned": (scenes[5].transpose(Image.Transpose.ROTATE_90), "png"),
    }  # fmt: skip
    for kind, (copy, extension) in made.items():
        copy.save(root / "other" / f"{kind}.{extension}")
    source = opener.open_source(str(root))
    entries = source.entries()
    metrics = image.profile_images(source, entries, workers=1)
    keyed = metrics.join(entries.select("uri", "row", "label"), on=["uri", "row"])
    name = pl.col("uri").str.extract(r"([^/]+)\.\w+$")
    keyed = keyed.with_columns(sample_id=name, split=pl.lit("train"))
    columns = ("sample_id", "split", "label", "xxh3_128", "byte_size")
    return {"samples": keyed.select(columns).lazy(),
            "metrics": keyed.drop("label", "split", "byte_size", "xxh3_128").lazy()}  # fmt: skip


def pairs_of(check: str, tables: dict[str, pl.LazyFrame]) -> set[frozenset[str]]:
    """Who was found to be whose copy."""
    found = run_set_checks(tables, [CHECKS[check]]).findings
    return {frozenset(pair) for pair in found.select("sample_id", "suggestion").iter_rows()}


def test_exact_copies(profiled: dict[str, pl.LazyFrame]) -> None:
    """Copies by bytes and by pixels are found, and nothing else."""
    one_label = profiled["samples"].with_columns(label=pl.lit("scene"))
    assert pairs_of("exact_duplicate", profiled | {"samples": one_label}) == {
        frozenset({"bytes", "00"}), frozenset({"pixels", "01"}),
    }  # fmt: skip


def test_a_copy_with_another_label_is_no_duplicate(profiled: dict[str, pl.LazyFrame]) -> None:
    """Copies that contradict each other are left to `conflicting_labels`: none is dropped."""
    assert pairs_of("exact_duplicate", profiled) == set()


def test_near_copies(profiled: dict[str, pl.LazyFrame]) -> None:
    """Re-encoded, resized, mirrored and turned copies are found, and no different scenes."""
    assert pairs_of("near_duplicate", profiled) == {
        frozenset({"jpeg", "02"}), frozenset({"resized", "03"}), frozenset({"mirror", "04"}),
        frozenset({"turned", "05"}),
    }  # fmt: skip


def test_turns_are_named(profiled: dict[str, pl.LazyFrame]) -> None:
    """The evidence says how a copy was mirrored or turned."""
    found = run_set_checks(profiled, [CHECKS["near_duplicate"]]).findings
    told = " ".join(found["evidence"])
    assert "mirrored left to right" in told
    assert "turned by" in told


def test_leaks(profiled: dict[str, pl.LazyFrame]) -> None:
    """Train samples with a copy in test are found, whatever the kind of copy; test ones are not."""
    split = pl.when(pl.col("sample_id").is_in(KINDS)).then(pl.lit("test")).otherwise("split")
    tables = {**profiled, "samples": profiled["samples"].with_columns(split=split)}
    found = run_set_checks(tables, [CHECKS["cross_split_leak"]]).findings
    assert found["sample_id"].to_list() == ["00", "01", "02", "03", "04", "05"]
    assert found["suggestion"].to_list() == list(KINDS)


def test_conflicts(profiled: dict[str, pl.LazyFrame]) -> None:
    """Copies in another class are contradictions: exact ones errors, near ones warnings."""
    found = run_set_checks(profiled, [CHECKS["conflicting_labels"]]).findings
    severity = dict(found.select("sample_id", "severity").iter_rows())
    assert {k for k, v in severity.items() if v == "error"} == {"00", "01", "bytes", "pixels"}
    assert {"jpeg", "02", "mirror", "04"} <= {k for k, v in severity.items() if v == "warning"}


def test_small_pictures_need_more_agreement(profiled: dict[str, pl.LazyFrame]) -> None:
    """Below 64 px, 40 differing bits are no copy where random pairs are as close as that."""
    frame = profiled["metrics"].collect()
    rng = np.random.default_rng(0)
    alike = pl.Series(rng.integers(0, 2**24, frame.height, dtype=np.uint64) << np.uint64(3))
    words = {f"phash256_{word}": alike for word in range(4)}
    same = pl.Series([7] * frame.height, dtype=pl.UInt64)
    digests = pl.Series([f"d{at}" for at in range(frame.height)])
    small = frame.with_columns(
        **words, phash64=same, phash64_d4=None, width_px=28, height_px=28, ac_std=30.0,
        pixel_digest=digests,
    )  # fmt: skip
    assert pairs_of("near_duplicate", {**profiled, "metrics": small.lazy()}) == set()
    large = small.with_columns(width_px=100, height_px=100)
    assert pairs_of("near_duplicate", {**profiled, "metrics": large.lazy()}) != set()
