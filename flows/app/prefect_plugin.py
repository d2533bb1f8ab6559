"""Registers `prefect run`, which Prefect 3 does not have, through the group `prefect.plugins`."""

import json
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from prefect.cli._app import _app

PREFECT_PLUGIN_API_REQUIRES = ">=0.1,<1"
FLOWS = ("profile-dataset", "clean-dataset", "compare-training", "full-pipeline")
PARAMETERS = ("config", "out")
WRONG_USAGE = 2


def run(
    flow: str,
    *,
    config: Path | None = None,
    param: Annotated[list[str] | None, cyclopts.Parameter(name=["--param", "-p"])] = None,
    debug: Annotated[bool, cyclopts.Parameter(negative="")] = False,
) -> None:
    """Run a flow in this process: prefect run full-pipeline --config gristmill.toml -p key=value.

    Args:
        flow: a flow of Gristmill, module.path.function, or file.py:function.
        config: a gristmill.toml, or the folder of an earlier run.
        param: key=value; the value is JSON, or a bare word. Ours know config and out.
        debug: show all logs and tracebacks.
    """
    values: dict[str, Any] = {"config": str(config)} if config else {}
    values |= dict(_pair(item) for item in param or [])
    name = flow.replace("_", "-")
    known = name in FLOWS
    if not known and flow.replace("-", "_").isidentifier():
        _refuse(_unknown("flow", name, FLOWS))
    foreign = sorted(set(values) - set(PARAMETERS)) if known else []
    if foreign:
        _refuse(_unknown("parameter", foreign[0], PARAMETERS))
    raise SystemExit(_start_ours(name, values, debug=debug) if known else _start(flow, values))


def _start_ours(name: str, values: dict[str, Any], *, debug: bool) -> int:
    from prefect.flows import load_flow_from_entrypoint  # noqa: PLC0415 - slow

    from flows.app.launch import start_flow  # noqa: PLC0415 - slow

    module, out = name.replace("-", "_"), values.get("out")
    ours: Any = load_flow_from_entrypoint(f"flows.{module}.{module}")
    config = Path(str(values.get("config", "gristmill.toml")))
    return start_flow(ours, config, Path(str(out)) if out else None, debug=debug)


def _start(entrypoint: str, values: dict[str, Any]) -> int:
    from prefect.flows import load_flow_from_entrypoint  # noqa: PLC0415 - slow

    from flows.app.launch import state_code  # noqa: PLC0415 - slow

    state: Any = load_flow_from_entrypoint(entrypoint)(**values, return_state=True)
    return state_code(state)


def _refuse(told: str) -> None:
    print(told, file=sys.stderr)  # noqa: T201 - the command line speaks
    raise SystemExit(WRONG_USAGE)


def _pair(item: str) -> tuple[str, object]:
    key, _, text = item.partition("=")
    try:
        return key, json.loads(text)
    except ValueError:
        return key, text  # a bare word is not JSON


def _unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."
    return f"prefect run: no {kind} is named {name!r}. {hint}"


if "run" not in set(_app):  # a later Prefect may ship its own
    _app.command(run, name="run")
