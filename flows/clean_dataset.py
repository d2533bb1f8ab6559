"""Flow: judge a data set, decide by policy, write cleaned shards; a failed gate is `Failed`."""

from pathlib import Path
from typing import Any

from prefect import State, flow

from flows.app.intake import one_look
from flows.app.lock import alone
from flows.app.targets import open_target
from flows.app.tasks import ONE_AT_A_TIME, gate_state, profile_in_bundles, run_station


@flow(name="clean-dataset", task_runner=ONE_AT_A_TIME)
def clean_dataset(config: str | Path = "gristmill.toml", out: Path | None = None) -> State[Any]:
    """Check and clean the data that `config` names.

    Args:
        config: a gristmill.toml, or the folder of an earlier run.
        out: the run folder; by default the one that the configuration's digest names.

    Returns:
        Completed with small facts, or Failed with the reason of the quality gate. The shards are
        written either way; a failed gate leaves CURRENT where it was.
    """
    settings, run = open_target(config, out)
    with alone(run.path), one_look():
        profile_in_bundles(settings, run)
        run_station("check", settings, str(run.path))
        facts = run_station("clean", settings, str(run.path))
        return gate_state(run, facts)


if __name__ == "__main__":
    from flows.app.launch import start_module

    start_module(clean_dataset)
