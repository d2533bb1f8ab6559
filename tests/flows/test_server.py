"""A real server and worker on loopback: deployments, schedules, a whole run, no other look-ups."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pytest

from flows.app.outcome import Outcome
from flows.app.store import RunFolder

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
ROOT = Path(__file__).parent.parent.parent
LIMIT_S = 240.0
LOOPBACK = {"localhost", "127.0.0.1", "::1", "None", socket.gethostname()}
# Sees every name that a process asks for, before any other code runs.
AUDIT = """
import os, sys
_seen = os.open(os.environ["LOOKUPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _hook(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        name = args[0].decode() if isinstance(args[0], bytes) else str(args[0])
        os.write(_seen, f"{name}\\n".encode())
sys.addaudithook(_hook)
os.write(_seen, b"started\\n")
"""


@dataclass
class Server:
    """A running server: how to reach it, and under which environment to run commands."""

    port: int
    env: dict[str, str]
    lookups: Path

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return what the API answers."""
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}/api/{path}"
        request = Request(url, data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - our own loopback server
            return json.load(answer)

    def command(self, *tokens: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder."""
        return subprocess.run(
            [sys.executable, "-m", *tokens],
            cwd=ROOT, env=self.env, capture_output=True, text=True, check=False, timeout=LIMIT_S,
        )  # fmt: skip


def wait_for(what: Callable[[], Any], child: subprocess.Popen[bytes] | None = None) -> Any:
    """Return what `what` returns as soon as it is true; fail after the limit."""
    limit = time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        if found := what():
            return found
        assert child is None or child.poll() is None, "the process ended"
        threading.Event().wait(0.2)
    raise AssertionError(f"nothing within {LIMIT_S} s")


def end(child: subprocess.Popen[bytes]) -> None:
    """Stop a process that a test started, and what it started."""
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    child.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=30)
    for process in alive:
        process.kill()
    child.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`gristmill server` on a free port, all deployments deployed, look-ups recorded."""
    folder = tmp_path_factory.mktemp("prefect")
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(AUDIT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dropped = ("PREFECT_", "CI", "DO_NOT_TRACK", "GX_")
    env = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    env |= {"PREFECT_HOME": str(folder / "home"), "PYTHONPATH": str(folder / "site"),
            "LOOKUPS": str(folder / "lookups"), "PREFECT_API_URL":
            f"http://127.0.0.1:{port}/api", "PWD": str(ROOT)}  # fmt: skip
    command = [sys.executable, "-m", "flows.app.cli", "server", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        ready = f"Prefect server: http://127.0.0.1:{port}"
        wait_for(lambda: ready in (folder / "log").read_text(), child)
        running = Server(port, env, folder / "lookups")
        done = running.command("prefect", "--no-prompt", "deploy", "--all")
        assert done.returncode == 0, done.stdout + done.stderr
        yield running
    finally:
        end(child)


@pytest.fixture(scope="session")
def config(tiny_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose whole line takes seconds."""
    path = tmp_path_factory.mktemp("config") / "gristmill.toml"
    path.write_text(
        f"version = 1\n[source]\npath = {json.dumps(str(tiny_images))}\n[profile]\nworkers = 1\n"
        'bundle_size = 60\n[training]\ntiers = ["probe"]\nseeds = 2\nsteps = 20\n'
    )
    return path


def test_deployments_are_there(server: Server) -> None:
    """`prefect deploy --all` made every deployment, from module entrypoints, one run at a time."""
    found = {one["name"]: one for one in server.call("deployments/filter", {})}
    assert set(found) == {"nightly", "hourly", "on-demand"}
    assert found["nightly"]["entrypoint"] == "flows.full_pipeline.full_pipeline"
    assert found["hourly"]["schedules"][0]["schedule"]["cron"] == "0 * * * *"
    assert {one["global_concurrency_limit"]["limit"] for one in found.values()} == {1}


def test_cron_gets_scheduled_runs(server: Server) -> None:
    """Both cron deployments get runs from the server's scheduler (SQLAlchemy 2.1 gives none)."""

    def scheduled() -> set[str]:
        body = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        runs = server.call("flow_runs/filter", body)
        return {run["deployment_id"] for run in runs if run["auto_scheduled"]}

    cron = {one["id"] for one in server.call("deployments/filter", {}) if one["schedules"]}
    assert len(cron) == 2
    wait_for(lambda: cron <= scheduled())


def test_zombies_and_gpu_are_guarded(server: Server) -> None:
    """The set-up left an automation that ends zombies and a limit of one for the GPU."""
    automations = server.call("automations/filter", {})
    assert "gristmill: end zombies" in {one["name"] for one in automations}
    limits = server.call("v2/concurrency_limits/filter", {})
    assert {one["limit"] for one in limits if one["name"] == "gpu"} == {1}


def test_worker_runs_a_deployment(server: Server, config: Path, tmp_path: Path) -> None:
    """A process worker executes a deployment, and its run folder is filled."""
    asked = server.command(
        "prefect", "deployment", "run", "profile-dataset/hourly",
        "--params", json.dumps({"config": str(config), "out": str(tmp_path / "run")}),
    )  # fmt: skip
    assert asked.returncode == 0, asked.stdout + asked.stderr
    worked = server.command("prefect", "worker", "start", "--pool", "local", "--run-once")
    assert worked.returncode == 0, worked.stdout + worked.stderr
    body = {"flows": {"name": {"any_": ["profile-dataset"]}},
            "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}  # fmt: skip
    assert wait_for(lambda: server.call("flow_runs/filter", body))
    assert RunFolder(tmp_path / "run").read_table("samples").height == 120


def run_in_terminal(server: Server, *tokens: str) -> tuple[int, str]:
    """Run a command whose output is a terminal; return its exit code and what it wrote."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([sys.executable, "-m", *tokens], cwd=ROOT, env=server.env,
                             stdin=theirs, stdout=theirs, stderr=theirs)  # fmt: skip
    os.close(theirs)
    written: list[bytes] = []
    try:
        while chunk := os.read(ours, 65536):
            written.append(chunk)
    except OSError:
        pass  # the other side of a terminal that closes is an error here
    finally:
        os.close(ours)
    return child.wait(LIMIT_S), b"".join(written).decode(errors="replace")


def test_whole_run_asks_for_no_name(
    server: Server, config: Path, cleaned: tuple[Path, Outcome], tmp_path: Path
) -> None:
    """`prefect run full-pipeline` ends with a verdict, as without Prefect; nobody leaves loopback.

    The server is included; in a terminal and without CI, where Prefect would otherwise report
    home. The same data under a stricter gate ends with its sentence and 1, whatever started it.
    """
    out = tmp_path / "run"
    code, told = run_in_terminal(server, "prefect", "run", "full-pipeline", "--config",
                                 str(config), "-p", f"out={out}")  # fmt: skip
    assert code == 0, told
    assert RunFolder(out).read_json("experiment.json")["verdict"]
    artifacts = server.call("artifacts/latest/filter", {})
    (verdict,) = [one for one in artifacts if one["key"] == "gristmill-verdict"]
    assert "report.html" in verdict["data"]
    assert any(one["type"] == "progress" for one in artifacts)
    asked = server.lookups.read_text().splitlines()
    assert asked.count("started") > 5
    assert "127.0.0.1" in asked
    assert set(asked) - {"started"} - LOOPBACK == set()
    plain = (cleaned[1].run / "shards" / "CURRENT").read_text()
    assert (out / "shards" / "CURRENT").read_text() == plain
    strict = tmp_path / "strict.toml"
    strict.write_text(f"{config.read_text()}[gate]\nrows_min = 1000\n")
    refused = server.command("flows.full_pipeline", "--config", str(strict), "--out", str(out))
    assert refused.returncode == 1, refused.stderr
    assert "Quality gate failed: rows_min: row_count must be at least 1000" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (out / "shards" / "CURRENT").read_text() == plain


def test_foreign_look_ups_are_seen(tmp_path: Path) -> None:
    """The hook of these tests sees a name that a process asks for: no news is good news."""
    (tmp_path / "sitecustomize.py").write_text(AUDIT)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "LOOKUPS": str(tmp_path / "lookups")}
    code = (
        "import socket\ntry:\n"
        "    socket.getaddrinfo('example.invalid', 80, flags=socket.AI_NUMERICHOST)\n"
        "except OSError:\n    pass"
    )
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    asked = (tmp_path / "lookups").read_text().splitlines()
    assert set(asked) - {"started"} - LOOPBACK == {"example.invalid"}
