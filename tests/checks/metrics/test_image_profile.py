import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from checks.core.errors import GristmillError
from checks.metrics import image as station
from checks.metrics.image import (
    PROFILE_SCHEMA,
    Limits,
    collect_profile,
    plan_bundles,
    profile_bundle,
    profile_images,
)
from checks.metrics.workers import Answer, Job
from checks.sources.source import open_source

SHARED = Path(
    os.environ.get("GRISTMILL_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of 20 small pictures in two classes, one of them damaged."""
    rng = np.random.default_rng(5)
    for i in range(20):
        path = tmp_path / "data" / ("cat" if i % 2 else "dog") / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)).save(path)
    (tmp_path / "data/cat/03.png").write_bytes(b"broken")
    return tmp_path / "data"


def test_workers_give_what_this_process_gives(folder: Path) -> None:
    """Two workers, and none, give the same table: every entry once, sorted, typed."""
    source = open_source(folder)
    entries = source.entries()
    calls: list[tuple[int, int]] = []
    here = profile_images(source, entries, workers=0)
    there = profile_images(
        source, entries, workers=2, progress=lambda done, total: calls.append((done, total))
    )
    assert there.schema == PROFILE_SCHEMA
    assert there.equals(here)
    assert there.select("uri", "row").equals(entries.select("uri", "row"))
    assert there.filter(pl.col("error_kind").is_not_null())["uri"].to_list() == ["cat/03.png"]
    assert (calls[0], calls[-1]) == ((0, 20), (20, 20))


class Interrupted(Exception):  # noqa: N818 - stands for a kill
    """The run was killed."""


def test_an_interrupted_profile_goes_on_with_an_equal_result(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a stop half-way only the rest is measured, and the table equals a fresh one."""
    source = open_source(folder)
    entries = source.entries()
    fresh = profile_images(source, entries, workers=0)

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise Interrupted

    monkeypatch.setattr(station, "_JOB_SIZE", 4)
    cache = tmp_path / "cache"
    with pytest.raises(Interrupted):
        profile_images(source, entries, workers=0, cache=cache, bundle_size=4, progress=stop)
    left = plan_bundles(entries, cache, 4)
    assert 0 < sum(bundle.entries.height for bundle in left) < 20
    again = profile_images(source, entries, workers=0, cache=cache, bundle_size=4)
    assert again.equals(fresh)
    assert plan_bundles(entries, cache, 7) == []


def test_a_grown_folder_costs_its_new_files_only(folder: Path, tmp_path: Path) -> None:
    """New and changed files are planned again, whatever their place in the listing."""
    source = open_source(folder)
    cache = tmp_path / "cache"
    profile_images(source, source.entries(), workers=0, cache=cache)
    Image.new("L", (9, 9)).save(folder / "cat" / "00_first.png")
    Image.new("L", (9, 9)).save(folder / "dog" / "02.png")
    source = open_source(folder)
    entries = source.entries()
    (bundle,) = plan_bundles(entries, cache)
    assert bundle.entries["uri"].to_list() == ["cat/00_first.png", "dog/02.png"]
    grown = profile_images(source, entries, workers=0, cache=cache)
    assert grown.equals(profile_images(source, entries, workers=0))


def test_bundles_measured_apart_make_the_same_profile(folder: Path, tmp_path: Path) -> None:
    """Planning, measuring each bundle and collecting equals one call; a gap is one sentence."""
    source = open_source(folder)
    entries = source.entries()
    cache = tmp_path / "cache"
    first, *rest = plan_bundles(entries, cache, 6)
    profile_bundle(source, first, cache=cache, workers=0)
    with pytest.raises(GristmillError, match="entries without metrics \\(got 14\\)"):
        collect_profile(entries, cache)
    for bundle in rest:
        profile_bundle(source, bundle, cache=cache, workers=0)
    assert collect_profile(entries, cache).equals(profile_images(source, entries, workers=0))


def test_damaged_pieces_and_other_limits_are_measured_again(folder: Path, tmp_path: Path) -> None:
    """A piece that cannot be read counts as none; so do pieces made under other limits."""
    source = open_source(folder)
    entries = source.entries()
    cache = tmp_path / "cache"
    profile_images(source, entries, workers=0, cache=cache)
    assert plan_bundles(entries, cache) == []
    assert len(plan_bundles(entries, cache, limits=Limits(max_pixels=5))) == 1
    (piece,) = cache.glob("*-index.parquet")
    piece.write_bytes(piece.read_bytes()[:100])
    assert len(plan_bundles(entries, cache)) == 1


def test_a_lost_worker_is_a_row_with_the_files_digest(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that costs its worker keeps size and digest, and is tried again in the next run."""
    source = open_source(folder)
    entries = source.entries()
    normal = profile_images(source, entries, workers=0)
    lost = station.Lost("worker_died", "its worker process ended with SIGSEGV, 2 times")

    def die_on_third(_module: str, setup: object, jobs: list[Job], **_: object) -> Iterator[Answer]:
        for job, position, row in station._measure(setup, jobs, 0, Limits()):  # type: ignore[arg-type]
            yield Answer(job, position, lost if position == 2 else row)

    monkeypatch.setattr(station, "run_jobs", die_on_third)
    cache = tmp_path / "cache"
    found = profile_images(source, entries, workers=2, cache=cache)
    assert found["error_kind"][2] == "worker_died"
    assert found.select("xxh3_128", "byte_size").equals(normal.select("xxh3_128", "byte_size"))
    assert plan_bundles(entries, cache)[0].entries.height == 1
    assert profile_images(source, entries, workers=0, cache=cache).equals(normal)
    assert collect_profile(entries, cache).equals(normal)


def test_two_files_that_nobody_can_read_are_no_copies(folder: Path) -> None:
    """Files that vanish before they are read have digests of their own."""
    source = open_source(folder)
    entries = source.entries()
    for uri in entries["uri"][:2]:
        (folder / uri).unlink()
    found = profile_images(source, entries, workers=0).head(2)
    assert found["error_kind"].to_list() == ["unreadable_file"] * 2
    assert found["xxh3_128"].n_unique() == 2


def test_images_in_parquet_are_profiled_alike(folder: Path, tmp_path: Path) -> None:
    """The same pictures as files and as rows have the same pixels, hashes and digests."""
    source = open_source(folder)
    files = source.entries()
    rows = {"image": list(source.read_bytes(files)), "file": files["uri"], "label": files["label"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "all.parquet", row_group_size=6)
    table = open_source(tmp_path / "all.parquet")
    a = profile_images(source, files, workers=0).drop("uri", "row")
    b = profile_images(table, table.entries(), workers=1).drop("uri", "row")
    assert a.equals(b)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_hostile_images_neither_raise_nor_hang() -> None:
    """Pillow's own crash corpus gives one row for each file, bombs stopped by their headers."""
    source = open_source(SHARED / "hostile_images")
    found = profile_images(source, source.entries(), workers=2)
    told = pl.read_parquet(SHARED / "hostile_images" / "images.parquet", columns=["pil_error"])
    both = pl.concat([found, told], how="horizontal")
    assert found.height == 373
    assert both.filter(pl.col("pil_error").is_null())["error_kind"].null_count() == 337
    unseen = pl.col("error_kind").is_null() & pl.col("decode_warning").is_null()
    assert both.filter(pl.col("pil_error").is_not_null() & unseen).height <= 1
    bombs = both.filter(pl.col("pil_error").str.contains("Bomb"))["error_kind"]
    assert set(bombs) == {"too_many_pixels"}
