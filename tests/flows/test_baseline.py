"""From a run to its approved baseline, and what later runs are told about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from flows.app.baseline import approve, load, measure_drift
from flows.app.cli import main
from flows.app.config import Config, load_config
from flows.app.intake import open_data
from flows.app.outcome import warnings_of
from flows.app.stations import check, gate_message, profile, report
from flows.app.store import RunFolder, StoreError, open_run
from flows.report.drift import describe_drift


def write_table(path: Path, seed: int, *, older: int = 0) -> None:
    """Write 600 people, `older` years older than usual."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, 600) + older
    pl.DataFrame({
        "age": age, "city": rng.choice(["Arles", "Bergen", "Cadiz"], 600),
        "grade": np.where(rng.random(600) < 0.5, "senior", "junior"),
    }).write_csv(path)  # fmt: skip


def start(folder: Path, name: str, extra: str = "", *, judged: bool = True) -> RunFolder:
    """Run the line over <name>.csv up to the quality gate."""
    (folder / f"{name}.toml").write_text(
        f'version = 1\n[source]\npath = "{name}.csv"\nlabel = "grade"\n[report]\ntitle = "x"\n'
        f'[drift]\nbaseline = "baseline.json"\n{extra}\n'
    )
    config: Config = load_config(folder / f"{name}.toml")
    run = open_run(config, folder / f"run_{name}")
    profile(config, run)
    if judged:
        check(config, run)
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the approved run of `first`."""
    path = tmp_path_factory.mktemp("drift")
    write_table(path / "first.csv", 0)
    start(path, "first", judged=False)
    approve(path / "run_first")
    return path


def test_same_population_and_another_one(folder: Path) -> None:
    """A run like the baseline is quiet; one with older people is told, and the gate warns."""
    write_table(folder / "like.csv", 1)
    write_table(folder / "older.csv", 2, older=25)
    like, older = start(folder, "like"), start(folder, "older")
    assert warnings_of(like) == []
    assert any("age: the median went from" in line for line in warnings_of(older))
    assert any(line.startswith("drift_max: ") for line in warnings_of(older))
    assert gate_message(older) is None
    table = pl.read_parquet(older.file("drift.parquet"))
    assert table.row(0, named=True)["name"] == "age"
    report(older.read_config(), older)
    page = older.file("report.html").read_text("utf-8")
    assert "the median went from" in page
    assert 'aria-label="age: the median' in page


def test_the_gate_closes_if_asked(folder: Path) -> None:
    """With drift_max taken out of warn_only, large drift fails the gate."""
    write_table(folder / "closed.csv", 3, older=25)
    run = start(folder, "closed", "[gate]\nwarn_only = []")
    assert "drift_large_count" in str(gate_message(run))


def test_without_a_baseline(tmp_path: Path) -> None:
    """A baseline that is not there is told with the command that approves one; nothing fails."""
    write_table(tmp_path / "alone.csv", 4)
    run = start(tmp_path, "alone")
    assert "gristmill baseline approve RUN --out baseline.json" in warnings_of(run)[0]
    assert describe_drift(run.read_json("drift.json"))["compared"] is False
    assert gate_message(run) is None


def test_approving_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """The same run gives the same file, which reads back with its digest."""
    one, made = approve(folder / "run_first", tmp_path / "one.json")
    two, _ = approve(folder / "run_first", tmp_path / "two.json")
    assert one.read_bytes() == two.read_bytes()
    assert load(one).digest == made.digest
    assert [c.name for c in made.columns if c.of == "column"] == ["age", "city"]


def test_changed_data_is_not_approved(tmp_path: Path) -> None:
    """A table that changed after it was measured is refused."""
    write_table(tmp_path / "data.csv", 5)
    start(tmp_path, "data", judged=False)
    write_table(tmp_path / "data.csv", 6)
    with pytest.raises(StoreError, match="has changed since"):
        approve(tmp_path / "run_data")


def write_pictures(folder: Path, rng: np.random.Generator, count: int, light: float) -> None:
    """Write `count` grey grounds of 32 x 32 px, `light` times as bright as usual."""
    (folder / "x").mkdir(parents=True)
    for at in range(count):
        ground = np.clip(light * rng.normal(rng.uniform(80, 110), 20, (32, 32, 3)), 0, 255)
        Image.fromarray(ground.astype(np.uint8)).save(folder / "x" / f"{at}.png")


def measure_pictures(folder: Path, name: str) -> tuple[Config, RunFolder]:
    """Profile the pictures of <name>, with b.json as the baseline."""
    sections = '[drift]\nbaseline = "b.json"\n[profile]\nworkers = 1\n'
    path = folder / f"{name}.toml"
    path.write_text(f'version = 1\n[source]\npath = "{name}"\n{sections}')
    config = load_config(path)
    run = open_run(config, folder / f"run_{name}")
    profile(config, run)
    return config, run


def test_pictures(tmp_path: Path) -> None:
    """A folder of pictures a fifth brighter than the approved one is told so, by its luma."""
    rng = np.random.default_rng(8)
    write_pictures(tmp_path / "then", rng, 80, 1.0)
    write_pictures(tmp_path / "now", rng, 80, 1.2)
    _, then = measure_pictures(tmp_path, "then")
    approve(then.path, tmp_path / "b.json")
    config, now = measure_pictures(tmp_path, "now")
    told: Any = measure_drift(config, now, open_data(config))
    words = {row["name"]: row["word"] for row in told["columns"]}
    assert words["luma_mean"] == "large"
    assert words["width_px"] == words["format"] == "stable"
    assert told["new"] == []


def test_metrics_of_another_version(tmp_path: Path) -> None:
    """A run measured by an older version of the metrics is approved as such, and not compared."""
    write_pictures(tmp_path / "then", np.random.default_rng(9), 120, 1.0)
    config, run = measure_pictures(tmp_path, "then")
    measured = run.read_json("profile.json")
    run.write_json("profile.json", {**measured, "metrics_version": 1})
    _, made = approve(run.path, tmp_path / "b.json")
    assert made.about["metrics_version"] == 1
    told: Any = measure_drift(config, run, open_data(config))
    assert "measured by another version of the metrics" in told["note"]
    judged = {row["of"] for row in told["columns"] if row["word"] != "not_judged"}
    assert judged == {"class"}


def test_command_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`baseline approve` writes the file, `show` prints it, a missing one is exit code 2."""
    target = tmp_path / "kept.json"
    for tokens, code in (
        (["approve", str(folder / "run_first"), "--out", str(target)], 0),
        (["show", str(target), "--json"], 0),
        (["show", str(tmp_path / "none.json")], 2),
        (["approve", str(tmp_path)], 2),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["baseline", *tokens])
        assert ended.value.code == code
    told = capsys.readouterr()
    assert json.loads(told.out)["about"]["samples"] == 600
    assert "no such baseline" in told.err


def test_show_finds_what_approve_wrote(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bare `baseline show`, a configuration, a run and the file itself show the same baseline."""
    monkeypatch.chdir(folder)
    shown = []
    for place in ((), ("first.toml",), ("run_first",), ("baseline.json",)):
        with pytest.raises(SystemExit) as ended:
            main(["baseline", "show", *place, "--json"])
        assert ended.value.code == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == (folder / "baseline.json").read_text()
    assert len(set(shown)) == 1
    with pytest.raises(SystemExit) as ended:
        main(["baseline", "show", "none.json"])
    assert ended.value.code == 2
    assert "none.json: no such baseline. Approve a run first" in capsys.readouterr().err
