"""Duplicates and leaks on pictures whose copies were made here, measured by the real profiler."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from checks.core.check import load_checks
from checks.core.run import run_set_checks
from checks.sets import copies, looks
from checks.sets.looks import Looks, Rule, pair_looks

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
    assert "turned by 90 degrees to the left" in told


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


def test_pairs_are_computed_once_and_forgotten(
    profiled: dict[str, pl.LazyFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three checks on the same tables share one search, and nothing outlives the tables."""
    searched = []

    def count(best: pl.DataFrame, rule: Rule) -> Looks:
        searched.append(rule)
        return pair_looks(best, rule)

    monkeypatch.setattr(copies, "pair_looks", count)
    names = ("near_duplicate", "cross_split_leak", "conflicting_labels")
    tables = {name: table.collect().lazy() for name, table in profiled.items()}
    run_set_checks(tables, [CHECKS[name] for name in names])
    assert len(searched) == 1
    del tables
    gc.collect()
    assert copies._KNOWN == {}


def describe(words: np.ndarray, first: np.ndarray) -> pl.DataFrame:
    """Contents with these 256-bit hashes, whose 64-bit hash is `first`."""
    columns = {f"phash256_{at}": words[:, at] for at in range(4)}
    return pl.DataFrame({
        "content": [f"{at:04}" for at in range(len(words))], "phash64": first, **columns,
    }).with_columns(
        phash64_d4=pl.lit(None, pl.UInt64), ac_std=30.0, width_px=100, height_px=100
    )  # fmt: skip


RULE = Rule(bits64_max=6, bits256_max=40, bits256_small=16, ac_std_min=4.0)


def test_equal_hashes_are_one_look() -> None:
    """Contents with equal hashes have one look, in the order of the contents, and no pair."""
    words = np.random.default_rng(0).integers(0, 2**64, (6, 4), dtype=np.uint64)
    found = pair_looks(describe(words[[0, 1, 0, 2, 1, 0]], words[[0, 1, 0, 2, 1, 0], 0]), RULE)
    assert found.look.to_list() == [0, 1, 0, 2, 1, 0]
    assert found.pairs.is_empty()


def test_a_crowd_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket over the cap, and pairs beyond what a look keeps, stand among the facts."""
    words = np.zeros((30, 4), np.uint64)
    words[:, 3] = np.arange(30)
    monkeypatch.setattr(looks, "BUCKET_MAX", 20)
    found = pair_looks(describe(words, words[:, 0]), RULE)
    assert found.pairs.is_empty()
    crowd = found.facts["phash64_over_20"]
    assert isinstance(crowd, dict)
    assert crowd["hashes"] == 30
    monkeypatch.setattr(looks, "BUCKET_MAX", 1_000)
    monkeypatch.setattr(looks, "PARTNERS_MAX", 0)
    found = pair_looks(describe(words, words[:, 0]), RULE)
    assert found.facts["phash64_pairs_left_out"] == 30 * 29 // 2


def test_members_of_a_look_are_all_judged(profiled: dict[str, pl.LazyFrame]) -> None:
    """Different contents with one hash are all flagged for one keeper, across splits as leaks."""
    metrics = profiled["metrics"].collect()
    row = metrics.filter(pl.col("sample_id") == "00")
    more = pl.concat(
        [row.with_columns(sample_id=pl.lit(f"x{at}"), pixel_digest=pl.lit(f"d{at}"))
         for at in range(3)]
    )  # fmt: skip
    known = profiled["samples"].collect()
    rows = known.filter(pl.col("sample_id") == "00")
    added = pl.concat([rows.with_columns(sample_id=pl.lit(f"x{at}")) for at in range(3)])
    tables = {"samples": pl.concat([known, added]).lazy(),
              "metrics": pl.concat([metrics, more]).lazy()}  # fmt: skip
    found = run_set_checks(tables, [CHECKS["near_duplicate"]]).findings
    assert set(found.filter(pl.col("suggestion") == "00")["sample_id"]) >= {"x0", "x1", "x2"}
    in_test = pl.when(pl.col("sample_id") == "x2").then(pl.lit("test")).otherwise("split")
    tables["samples"] = tables["samples"].with_columns(split=in_test)
    leaks = run_set_checks(tables, [CHECKS["cross_split_leak"]]).findings
    assert set(leaks["sample_id"]) >= {"00", "x0", "x1"}
    assert set(leaks["suggestion"]) == {"x2"}
