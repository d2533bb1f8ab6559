import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def prefect_run(*tokens: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `prefect run ...` in `folder`."""
    env = {**os.environ, "PREFECT_HOME": str(folder / "home"), **variables}
    return subprocess.run(
        [sys.executable, "-m", "prefect", "run", *tokens],
        cwd=folder, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_plugin_is_registered(tmp_path: Path) -> None:
    """`prefect run` is a command where plugins are on, and names the nearest flow."""
    on = prefect_run("full-pipline", folder=tmp_path, PREFECT_PLUGINS_ENABLED="true")
    assert on.returncode == 2
    assert "Did you mean 'full-pipeline'?" in on.stdout + on.stderr
    off = prefect_run("full-pipeline", folder=tmp_path, PREFECT_PLUGINS_ENABLED="false")
    assert 'Unknown command "run"' in off.stdout + off.stderr


def test_project_folder_turns_plugins_and_analytics() -> None:
    """In the project's folder pyproject.toml turns the plugin on and the analytics off."""
    code = (
        "from prefect.settings import get_current_settings as s\n"
        "print(s().plugins.enabled, s().server.analytics_enabled)"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout.split() == ["True", "False"]


def test_parameters_are_json_or_words() -> None:
    """A parameter's value is JSON where it parses, else the word itself."""
    pytest.importorskip("prefect")
    from flows.app.prefect_plugin import _pair  # noqa: PLC0415 - imports prefect

    assert _pair("out=runs/x") == ("out", "runs/x")
    assert _pair("n=3") == ("n", 3)
