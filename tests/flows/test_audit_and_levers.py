"""The commands that test the experiment itself, and that weigh other changes beside cleaning."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from flows.app.auditing import audit_harness, show_audit, tell_audit
from flows.app.cli import _dispatch
from flows.app.levers import _read_features
from flows.app.outcome import Outcome
from flows.app.store import LEVERS, RunFolder
from flows.app.transfer import bring_weights
from tests.training.test_heads_batched import clouds
from tests.training.test_trainer_runs import CPU, bars
from training.arms import TrainingData
from training.errors import TrainingError
from training.experiment import ExperimentOptions
from training.jobs import Place
from training.levers import TRANSFER
from training.models import build
from training.weights import write_weights


def test_an_audit_of_a_run_trains_on_its_own_rows(
    cleaned: tuple[Path, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    """Rates are told of a cleaned run's own images, as a table and as JSON, each with its n."""
    outcome = cleaned[1]
    told = audit_harness(outcome.run, experiments=2, seeds=(2, 3))
    show_audit(told, as_json=True)
    seen = capsys.readouterr()
    assert json.loads(seen.out)["rates"] == told["rates"]
    assert {rate["seeds"] for rate in told["rates"]} == {2, 3}
    assert all(rate["n"] == 2 for rate in told["rates"])
    assert "final_acc" in seen.err
    assert told["source"] == str(outcome.run)
    assert told["seen"] is None
    assert "nor could any be, with so few experiments" in seen.err


def test_what_is_odd_is_named() -> None:
    """A rate that is off beyond chance is told with its number of seeds and its value."""
    odd = {"what": "false_positive", "endpoint": "aulc", "seeds": 8, "value": 0.15}
    told = tell_audit({"odd": [odd], "bound_told": False})
    assert told.startswith("Beyond chance: aulc at 8 seeds (false positive 15.0%).")
    assert "NOT told as a bound" in told


def test_levers_of_a_run_are_ranked_and_kept(
    cleaned: tuple[Path, Outcome], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The command weighs the asked-for kinds beside cleaning, prints them and keeps them."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # starting workers would take longest
    run = Path(shutil.copytree(cleaned[1].run, tmp_path / "run"))
    wanted = ["--only", "learning rate", "--only", "loading", "--from", str(cleaned[1].run)]
    assert _dispatch(["levers", str(run), "--seeds", "2", *wanted, "--json"]) == 0
    seen = capsys.readouterr()
    told = json.loads(seen.out)
    rows = {row["lever"]: row for row in told["rows"]}
    kinds = {"data", "learning rate", "loading", TRANSFER}
    assert {row["kind"] for row in told["rows"]} == kinds
    assert "cleaning" in rows
    assert json.loads((run / LEVERS).read_text()) == told
    assert told["feeds"]["loader"] > 0
    assert rows["rows read from the shards"]["cpu_s"] > 0
    brought, name = told["transfer"], cleaned[1].run.name
    assert brought["taken"] == brought["of"]
    assert {f"starts from {name}", f"{name} frozen, a new head"} <= set(rows)
    assert (run / "runs" / f"weights-{brought['digest']}.npz").is_file()
    assert f"taken from {name}" in seen.err
    assert _dispatch(["report", str(run)]) == 0
    assert 'id="levers"' in (run / "report.html").read_text()
    (run / LEVERS).unlink()
    assert _dispatch(["report", str(run)]) == 0
    assert 'id="levers"' not in (run / "report.html").read_text()


def test_only_images_start_from_a_cleaned_run_or_a_file(tmp_path: Path) -> None:
    """A table's rows, a folder that is no run and a pickled file are each one clear error."""
    options, place = ExperimentOptions(steps=2), Place(tmp_path, 1, CPU)
    with pytest.raises(TrainingError, match="only image networks can start from weights"):
        bring_weights("x.npz", clouds(), options, place)
    with pytest.raises(TrainingError, match="this is no cleaned run"):
        bring_weights(str(tmp_path), bars(), options, place)
    with pytest.raises(TrainingError, match="without running code"):
        bring_weights("x.pt", bars(), options, place)


def test_a_file_of_weights_is_kept_by_its_digest(tmp_path: Path) -> None:
    """Its tensors are copied into the run's folder, and what fits of them is counted."""
    net = build(torch.zeros(8, 1, 2, 2), 2, 0, CPU)
    part = {name: own for name, own in net.state_dict().items() if name.startswith("blocks.0")}
    write_weights(tmp_path / "x.npz", part | {"head.weight": torch.ones(2, 64)})
    told = bring_weights(
        str(tmp_path / "x.npz"), bars(), ExperimentOptions(steps=2), Place(tmp_path / "c", 1, CPU)
    )
    assert (told["name"], told["cpu_s"]) == ("x.npz", 0.0)
    assert 0 < told["taken"] < told["of"]
    assert [file.name for file in (tmp_path / "c").iterdir()] == [f"weights-{told['digest']}.npz"]


def test_own_features_are_read_in_the_order_of_the_rows(tmp_path: Path) -> None:
    """Each row gets the vector of its own key, whatever the order of the table; scaled by one."""
    keys = [f"{at:032x}-0" for at in range(60)]
    vectors = np.zeros((60, 3), np.float32)
    vectors[:, 0] = np.arange(60)
    shuffled = np.random.default_rng(0).permutation(60)
    frame = pl.DataFrame({
        "sample_id": [keys[at] for at in shuffled],
        "features": pl.Series(vectors[shuffled], dtype=pl.Array(pl.Float32, 3)),
    }).sort("sample_id", descending=True)  # fmt: skip
    run = RunFolder(tmp_path)
    run.write_table("features", frame)
    split = np.repeat([0, 1, 2], 20).astype(np.int8)
    data = TrainingData("image", ("a", "b"), np.array(keys), np.arange(60) % 2, split)
    numbers = _read_features(run, data).numbers
    assert numbers is not None
    steps = np.diff(numbers[:, 0])
    assert np.allclose(steps, steps[0], atol=1e-4)
    assert numbers[:20].std() == pytest.approx(1, abs=1e-4)
