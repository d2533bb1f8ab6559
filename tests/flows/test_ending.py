"""How commands end: exit codes, one sentence, a quiet console."""

import errno
import json
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from checks.core.errors import GristmillError
from flows.app.cli import main
from flows.app.ending import run_command
from flows.app.launch import start_module
from flows.app.outcome import warnings_of
from flows.app.store import RunFolder
from training.errors import TrainingError

MISTAKE = GristmillError("photos", "no such folder")


def failing(error: BaseException) -> Callable[[], int]:
    """Return a command that ends with `error`."""

    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MISTAKE, 2, "photos: no such folder."),
        (TrainingError("shards", "no such split"), 2, "shards: no such split."),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "x.csv"), 2, "x.csv: Perm"),
        (MemoryError(), 2, "not enough memory"),
        (KeyError("weight"), 3, "Gristmill failed: KeyError: 'weight'"),
        (ValueError("one\ntwo"), 3, "--debug shows where"),
        (KeyboardInterrupt(), 130, "Stopped."),
    ],
)  # fmt: skip
def test_errors_end_in_a_sentence(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every error is one line and its exit code: 2 a mistake, 3 a fault of ours, 130 Ctrl-C."""
    assert run_command(failing(error)) == code
    told = capsys.readouterr().err.strip()
    assert said in told
    assert "\n" not in told


def test_debug_lets_errors_pass() -> None:
    """With debug the error itself comes out, with its traceback."""
    with pytest.raises(GristmillError, match="no such folder"):
        run_command(failing(MISTAKE), debug=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_stop_in_order(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A signal ends a command's workers, unwinds it, is told in a sentence, and has its code."""
    before = signal.getsignal(number)
    worker = multiprocessing.get_context("spawn").Process(target=signal.pause)

    def command(_source: str, _config: Path, **_settings: object) -> str:
        worker.start()
        os.kill(os.getpid(), number)
        worker.join()
        raise AssertionError

    monkeypatch.setattr("flows.app.init_config.write_config", command)
    with pytest.raises(SystemExit) as ended:
        main(["init", "photos"])
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith("Stopped.")
    worker.join()
    assert worker.exitcode == -signal.SIGTERM
    assert signal.getsignal(number) is before


def test_mistakes_are_logged_shortly() -> None:
    """Prefect logs a person's mistake as its sentence, a fault with its traceback."""
    from flows.app.engine_log import NoEndings, OneSentence  # noqa: PLC0415 - heavy

    def logged(error: Exception) -> logging.LogRecord:
        told = (type(error), error, None)
        record = logging.LogRecord("prefect.flow_runs", logging.ERROR, "", 0, "Encountered %r",
                                   (error,), told)  # fmt: skip
        assert OneSentence().filter(record)
        return record

    assert logged(MISTAKE).getMessage() == "photos: no such folder."
    assert logged(MISTAKE).exc_info is None
    assert logged(KeyError("x")).exc_info is not None
    assert not NoEndings().filter(logged(MISTAKE))


@pytest.mark.parametrize(("own", "level", "filters"), [({"level"}, 0, 0), (set(), 30, 1)])
def test_console_is_quiet_unless_asked(
    own: set[str], level: int, filters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our commands show Prefect's warnings only; a level that the user has set wins."""
    pytest.importorskip("prefect.main")  # its first import sets the root's handlers anew
    from prefect.logging.handlers import PrefectConsoleHandler  # noqa: PLC0415

    from flows.app.engine_log import quieten  # noqa: PLC0415

    handler, root = PrefectConsoleHandler(), logging.getLogger()
    logs, api = SimpleNamespace(model_fields_set=own), SimpleNamespace(url=None)
    settings = SimpleNamespace(logging=logs, api=api)
    monkeypatch.setattr("prefect.settings.get_current_settings", lambda: settings)
    monkeypatch.setattr(root, "handlers", [handler])
    assert quieten()
    assert (handler.level, len(handler.filters)) == (level, filters)


class Refused:
    """Stands for a flow that ends as its quality gate says."""

    name = "full-pipeline"
    description = "A stand-in."

    def __call__(self, config: str, out: Path, *, return_state: bool) -> Any:
        """Return the state of a gate that failed."""
        from flows.app.tasks import gate_state  # noqa: PLC0415 - imports prefect

        assert config
        assert return_state
        gate = {"rule": "r", "severity": "error", "passed": False, "sentence": "too dirty"}
        run = RunFolder(out)
        run.write_json("gate.json", {"passed": False, "results": [gate], "engine_errors": []})
        return gate_state(run, {})


@pytest.mark.parametrize("way", ["module", "prefect"])
def test_both_ways_end_alike(
    way: str, tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """`python -m flows.full_pipeline` and `prefect run`: 1 for a failed gate, 2 for a mistake."""
    pytest.importorskip("prefect")
    from flows.app import prefect_plugin  # noqa: PLC0415

    monkeypatch.setattr("prefect.flows.load_flow_from_entrypoint", lambda _entry: Refused())
    config = tmp_path / "gristmill.toml"

    def ended() -> tuple[Any, str]:
        out = str(tmp_path / "run")
        monkeypatch.setattr("sys.argv", ["x", "--config", str(config), "--out", out])
        ways: dict[str, Callable[[], None]] = {
            "module": lambda: start_module(Refused()),  # type: ignore[arg-type]
            "prefect": lambda: prefect_plugin.run(
                "full-pipeline", config=config, param=[f"out={out}"]
            ),
        }
        with pytest.raises(SystemExit) as ended:
            ways[way]()
        return ended.value.code, capsys.readouterr().err

    config.write_text('version = 1\n[source]\npath = "x"\n[training]\nbatchsize = 1\n')
    code, told = ended()
    assert code == 2
    assert told.strip().endswith("Did you mean 'batch_size'?")
    assert "\n" not in told.strip()
    config.write_text(f"version = 1\n[source]\npath = {json.dumps(str(tiny_table))}\n")
    code, told = ended()
    assert code == 1
    assert "Quality gate failed: too dirty\n" in told


def test_prefect_run_names_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    """A parameter that no flow of ours has is told with the nearest one, exit 2."""
    pytest.importorskip("prefect")
    from flows.app import prefect_plugin  # noqa: PLC0415

    with pytest.raises(SystemExit) as ended:
        prefect_plugin.run("full-pipeline", param=["confg=x"])
    assert ended.value.code == 2
    assert "Did you mean 'config'?" in capsys.readouterr().err
    assert "prefect" in sys.modules


def test_warnings_are_gathered(tmp_path: Path) -> None:
    """Problems of the source, rules that only warn and caps that bit are told, a sentence each."""
    run = RunFolder(tmp_path)
    assert warnings_of(run) == []
    problem = {"uri": "a.csv", "row": 3, "problem": "line 5: 4 fields"}
    run.write_json("profile.json", {"problem_count": 2, "problems": [problem, problem]})
    rule = {"severity": "warning", "passed": False, "sentence": "leaks"}
    run.write_json("gate.json", {"results": [rule, {**rule, "severity": "error"}]})
    run.write_json("clean.json", {"caps": ["cap reached"]})
    first = "a.csv: line 5: 4 fields (and 1 more in profile.json)"
    assert warnings_of(run) == [first, "leaks", "cap reached"]
