"""A Prefect server on loopback, set up for Gristmill: no telemetry, a pool, limits, no zombies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from checks.core.errors import GristmillError

HOST = "127.0.0.1"
POOL = "local"
START_LIMIT_S = 180.0
HEARTBEAT_S = 30
ZOMBIE_AFTER = timedelta(seconds=90)
_EVENT = "prefect.flow-run."


def server_environment(port: int) -> dict[str, str]:
    """Return the variables under which server, workers and flows run.

    Without the UI address a server on another port serves a page that calls port 4200.

    >>> server_environment(4321)["PREFECT_SERVER_UI_API_URL"]
    'http://127.0.0.1:4321/api'
    """
    url = f"http://{HOST}:{port}/api"
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_API_URL": url,
        "PREFECT_API_URL": url,
        "PREFECT_PLUGINS_ENABLED": "true",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
    }


def serve(port: int) -> int:
    """Start the server, set it up, and stay until it ends; return its exit code.

    Raises:
        GristmillError: it did not answer in time, or could not be set up.
    """
    environment = {**os.environ, **server_environment(port)}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST,
               "--port", str(port), "--analytics-off"]  # fmt: skip
    child = subprocess.Popen(command, env=environment)  # noqa: S603 - our own interpreter
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a supervisor's stop is ours too
    try:
        wait_until_healthy(port, child)
        _set_up(environment)
        print(f"Gristmill's Prefect server: http://{HOST}:{port}", file=sys.stderr)  # noqa: T201
        return child.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(child)


def wait_until_healthy(port: int, child: subprocess.Popen[bytes]) -> None:
    """Return once the server answers.

    Raises:
        GristmillError: it ended, or did not answer within three minutes.
    """
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        if child.poll() is not None:
            advice = "Is the port taken? Choose another with --port."
            raise GristmillError(f"{HOST}:{port}", "the server ended at once", advice=advice)
        if is_healthy(port):
            return
        time.sleep(0.25)
    raise GristmillError(f"{HOST}:{port}", f"no answer within {START_LIMIT_S:.0f} s")


def is_healthy(port: int) -> bool:
    """Say whether a Prefect server answers on that port."""
    try:
        with urlopen(f"http://{HOST}:{port}/api/health", timeout=5) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (URLError, OSError):
        return False


def _set_up(environment: Mapping[str, str]) -> None:
    """Run `prepare` in a process of its own: Prefect reads its settings on import."""
    command = [sys.executable, "-m", "flows.app.server"]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        problem = done.stderr.strip().splitlines()[-1:] or ["unknown"]
        raise GristmillError("server", "could not be set up", got=problem[0])


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()


def prepare() -> None:
    """Create what Gristmill's deployments need, or leave it as it is: pool, limit, automation."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - slow
    from prefect.client.schemas.actions import (  # noqa: PLC0415
        GlobalConcurrencyLimitCreate,
        WorkPoolCreate,
    )
    from prefect.exceptions import ObjectAlreadyExists  # noqa: PLC0415

    with get_client(sync_client=True) as client:
        known = {limit.name for limit in client.read_global_concurrency_limits()}
        if "gpu" not in known:
            client.create_global_concurrency_limit(
                GlobalConcurrencyLimitCreate(name="gpu", limit=1)
            )
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    _end_zombies()


def _end_zombies() -> None:
    """Install the automation that crashes a run whose heartbeat has stopped."""
    from prefect.automations import Automation  # noqa: PLC0415 - slow
    from prefect.client.schemas.objects import StateType  # noqa: PLC0415
    from prefect.events.actions import ChangeFlowRunState  # noqa: PLC0415
    from prefect.events.schemas.automations import EventTrigger, Posture  # noqa: PLC0415

    name = "gristmill: end zombies"
    with suppress(ValueError):  # it is not there yet
        known: Any = Automation.read(name=name)
        if known is not None:
            return
    beat = f"{_EVENT}heartbeat"
    ends = {f"{_EVENT}{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
    trigger = EventTrigger(
        after={beat},
        expect={beat, *ends},
        match={"prefect.resource.id": ["prefect.flow-run.*"]},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=ZOMBIE_AFTER,
    )
    told = "No heartbeat for 90 s: the process is gone."
    action = ChangeFlowRunState(state=StateType.CRASHED, message=told)
    made: Any = Automation(name=name, trigger=trigger, actions=[action]).create()
    assert made is not None


if __name__ == "__main__":
    prepare()
