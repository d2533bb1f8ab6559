"""What has gone from a run folder, or been cut short, is seen, told and made again."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.app.config import load_config
from flows.app.held_shards import tell_current
from flows.app.outcome import Outcome, as_data, warnings_of
from flows.app.store import RunFolder, open_run
from training.shards import history
from training.shards.damage import verify
from training.shards.manifest import current_digest, read_manifest

Clean = Callable[[Path, Path], Outcome]


@pytest.fixture
def run(cleaned: tuple[Path, Outcome], tmp_path: Path) -> RunFolder:
    """A cleaned run of one's own."""
    shutil.copytree(cleaned[1].run, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def manifests(run: RunFolder) -> tuple[str, str]:
    """Return the digests of a run's raw and cleaned manifest."""
    told = run.read_json("clean.json")
    return str(told["raw_manifest"]), str(told["cleaned_manifest"])


def test_lost_shards_are_written_again(
    cleaned: tuple[Path, Outcome], run: RunFolder, clean: Clean
) -> None:
    """A missing shard, a ledger cut short and a lost manifest come back; what is judged stands."""
    out, (raw, held) = run.file("shards"), manifests(run)
    (out / read_manifest(out, raw).shards[0].path).unlink()
    short = out / read_manifest(out, held).ledger[0].path
    short.write_bytes(short.read_bytes()[:-1])
    run.write_json("experiment.json", {"verdict": None})
    before = run.file("findings.parquet").stat().st_mtime_ns
    done = clean(cleaned[0], run.path).stations
    assert [facts.get("rewritten") for facts in done] == [None, 1, 1]
    assert (manifests(run), current_digest(out)) == ((raw, held), held)
    assert verify(out, every=True) == []
    assert run.has("experiment.json")
    assert run.file("findings.parquet").stat().st_mtime_ns == before
    (out / "manifests" / f"{raw}.json").unlink()
    again = clean(cleaned[0], run.path).stations
    assert [facts["skipped"] for facts in again] == [True] * 3
    assert [facts.get("rewritten") for facts in again] == [None, 1, None]
    assert verify(out, every=True) == []


def test_going_back_stands_and_is_told(
    cleaned: tuple[Path, Outcome], run: RunFolder, clean: Clean
) -> None:
    """After `use raw` a clean says so and how to go back; writing lost shards does not undo it."""
    out, (raw, held) = run.file("shards"), manifests(run)
    assert tell_current(run) is None
    history.use(out, history.find_digest(out, "raw"))
    (out / read_manifest(out, held).ledger[0].path).unlink()
    assert clean(cleaned[0], run.path).stations[2]["rewritten"] == 1
    assert current_digest(out) == raw
    told = as_data(Outcome(run.path), "clean")["warnings"][-1]
    assert told.startswith(f"shards: raw ({raw[:12]}) is current")
    assert f"gristmill shards use {run.path} {held[:12]}" in told
    history.use(out, history.find_digest(out, "cleaned"))
    assert not any(line.startswith("shards:") for line in warnings_of(run))


def test_a_damaged_table_is_made_again(
    cleaned: tuple[Path, Outcome], run: RunFolder, clean: Clean, caplog: pytest.LogCaptureFixture
) -> None:
    """Tables cut short and broken JSON of ours are told in a line each and made again."""
    whole = {name: run.file(name).read_bytes() for name in ("samples.parquet", "clean.json")}
    for name, content in whole.items():
        run.file(name).write_bytes(content[:-9])
    run.file("experiment.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        outcome = clean(cleaned[0], run.path)
    assert [line.split(": cannot be read")[0] for line in caplog.messages] == [
        str(run.file(name)) for name in ("samples.parquet", "clean.json", "experiment.json")
    ]
    assert {name: run.file(name).read_bytes() for name in whole} == whole
    assert not run.has("experiment.json")
    assert as_data(outcome, "clean")["gate"]["passed"]


def test_only_own_files_are_removed(cleaned: tuple[Path, Outcome], run: RunFolder) -> None:
    """A file of a person's that cannot be read stays where it is."""
    run.file("mine.json").write_text("{")
    run.file("stamps.json").write_text("{")
    open_run(load_config(cleaned[0]), run.path)
    assert run.file("mine.json").read_text() == "{"
    assert not run.has("stamps.json")
    assert json.loads(run.file("profile.json").read_text())
