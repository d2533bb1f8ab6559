"""Flow: train on raw and on cleaned shards, with controls, and say what the cleaning was worth."""

from pathlib import Path
from typing import Any

from prefect import State, flow

from flows.app.lock import alone
from flows.app.targets import open_target
from flows.app.tasks import ONE_AT_A_TIME, gate_state, run_station


@flow(name="compare-training", task_runner=ONE_AT_A_TIME)
def compare_training(config: str | Path = "gristmill.toml", out: Path | None = None) -> State[Any]:
    """Compare training on the shards that `clean-dataset` wrote.

    Args:
        config: a gristmill.toml, or the folder of an earlier run.
        out: the run folder; by default the one that the configuration's digest names.

    Returns:
        Completed with small facts, or Failed: nothing is trained on data that the gate refused.
    """
    settings, run = open_target(config, out)
    with alone(run.path):
        refused = gate_state(run, {})
        if refused.is_failed():
            return refused
        return gate_state(run, run_station("compare", settings, str(run.path)))


if __name__ == "__main__":
    from flows.app.launch import start_module

    start_module(compare_training)
