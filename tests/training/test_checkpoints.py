import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.killed_run import CPU, HEADS, RECIPES, run
from tests.training.test_heads_batched import clouds
from tests.training.test_trainer_runs import bars
from training.arms import Arms, raw_arm
from training.checkpoint import Checkpoint
from training.heads import Rows, train_heads
from training.jobs import Place, plan_jobs, repeatable, run_jobs
from training.trainer import Pictures, Run, train

ROOT = Path(__file__).parents[2]


def _same(one: Run, other: Run) -> bool:
    parts = ("steps", "val_acc", "val_nll", "test_pred", "test_nll", "dynamics")
    pairs = [(getattr(one, part), getattr(other, part)) for part in parts]
    return all(a is b or np.array_equal(a, b, equal_nan=True) for a, b in pairs)


@pytest.mark.parametrize("name", [*RECIPES, *HEADS])
def test_a_killed_run_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    """After kill -9 in the middle a second call ends with the curves of runs that were left alone.

    Also their dynamics, whatever was kept of them, and from the checkpoint on, not from step 0;
    of one network and of a batch of heads.
    """
    path = tmp_path / "run.open"
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.killed_run", name, str(path)],
        check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    with np.load(path) as stored:
        assert stored["n:step"] == 14
    resumed, alone = run(name, path, 2), run(name, None)  # saves once more, at step 21
    assert all(_same(one, other) for one, other in zip(resumed, alone, strict=True))
    assert all((np.diff(one.cpu_s) >= 0).all() for one in resumed)
    assert resumed[0].cpu_s[-1] > resumed[0].cpu_s[0]


def test_a_spoiled_or_foreign_checkpoint_is_none(tmp_path: Path) -> None:
    """Any flipped byte, half a file or another network's state starts the run anew."""
    data, path = bars(), tmp_path / "run.open"
    recipe = RECIPES["plain"]
    short = replace(recipe, steps=10, evals=2)
    other = replace(short, net=replace(short.net, widths=(8, 8)))
    rng = np.random.default_rng(0)
    with repeatable(CPU):
        pictures, arm = Pictures(data, CPU), raw_arm(data)
        whole = train(pictures, arm, 0, short)
        train(pictures, arm, 0, other, Checkpoint(path, every_s=None, every_steps=5))
        foreign = path.read_bytes()
        train(pictures, arm, 0, short, Checkpoint(tmp_path / "own", every_s=None, every_steps=5))
        own = (tmp_path / "own").read_bytes()
        spoiled = [foreign, own[: len(own) // 2], b""]
        spoiled += [
            own[:at] + bytes([own[at] ^ 0xFF]) + own[at + 1 :]
            for at in rng.integers(0, len(own), 4)
        ]
        for content in spoiled:
            path.write_bytes(content)
            assert _same(train(pictures, arm, 0, short, Checkpoint(path)), whole)


def test_a_batch_of_heads_goes_on_within_its_job(tmp_path: Path) -> None:
    """A killed table run loses no batch: the job takes up its checkpoint and clears it."""
    data, recipe = clouds(), HEADS["heads"]
    arms = Arms(raw_arm(data), replace(raw_arm(data), name="cleaned"))
    job = plan_jobs(data, arms, recipe, [("raw", 0), ("cleaned", 0)], CPU)[0]
    with repeatable(CPU):
        kept = Checkpoint(tmp_path / f"{job.digest}-0.open", every_s=None, every_steps=10)
        drawn = [(arms.draw(name, seed), seed) for name, seed in job.runs]
        whole = train_heads(Rows(data, CPU), drawn, recipe, kept)
    with np.load(kept.path) as stored:
        spent = float(stored["n:spent"][0])
        np.savez(tmp_path / "late", **{**stored, "n:spent": stored["n:spent"] + 1000})
    (tmp_path / "late.npz").rename(kept.path)
    runs = run_jobs(data, arms, [job], Place(tmp_path, 1, CPU))
    assert all(_same(one, other) for one, other in zip(runs, whole, strict=True))
    assert runs[0].cpu_s[-1] > 500 > spent  # its share of what was spent before
    assert [file.name for file in tmp_path.iterdir()] == [f"{job.digest}.npz"]


def test_finished_jobs_leave_no_checkpoint(tmp_path: Path) -> None:
    """The cache holds finished runs only, and a checkpoint of the same job is taken up."""
    data = bars()
    arms = Arms(raw_arm(data), replace(raw_arm(data), name="cleaned"))
    recipe = replace(RECIPES["plain"], steps=6, evals=2)
    jobs = plan_jobs(data, arms, recipe, [("raw", 0)], CPU)
    with repeatable(CPU):
        kept = Checkpoint(tmp_path / f"{jobs[0].digest}-0.open", every_s=None, every_steps=3)
        train(Pictures(data, CPU), arms.raw, 0, recipe, kept)
    assert kept.path.exists()
    run_jobs(data, arms, jobs, Place(tmp_path, 1, CPU))
    assert [file.name for file in tmp_path.iterdir()] == [f"{jobs[0].digest}.npz"]


def test_checkpoints_are_written_by_time_or_by_steps(tmp_path: Path) -> None:
    """Every so many steps, or once so many seconds have gone by; never where neither is asked."""
    by_steps = Checkpoint(tmp_path / "a", every_s=None, every_steps=4)
    assert [step for step in range(1, 13) if by_steps.due(step)] == [4, 8, 12]
    assert Checkpoint(tmp_path / "b", every_s=0.0).due(1)
    assert not Checkpoint(tmp_path / "c", every_s=1e6).due(1)
    by_steps.save({"x": torch.ones(2)}, {"step": 4})
    into = torch.zeros(2)
    assert by_steps.load({"x": into}) == {"step": 4}
    assert into.tolist() == [1, 1]
