"""Networks that are trained for their word on the labels, before the checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flows.app.config import ConfigError, load_config
from flows.app.launch import run_line
from flows.app.store import RunFolder, open_run

WriteConfig = Callable[..., Path]
OWN_CHECK = '''
"""A check that asks for training dynamics."""
import polars as pl
from checks.core.check import Judged, set_check

@set_check(needs=("samples", "dynamics", "probabilities?"), dimension="incorrect", examples=())
def asks_for_dynamics(tables):
    """Tell what it was handed. Why: a test. Source: own."""
    found = tables["dynamics"].collect()
    value = pl.col("margin_mean").cast(pl.Float64)
    empty = found.head(0).select("sample_id", value=value, evidence="sample_id")
    return Judged(empty, facts={"rows": found.height, "folds": "probabilities" in tables})
'''
ASKED = "[labels]\ntraining = true\nfolds = 2\n"


def check(path: Path, out: Path) -> RunFolder:
    """Run the line of a configuration up to its findings."""
    config = load_config(path)
    run = open_run(config, out)
    run_line(config, run, until="check", train=False)
    return run


@pytest.fixture
def write(tmp_path: Path, tiny_images: Path, write_config: WriteConfig) -> Callable[[str], Path]:
    """Write a configuration that has a check of its own, and these sections."""
    (tmp_path / "own.py").write_text(OWN_CHECK)
    modules = '[checks]\nmodules = ["own.py"]\n'
    return lambda extra: write_config(tmp_path, tiny_images, modules + extra, tier="train")


def test_training_is_off_unless_asked_and_the_switch_measures_nothing_anew(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    """By default no network is trained before the checks; turning it on leaves the profile."""
    out = tmp_path / "run"
    run = check(write(""), out)
    assert not run.has("label_dynamics.parquet")
    assert not run.has("probabilities.parquet")
    facts = run.read_json("checks.json")["facts"]["asks_for_dynamics"]  # type: ignore[index]
    assert facts == {"not_run": "no table dynamics"}
    config = load_config(write("[labels]\ntraining = true\n"))
    done = run_line(config, open_run(config, out), until="check", train=False).stations
    assert [told["skipped"] for told in done] == [True, False]
    assert run.has("label_dynamics.parquet")


def test_checks_get_what_was_trained_and_nobody_trains_it_twice(
    write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[labels] hands over both tables; a run folder beside it reads what this one has trained."""
    first = check(write(ASKED), tmp_path / "one")
    facts = first.read_json("checks.json")["facts"]["asks_for_dynamics"]  # type: ignore[index]
    table = first.read_table("label_dynamics")
    assert facts == {"rows": table.height, "folds": True}
    readable = first.read_table("features").join(first.read_table("samples"), on="sample_id")
    train = readable.filter(pl.col("split") == "train")["sample_id"].sort()
    assert table["sample_id"].equals(train)
    assert first.read_table("probabilities")["class_name"].unique().sort().to_list() == [
        "bar", "disc",
    ]  # fmt: skip

    def refuse(*_: object) -> None:
        message = "a finished run is trained again"
        raise AssertionError(message)

    monkeypatch.setattr("training.jobs._execute", refuse)
    other = write(ASKED + "[policy]\nmin_class_count = 5\n")
    second = check(other, tmp_path / "two")
    for name in ("label_dynamics", "probabilities", "scores"):
        assert second.read_table(name).equals(first.read_table(name))


def test_the_experiment_leaves_its_dynamics(write: Callable[[str], Path], tmp_path: Path) -> None:
    """After training the run folder holds a row for each sample that the raw arm trained on."""
    config = load_config(write("[gate]\noff = ['unreadable_frac_max']\n"))
    run = open_run(config, tmp_path / "run")
    run_line(config, run, until="compare", train=True)
    rows = run.read_json("experiment.json")["facts"]["rows"]["train"]  # type: ignore[index]
    assert run.read_table("dynamics").height == rows


def test_one_fold_is_refused(write: Callable[[str], Path]) -> None:
    """A single fold would leave nothing to train on."""
    with pytest.raises(ConfigError, match="leaves nothing to train on"):
        load_config(write("[labels]\nfolds = 1\n"))
