import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flows.app.cli import main
from flows.app.config import load_config
from flows.app.launch import run_line, state_code
from flows.app.outcome import Outcome, exit_code
from flows.app.stations import compare, gate_message
from flows.app.store import RunFolder, open_run
from training.jobs import ENGINE

WriteConfig = Callable[..., Path]
Clean = Callable[[Path, Path], Outcome]


def start(*tokens: str) -> int:
    """Run a command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(list(tokens))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_second_run_does_nothing(
    cleaned: tuple[Path, Outcome], clean: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run over unchanged data skips every station, from whatever folder it is started."""
    path, whole = cleaned
    monkeypatch.chdir(whole.run.parent)
    again = clean(Path(path.name), Path(whole.run.name))
    assert [facts["skipped"] for facts in again.stations] == [True, True, True]


def test_another_engine_trains_anew(
    cleaned: tuple[Path, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of an older engine are no result of this one: the comparison is stamped with it."""
    config, run, seen = load_config(cleaned[0]), cleaned[1].folder, []
    monkeypatch.setattr(RunFolder, "fresh", lambda *told: bool(seen.append(told[-1])) or True)
    for engine in (ENGINE, ENGINE, ENGINE + 1):
        monkeypatch.setattr("training.jobs.ENGINE", engine)
        assert compare(config, run)["skipped"]
    assert seen[0] == seen[1] != seen[2]


def test_every_sample_has_one_outcome(cleaned: tuple[Path, Outcome]) -> None:
    """Each input file ends in exactly one outcome, and what cannot be decoded is not kept."""
    run = cleaned[1].folder
    samples, decisions = run.read_table("samples"), run.read_table("decisions")
    assert samples.height == decisions.height == 120
    joined = samples.join(decisions, on="sample_id", how="left", validate="1:1")
    assert joined["outcome"].null_count() == 0
    broken = joined.filter(pl.col("uri").is_in(["bar/001.jpg", "bar/002.jpg"]))
    assert not broken["outcome"].is_in(["kept", "repaired"]).any()


def test_changed_policy_redoes_only_what_follows(
    cleaned: tuple[Path, Outcome], tmp_path: Path
) -> None:
    """Another policy keeps profile and findings, and takes away what the old one decided."""
    path, whole = cleaned
    out = tmp_path / "run"
    shutil.copytree(whole.run, out)
    RunFolder(out).write_json("experiment.json", {"verdict": {"sentence": "old"}})
    config = load_config(path)
    changed = config.model_copy(update={"policy": config.policy.model_copy(
        update={"down_weight": 0.5})})  # fmt: skip
    again = run_line(changed, open_run(changed, out), until="clean", train=False)
    assert [facts["skipped"] for facts in again.stations] == [True, True, False]
    assert not RunFolder(out).has("experiment.json")


def test_a_set_beside_its_own_runs(
    tiny_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source of `.` never takes the run folder inside it, or its settings, for samples."""
    shutil.copytree(tiny_images, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    assert start("init", ".") == 0
    for _ in range(2):
        assert start("profile", "gristmill.toml") == 0
    told = [json.loads(path.read_text()) for path in Path("runs").glob("*/profile.json")]
    assert [(one["samples"], one["problem_count"], sorted(one["classes"])) for one in told] == [
        (120, 0, ["bar", "disc"])
    ]


def test_exit_codes(cleaned: tuple[Path, Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    """--fail-on decides between 0 and 1 by the worst severity; JSON goes to stdout alone."""
    path, whole = cleaned
    tokens = ("check", str(path), "--out", str(whole.run))
    assert start(*tokens, "--fail-on", "error") == 1
    assert start(*tokens, "--fail-on", "never", "--json") == 0
    seen = capsys.readouterr()
    data = json.loads(seen.out)
    assert data["findings"][0]["severity"] == "error"
    assert "Findings, worst first" in seen.err
    assert exit_code(Outcome(whole.run, gate="too dirty"), "never") == 1


def test_undecodable_files_fail_the_gate(
    tiny_images: Path, tmp_path: Path, write_config: WriteConfig,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """30 % undecodable files are findings, fail the gate with exit 1, and nothing is trained."""
    source = tmp_path / "images"
    shutil.copytree(tiny_images, source)
    files = sorted(source.rglob("*.jpg"))
    for path in files[: int(0.3 * len(files))]:
        path.write_bytes(path.read_bytes()[:40])
    config = write_config(tmp_path, source)
    out = tmp_path / "run"
    assert start("run", str(config), "--out", str(out), "--no-prefect") == 1
    assert "Quality gate failed: " in capsys.readouterr().err
    run = RunFolder(out)
    assert (run.has("report.html"), run.has("experiment.json")) == (True, False)
    assert not run.file("shards/CURRENT").exists()
    assert gate_message(run) is not None


def test_one_class_is_refused_before_training(
    tiny_images: Path, tmp_path: Path, write_config: WriteConfig,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A folder with one class profiles; training on it is refused in one sentence, exit 2."""
    source = tmp_path / "images"
    shutil.copytree(tiny_images / "disc", source / "disc")
    config = write_config(tmp_path, source)
    out = str(tmp_path / "run")
    assert start("profile", str(config), "--out", out) == 0
    capsys.readouterr()
    assert start("run", str(config), "--out", out, "--no-prefect") == 2
    station, told = capsys.readouterr().err.strip().split("\n")
    assert station.endswith("unchanged")
    assert "only one class to train on ('disc')" in told


def test_table_line_reaches_a_verdict(
    tiny_table: Path, tmp_path: Path, write_config: WriteConfig,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A small CSV runs from raw data to verdict and report; no cell of it is lost."""
    config = write_config(tmp_path, tiny_table, head='label = "grade"')
    out = tmp_path / "run"
    assert start("run", str(config), "--out", str(out), "--no-prefect", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["verdict"]["sentence"]
    assert Path(data["report"]).stat().st_size > 10_000
    assert RunFolder(out).read_table("decisions").height == 401
    assert start("report", str(out)) == 0


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the test runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "tokens", "said"),
    [
        ({}, ("profile", "data"), "data: "),
        ({"data/a.csv": b"x,y\n"}, ("profile", "data/a.csv"), "no rows"),
        ({"data/a.csv": b"x,y\n1,2\n"}, ("profile", "data/a.csv", "--label", "z"), "'z'"),
        (
            {"data/a.csv": b"x,y\n" + b"".join(b"%d,%d.5\n" % (i, i) for i in range(300))},
            ("profile", "data/a.csv", "--label", "y"),
            "y",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    files: dict[str, bytes], tokens: tuple[str, ...], said: str,
    in_tmp: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """An empty folder, an empty table, an unknown column and a label of floats exit with 2."""
    (in_tmp / "data").mkdir()
    for name, content in files.items():
        Path(name).write_bytes(content)
    assert start(*tokens) == 2
    told = capsys.readouterr().err.strip()
    assert said in told
    assert "\n" not in told
    assert not list(Path().glob("runs/*/*.parquet"))


def test_full_disk_is_one_sentence(tiny_table: Path, tmp_path: Path) -> None:
    """Where no more bytes fit, a run ends with one sentence and leaves no half-written file."""
    command = f"ulimit -f 8; exec {sys.executable} -m flows.app.cli profile {tiny_table} --out run"
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    left = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert not [name for name in left if "tmp" in name]
    assert "stamps.json" not in left


def test_gate_becomes_a_state(tmp_path: Path) -> None:
    """A failed gate is a Failed state with its sentence and exit code 1; else Completed and 0."""
    pytest.importorskip("prefect")
    from flows.app.tasks import gate_state  # noqa: PLC0415 - imports prefect

    run = RunFolder(tmp_path)
    assert state_code(gate_state(run, {})) == 0
    rule = {"rule": "r", "severity": "error", "passed": False, "sentence": "half is unreadable"}
    run.write_json("gate.json", {"passed": False, "results": [rule], "engine_errors": []})
    state = gate_state(run, {})
    assert state.is_failed()
    assert state.message == "Quality gate failed: half is unreadable"
    assert state_code(state) == 1
