"""One set divided many times: `gristmill resplit` from data to table, file and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from checks.core.errors import GristmillError, SourceError
from checks.metrics import image
from flows.app.cli import _dispatch
from flows.app.config import read_config
from flows.app.resplitting import _plan, closing_lines, resplit
from flows.app.store import RESPLITS, RunFolder, open_run
from flows.report import build_report, render_html
from tests.flows.made_tables import (
    BY_BOT,
    WIDE_CAPS,
    make_noise,
    make_table,
    table_config,
)
from tests.flows.report.pages import assert_harmless
from training.effects import pick

TIMES = 3


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The run folder of a table that a bot answered in part, and what three divisions came to."""
    folder = tmp_path_factory.mktemp("resplit")
    (folder / "own.py").write_text(BY_BOT)
    config = table_config(
        folder, make_noise(2), split={"test_frac": 0.45}, checks={"modules": ["own.py"]},
        policy={**WIDE_CAPS, "max_slice_drop_frac": 1.0},
        training={"steps": 150, "leave_out": ["note"]},
    )  # fmt: skip
    out = open_run(config, folder / "run").path
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("os.cpu_count", lambda: 1)  # starting workers would take longest
        return out, resplit(str(out), None, times=TIMES, seeds=5)


def _samples(out: Path, at: int) -> pl.DataFrame:
    return RunFolder(out / "resplits" / f"{at:04}").read_table("samples")


def test_each_division_is_a_run_of_its_own(divided: tuple[Path, dict[str, Any]]) -> None:
    """The same samples fall otherwise each time, and each division's own experiment is told."""
    out, told = divided
    parts = [_samples(out, at) for at in range(TIMES)]
    tests = [set(part.filter(pl.col("split") == "test")["sample_id"]) for part in parts]
    assert len({frozenset(part["sample_id"]) for part in parts}) == 1
    assert all(
        len(one & other) < 0.65 * len(one) for one in tests for other in tests if one != other
    )
    assert len({frozenset(test) for test in tests}) == TIMES
    for at, row in enumerate(told["divisions"]):
        experiment = json.loads((out / row["run"] / "experiment.json").read_text())
        own = pick(experiment["tiers"]["probe"]["effects"], "cleaned", "raw")
        assert row["effects"][0]["estimate"] == own["estimate"]
        assert row["rows"]["test"] == parts[at].filter(pl.col("split") == "test").height
    assert told["effects"][0]["estimate"] == pytest.approx(
        np.mean([row["effects"][0]["estimate"] for row in told["divisions"]])
    )


def test_a_division_cleans_its_own_train_rows_alone(
    divided: tuple[Path, dict[str, Any]],
) -> None:
    """In each division train rows are dropped, and of its own validation and test rows none."""
    for at in range(TIMES):
        run = RunFolder(divided[0] / "resplits" / f"{at:04}")
        told = run.read_table("decisions").join(_samples(divided[0], at), on="sample_id")
        acted = told.filter(pl.col("action").is_in(["drop", "relabel", "down_weight"]))
        assert acted.height > 50
        assert set(acted["split"]) == {"train"}


def test_planted_noise_that_is_cleaned_away_helps_in_every_division(
    divided: tuple[Path, dict[str, Any]],
) -> None:
    """Cleaned is ahead of raw each time, and on average of a random drop of the same size too.

    The interval over divisions is wider than the plain t on both sides.
    """
    out, told = divided
    main, control = told["effects"][:2]
    assert main["estimate"] > 0.01
    assert control["estimate"] > 0.01
    assert main["above"] == TIMES
    assert main["low"] < main["plain"]["low"] <= main["plain"]["high"] < main["high"]
    assert sum(told["words"].values()) == TIMES
    kept = RunFolder(out).read_json(RESPLITS)
    assert {**kept, "run": str(out)} == json.loads(json.dumps(told))
    said = list(closing_lines(told))
    assert said[0].startswith("Verdict: ")
    assert "too narrow" in said[2]
    assert said[-1].endswith(f"`gristmill report {out}` shows them.")


def test_a_second_call_trains_nothing_and_says_the_same(
    divided: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is finished is read, not run again; the table is on stderr, JSON alone on stdout."""
    out, told = divided
    command = ["resplit", str(out), "--times", str(TIMES), "--json"]
    assert _dispatch(command) == 0
    seen = capsys.readouterr()
    assert json.loads(seen.out) == told
    stations = [line for line in seen.err.splitlines() if line.startswith(("profile", "compare"))]
    assert len(stations) == 2 * TIMES
    assert all("unchanged" in line for line in stations)
    assert "plain t" in seen.err


def test_the_report_has_a_section_of_divisions(
    divided: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """The section stands in the page and in its contents, with both intervals."""
    folder = divided[0] / "resplits" / "0000"
    for name in ("profile.json", "samples.parquet", "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / RESPLITS).write_text((divided[0] / RESPLITS).read_text())
    report = build_report(tmp_path)
    page = render_html(report)
    assert_harmless(page)
    assert 'id="resplits"' in page
    assert "plain t, too narrow" in page
    assert report["resplits"]["effects"][0]["plain"]["low"] > report["resplits"]["effects"][0][
        "effect"]["low"]  # fmt: skip


def test_given_splits_are_refused_unless_they_may_be_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that names its test is refused in one sentence; --pool divides all of it."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    frame = make_table(4)
    out = open_run(table_config(tmp_path, frame, training={"steps": 20}), tmp_path / "run").path
    with pytest.raises(SourceError, match=r"gives the splits itself \(test, val\).*--pool"):
        resplit(str(out), None, times=2, seeds=2)
    told = resplit(str(out), None, times=2, seeds=2, pool=True)
    for at in range(2):
        own = _samples(tmp_path / "run", at)
        assert set(own["split"]) == {"train", "val", "test"}
        joined = own.with_columns(was=frame["split"].gather(own["row"]))
        assert joined.filter(pl.col("was") == "test")["split"].n_unique() == 3
    assert told["splits"] == 2


def test_the_seeds_asked_for_stand_where_the_configuration_has_looks(tmp_path: Path) -> None:
    """Looks would end divisions at different counts of seeds: each takes the number asked for."""
    config = table_config(tmp_path, make_table(1), training={"looks": [6, 12, 24]})
    planned = _plan(config, 0, 3, pool=False).training
    assert (planned.seeds, planned.looks) == (3, ())


def test_images_are_measured_once_for_all_divisions(
    tiny_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Divisions read one cache, since decoding depends on no split; no picture is read twice."""
    measured: list[tuple[str, int]] = []
    real = image._measure

    def measure(source: Any, jobs: Any, *given: Any) -> Any:
        measured.extend(item for job in jobs for item in job.items)
        return real(source, jobs, *given)

    monkeypatch.setattr(image, "_measure", measure)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    config = read_config({
        "version": 1, "source": {"path": str(tiny_images)}, "profile": {"workers": 1},
        "training": {"steps": 10, "image_size": 16},
    })  # fmt: skip
    told = resplit(str(open_run(config, tmp_path / "run").path), None, times=2, seeds=2)
    assert told["splits"] == 2
    assert len(measured) == len(set(measured)) == 120


def test_one_division_is_no_spread(tmp_path: Path) -> None:
    """Fewer than two divisions are refused before anything is read."""
    with pytest.raises(GristmillError, match="too few divisions"):
        resplit(str(tmp_path / "none.toml"), None, times=1, seeds=5)
