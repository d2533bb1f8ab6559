"""What a second profile sees: changes, rotten bytes, and what a kill leaves behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from checks.image.changed_in_place import changed_in_place
from checks.metrics import image as station
from checks.metrics.image import plan_bundles, profile_images
from checks.metrics.image_history import TURNS, read_history, verify_known
from checks.sources.source import open_source

CHANGES = ("added", "removed", "changed", "touched", "changed_in_place")
FLAGGED = pl.col("changed_in_place")


def draw(folder: Path, *numbers: int) -> Path:
    """Write small pictures <class>/<n>.bmp whose size in bytes is the same for all."""
    for n in numbers:
        path = folder / ("cat" if n % 2 else "dog") / f"{n:03}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((6, 5)).point(lambda level, n=n: level ^ n).save(path)
    return folder


def profile(data: Path, cache: Path | None, **options: int) -> pl.DataFrame:
    """Open, list and profile `data` in this process, as a new run does."""
    source = open_source(data)
    return profile_images(source, source.entries(), workers=0, cache=cache, **options)


def verify(data: Path, cache: Path, how: str) -> int:
    """Read known files again as a new run does; return how many."""
    source = open_source(data)
    return verify_known(source, source.entries(), cache, how).count  # type: ignore[arg-type]


def changes(cache: Path) -> dict[str, int]:
    """Return the counts of changes that are not zero."""
    told = read_history(cache).facts["changes"] or {}
    return {name: told[name] for name in CHANGES if told.get(name)}


def rot(path: Path, *, at: int = -1) -> bytes:
    """Flip a byte and keep size and time; return the old content."""
    before, times = path.read_bytes(), path.stat()
    content = bytearray(before)
    content[at] ^= 0x55
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return before


def put_back(path: Path, content: bytes) -> None:
    """Write `content` and keep the time."""
    times = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be measured from here on."""

    def refuse(_source: object, jobs: list[object], *_: object) -> list[object]:
        assert not jobs, "a file is decoded again"
        return []

    monkeypatch.setattr(station, "_measure", refuse)


def test_changes_are_told_by_kind_and_name(tmp_path: Path) -> None:
    """Files that came, went, changed or only got another time are counted and named."""
    data, cache = draw(tmp_path / "data", *range(8)), tmp_path / "cache"
    profile(data, cache)
    assert changes(cache) == {}
    draw(data, 8, 9)
    (data / "dog/000.bmp").unlink()
    Image.new("L", (9, 9)).save(data / "cat/001.bmp")
    os.utime(data / "dog/002.bmp")
    found = profile(data, cache)
    assert changes(cache) == {"added": 2, "removed": 1, "changed": 1, "touched": 1}
    assert (read_history(cache).facts["changes"] or {})["examples"] == {
        "added": ["cat/009.bmp", "dog/008.bmp"], "removed": ["dog/000.bmp"],
        "changed": ["cat/001.bmp"], "touched": ["dog/002.bmp"],
    }  # fmt: skip
    assert found.equals(profile(data, None))
    profile(data, cache)
    assert changes(cache) == {"added": 2, "removed": 1, "changed": 1, "touched": 1}


@pytest.mark.usefixtures("no_decoding")
def test_refusal_of_decoding_is_effective(tmp_path: Path) -> None:
    """The fixture that forbids decoding does see a decode: the next tests prove something."""
    with pytest.raises(AssertionError, match="decoded again"):
        profile(draw(tmp_path / "data", 1), tmp_path / "cache")


