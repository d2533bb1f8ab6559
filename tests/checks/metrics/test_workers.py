import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.core.errors import GristmillError
from checks.metrics.image_schema import Limits
from checks.metrics.workers import Answer, Job, Lost, run_jobs

MODULE = """
import os, signal
from pathlib import Path
from checks.metrics.workers import serve

def work(folder, items):
    for name, row in items:
        mark = Path(folder) / f"{name}{row}"
        tries = len(list(Path(folder).glob(f"{name}{row}*")))
        Path(f"{mark}.{tries}").touch()
        if name == "die" or (name == "die_once" and tries == 0):
            os.kill(os.getpid(), signal.SIGKILL)
        while name == "spin":
            pass
        while name == "hang":
            signal.pause()
        if name == "hoard":
            try:
                bytearray(1 << 30)
            except MemoryError:
                yield {"memory": "refused"}
                continue
        if name == "batch":  # all items are measured before the first is answered
            mine = [row for _, row in items]
            if len(items) > 1 and any(row % 7 == 3 for row in mine):
                os.kill(os.getpid(), signal.SIGKILL)
            if row % 7 == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        print("noise on stdout")
        yield {"row": row, "pid": os.getpid()}

if __name__ == "__main__":
    serve(lambda folder, limits: lambda items: work(folder, items))
"""
Run = Callable[..., list[Answer]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs items through two workers of a toy module."""
    (tmp_path / "toy_worker.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def go(*names: str, max_seconds: float = 20.0, job_size: int = 3) -> list[Answer]:
        items = [(name, row) for row, name in enumerate(names)]
        parts = [items[i : i + job_size] for i in range(0, len(items), job_size)]
        jobs = [Job(index, tuple(part)) for index, part in enumerate(parts)]
        limits = Limits(max_seconds=max_seconds, max_memory_mb=200)
        answers = run_jobs("toy_worker", str(tmp_path), jobs, workers=2, limits=limits)
        return sorted(answers, key=lambda answer: (answer.job, answer.position))

    return go


def test_every_item_is_answered_once(run: Run) -> None:
    """Ten items in four jobs give ten answers, in place, and noise on stdout does not matter."""
    answers = run(*["ok"] * 10)
    assert [a.job * 3 + a.position for a in answers] == list(range(10))
    assert [a.result["row"] for a in answers if isinstance(a.result, dict)] == list(range(10))


def test_a_deadly_item_costs_only_itself(run: Run, tmp_path: Path) -> None:
    """The item that kills its worker is lost after two tries; its neighbours are measured."""
    answers = run("ok", "die", "ok", "ok")
    lost = [a for a in answers if isinstance(a.result, Lost)]
    assert [(a.job, a.position) for a in lost] == [(0, 1)]
    assert lost[0].result == Lost("worker_died", "its worker process ended with SIGKILL, 2 times")
    assert len(list(tmp_path.glob("die1.*"))) == 2
    assert len(answers) == 4


def test_a_batch_that_dies_costs_only_the_guilty_item(run: Run) -> None:
    """Items that are measured together are done again one by one when their worker is lost."""
    answers = run(*["batch"] * 10, job_size=10)
    lost = [a.position for a in answers if isinstance(a.result, Lost)]
    assert [a.position for a in answers] == list(range(10))
    assert lost == [3]


@pytest.mark.usefixtures("run")
def test_a_slow_caller_does_not_cost_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time that the caller spends with an answer is not held against the workers."""
    real, spent = time.monotonic, 0.0
    monkeypatch.setattr("checks.metrics.workers.time.monotonic", lambda: real() + spent)
    jobs = [Job(i, (("ok", i),)) for i in range(6)]
    answers = run_jobs("toy_worker", str(tmp_path), jobs, workers=2, limits=Limits())
    kinds = []
    for answer in answers:
        spent += 10_000.0
        kinds.append(type(answer.result))
    assert kinds == [dict] * 6


def test_an_innocent_item_survives_a_killed_worker(run: Run) -> None:
    """An item whose worker was killed once by somebody else is measured by the next."""
    assert all(isinstance(a.result, dict) for a in run("ok", "die_once", "ok"))


def test_endless_work_and_endless_waiting_are_timeouts(run: Run) -> None:
    """An item that computes or waits for ever is given up; the rest of its job is measured."""
    answers = run("spin", "ok", "hang", "ok", max_seconds=0.3)
    kinds = [a.result.kind if isinstance(a.result, Lost) else "ok" for a in answers]
    assert kinds == ["timeout", "ok", "timeout", "ok"]


def test_memory_is_limited(run: Run) -> None:
    """A gigabyte is refused to a worker that may hold 200 MB more."""
    assert run("hoard")[0].result == {"memory": "refused"}


def test_a_worker_that_cannot_start_is_an_error() -> None:
    """A module that does not exist is one clear error, not an endless retry."""
    jobs = [Job(0, (("a", 0),))]
    with pytest.raises(GristmillError, match="cannot start"):
        list(run_jobs("no_such_module_here", None, jobs, workers=1, limits=Limits()))


@pytest.mark.usefixtures("run")
def test_leaving_early_ends_the_workers(tmp_path: Path) -> None:
    """A caller that stops listening leaves no process behind."""
    jobs = [Job(i, (("ok", i),)) for i in range(50)]
    answers = run_jobs("toy_worker", str(tmp_path), jobs, workers=1, limits=Limits())
    result = next(answers).result
    answers.close()  # type: ignore[attr-defined]
    assert isinstance(result, dict)
    assert not Path(f"/proc/{result['pid']}/stat").exists()
