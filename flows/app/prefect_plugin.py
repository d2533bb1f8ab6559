"""Registers `prefect run`, which Prefect 3 does not have, through the group `prefect.plugins`."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from prefect.cli._app import _app

PREFECT_PLUGIN_API_REQUIRES = ">=0.1,<1"
FLOWS = ("profile-dataset", "clean-dataset", "compare-training", "full-pipeline")
WRONG_USAGE = 2


def run(
    flow: str,
    *,
    config: Path | None = None,
    param: Annotated[list[str] | None, cyclopts.Parameter(name=["--param", "-p"])] = None,
) -> None:
    """Run a flow in this process: prefect run full-pipeline --config gristmill.toml -p key=value.

    Args:
        flow: a flow of Gristmill, module.path.function, or file.py:function.
        config: a gristmill.toml, or the folder of an earlier run.
        param: key=value; the value is JSON, or a bare word.
    """
    from prefect.flows import load_flow_from_entrypoint  # noqa: PLC0415 - slow

    from flows.app.launch import state_code  # noqa: PLC0415 - slow

    values: dict[str, object] = {"config": str(config)} if config else {}
    values |= dict(_pair(item) for item in param or [])
    name = flow.replace("_", "-")
    if flow.replace("-", "_").isidentifier() and name not in FLOWS:
        print(_unknown(name))  # noqa: T201 - the command line speaks
        raise SystemExit(WRONG_USAGE)
    module = name.replace("-", "_")
    entrypoint = f"flows.{module}.{module}" if name in FLOWS else flow
    state: Any = load_flow_from_entrypoint(entrypoint)(**values, return_state=True)
    raise SystemExit(state_code(state))


def _pair(item: str) -> tuple[str, object]:
    key, _, text = item.partition("=")
    try:
        return key, json.loads(text)
    except ValueError:
        return key, text  # a bare word is not JSON


def _unknown(name: str) -> str:
    close = get_close_matches(name, FLOWS, n=1, cutoff=0.4)
    hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(FLOWS)}."
    return f"prefect run: no flow is named {name!r}. {hint}"


if "run" not in set(_app):  # a later Prefect may ship its own
    _app.command(run, name="run")