def test_touched_files_are_not_decoded(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Files with another time and the same bytes keep their metrics, in a plan as in a profile."""
    data, cache = draw(tmp_path / "data", *range(6)), tmp_path / "cache"
    first = profile(data, cache)
    request.getfixturevalue("no_decoding")
    for path in data.rglob("*.bmp"):
        os.utime(path)
    source = open_source(data)
    assert len(plan_bundles(source.entries(), cache)) == 1
    assert plan_bundles(source.entries(), cache, source=source) == []
    assert profile(data, cache).equals(first)
    assert changes(cache) == {"touched": 6}


def test_rotten_bytes_are_found_and_measured_anew(tmp_path: Path) -> None:
    """Changed bytes under the same size and time are flagged; metrics are those of the bytes."""
    data, cache = draw(tmp_path / "data", *range(6)), tmp_path / "cache"
    profile(data, cache)
    rot(data / "cat/003.bmp")
    assert not profile(data, cache)["changed_in_place"].any()
    assert verify(data, cache, "all") == 6
    found = profile(data, cache)
    assert found.filter(FLAGGED)["uri"].to_list() == ["cat/003.bmp"]
    assert found.filter(changed_in_place.function())["uri"].to_list() == ["cat/003.bmp"]
    assert found.drop("changed_in_place").equals(profile(data, None).drop("changed_in_place"))
    assert changes(cache) == {"changed_in_place": 1}


def test_the_mark_stays_until_the_file_is_restored(tmp_path: Path) -> None:
    """Later runs, even with verify = none, keep the mark; the old content clears it."""
    data, cache = draw(tmp_path / "data", *range(6)), tmp_path / "cache"
    first = profile(data, cache)
    before = rot(data / "cat/003.bmp")
    verify(data, cache, "all")
    profile(data, cache)
    assert verify(data, cache, "none") == 1
    assert profile(data, cache)["changed_in_place"].sum() == 1
    rot(data / "cat/003.bmp", at=-2)  # worse still: measured anew, marked as before
    verify(data, cache, "none")
    worse = profile(data, cache)
    assert worse["changed_in_place"].sum() == 1
    assert worse.drop("changed_in_place").equals(profile(data, None).drop("changed_in_place"))
    put_back(data / "cat/003.bmp", before)
    verify(data, cache, "none")
    assert profile(data, cache).equals(first)
    assert verify(data, cache, "none") == 0


def test_a_later_time_accepts_the_new_content(tmp_path: Path) -> None:
    """Once its modification time moves on, a rotten file is an ordinary file again."""
    data, cache = draw(tmp_path / "data", *range(6)), tmp_path / "cache"
    profile(data, cache)
    rot(data / "cat/003.bmp")
    verify(data, cache, "all")
    assert profile(data, cache)["changed_in_place"].sum() == 1
    os.utime(data / "cat/003.bmp")
    assert verify(data, cache, "none") == 0
    assert profile(data, cache).equals(profile(data, None))
    assert changes(cache) == {"touched": 1}


def test_every_file_is_read_once_in_all_turns(tmp_path: Path) -> None:
    """The sample of one run is small, and TURNS runs read each file exactly once."""
    data, cache = draw(tmp_path / "data", *range(60)), tmp_path / "cache"
    profile(data, cache)
    counts = [verify(data, cache, "sample") for _ in range(TURNS)]
    assert sum(counts) == 60
    assert max(counts) <= 6
    rot(data / "cat/003.bmp")
    for _ in range(TURNS):
        verify(data, cache, "sample")
    assert profile(data, cache)["changed_in_place"].sum() == 1
    draw(data, *range(60, 70))
    profile(data, cache)
    assert sum(verify(data, cache, "sample") for _ in range(TURNS)) == 69 + TURNS


def test_a_known_file_that_cannot_be_read_is_unreadable(tmp_path: Path) -> None:
    """A file that turns unreadable in place is measured again, told, and never called changed."""
    data, cache = draw(tmp_path / "data", *range(4)), tmp_path / "cache"
    first = profile(data, cache)
    source = open_source(data)
    entries = source.entries()
    path = data / "cat/003.bmp"
    content, times = path.read_bytes(), path.stat()
    path.unlink()
    marked = verify_known(source, entries, cache, "all")
    found = profile_images(source, entries, workers=0, cache=cache)
    assert marked.mark
    assert found.filter(pl.col("error_kind") == "unreadable_file")["uri"].item() == "cat/003.bmp"
    assert not found["changed_in_place"].any()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert profile(data, cache).equals(first)


def test_rows_of_a_table_are_verified_alike(tmp_path: Path) -> None:
    """An image changed inside a Parquet file of the same time is found; a new time is no decode."""
    folder = draw(tmp_path / "data", *range(8))
    files = sorted(folder.rglob("*.bmp"))
    table, cache = tmp_path / "all.parquet", tmp_path / "cache"

    def write() -> None:
        pl.DataFrame({"image": [f.read_bytes() for f in files], "label": ["a"] * 8}).write_parquet(
            table, compression="uncompressed", row_group_size=3
        )

    write()
    first = profile(table, cache)
    times = table.stat()
    rot(files[4])
    write()
    os.utime(table, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert verify(table, cache, "all") == 8
    found = profile(table, cache)
    assert found.filter(FLAGGED)["row"].to_list() == [4]
    assert found.drop("changed_in_place").equals(profile(table, None).drop("changed_in_place"))
    rot(files[4])
    write()
    assert profile(table, cache).equals(first)
    assert changes(cache) == {"changed": 1, "touched": 7}


def test_other_limits_keep_the_history(tmp_path: Path) -> None:
    """A profile measured anew under other limits still knows the files, and finds rot for free."""
    data, cache = draw(tmp_path / "data", *range(6)), tmp_path / "cache"
    profile(data, cache)
    rot(data / "cat/003.bmp")
    source = open_source(data)
    found = profile_images(source, source.entries(), workers=0, cache=cache,
                           limits=station.Limits(max_pixels=1000))  # fmt: skip
    assert found.filter(FLAGGED)["uri"].to_list() == ["cat/003.bmp"]
    assert changes(cache) == {"changed_in_place": 1}


def test_a_complete_profile_is_one_piece(tmp_path: Path) -> None:
    """However many bundles and runs, one index and one history lie in the cache."""
    data, cache = draw(tmp_path / "data", *range(9)), tmp_path / "cache"
    profile(data, cache, bundle_size=2)
    draw(data, 9, 10)
    (data / "dog/000.bmp").unlink()
    profile(data, cache, bundle_size=2)
    (index,) = cache.glob("v*.parquet")
    assert pl.read_parquet(index).height == 10
    assert {path.name for path in cache.iterdir()} == {index.name, "known.parquet"}


class Interrupted(Exception):  # noqa: N818 - stands for a kill
    """The run was killed."""


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 7), st.integers(1, 4), st.booleans())
def test_interrupted_at_each_bundle_equals_fresh(count: int, size: int, grown: bool) -> None:
    """Stopped after any bundle and run again, a profile and its changes are those of one run."""
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(station, "_JOB_SIZE", 1)
        data, known = Path(place) / "data", []
        if grown:
            known = [100, 101]
            draw(data, *known)
        for name in ("fresh", "stopped"):
            if grown:
                profile(data, Path(place) / name)
        draw(data, *range(count))
        fresh = profile(data, Path(place) / "fresh")
        source = open_source(data)

        def stop(done: int, _total: int) -> None:
            if done > len(known) and (done - len(known)) % size == 0:
                raise Interrupted

        for _ in range(count):  # each time one bundle further
            try:
                profile_images(source, source.entries(), workers=0, bundle_size=size,
                               cache=Path(place) / "stopped", progress=stop)  # fmt: skip
            except Interrupted:
                known.append(-1)
        assert profile(data, Path(place) / "stopped").equals(fresh)
        facts = [read_history(Path(place) / name).facts for name in ("fresh", "stopped")]
        assert facts[0] == facts[1]


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_a_random_piece_equals_fresh(tmp_path: Path, seed: int) -> None:
    """After kill -9 at some piece, workers and all, the next run ends as a fresh one does."""
    data = draw(tmp_path / "data", *range(20))
    for name in ("fresh", "killed"):
        profile(data, tmp_path / name)
    draw(data, *range(20, 50))
    fresh = profile(data, tmp_path / "fresh", bundle_size=3)
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom checks.metrics import image\n"
        "from checks.sources.source import open_source\n"
        "source = open_source(sys.argv[1])\nleft = [int(sys.argv[3])]\nwrite = image.write_piece\n"
        "def die(*given):\n"
        "    write(*given)\n    left[0] -= 1\n"
        "    if left[0] == 0:\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "image.write_piece = die\n"
        "image.profile_images(source, source.entries(), workers=2, cache=Path(sys.argv[2]),"
        " bundle_size=3)\n"
    )
    pieces = random.Random(seed).randint(1, 9)  # noqa: S311 - not for secrets
    command = [sys.executable, "-c", code, str(data), str(tmp_path / "killed"), str(pieces)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    source = open_source(data)
    left = plan_bundles(source.entries(), tmp_path / "killed", 3)
    assert sum(bundle.entries.height for bundle in left) == 30 - 3 * pieces
    assert profile(data, tmp_path / "killed").equals(fresh)
    facts = [read_history(tmp_path / name).facts for name in ("fresh", "killed")]
    assert facts[0] == facts[1]
