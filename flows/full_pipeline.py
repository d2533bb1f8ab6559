"""Flow: the whole line, raw data in, verdict out."""

from pathlib import Path
from typing import Any

from prefect import State, flow

from flows.app.ending import error_of
from flows.app.intake import one_look
from flows.app.lock import alone
from flows.app.stations import require_classes
from flows.app.targets import open_target
from flows.app.tasks import ONE_AT_A_TIME, gate_state, publish_verdict, run_station
from flows.clean_dataset import clean_dataset
from flows.compare_training import compare_training
from flows.profile_dataset import profile_dataset


@flow(name="full-pipeline", task_runner=ONE_AT_A_TIME)
def full_pipeline(config: str | Path = "gristmill.toml", out: Path | None = None) -> State[Any]:
    """Profile, check, clean, compare and report the data that `config` names.

    Args:
        config: a gristmill.toml, or the folder of an earlier run.
        out: the run folder; by default the one that the configuration's digest names.

    Returns:
        Completed with small facts, or Failed with the reason of the quality gate: then nothing is
        trained, and the report tells why.
    """
    settings, run = open_target(config, out)
    # the parts read the run's config.json: an edit on the way changes nothing
    with alone(run.path), one_look():
        profile_dataset(run.path)
        require_classes(settings, run)
        cleaned: State[Any] = clean_dataset(run.path, return_state=True)
        if cleaned.is_completed():
            compare_training(run.path)
        elif error_of(cleaned) is not None:
            return cleaned
        facts = run_station("report", settings, str(run.path))
        publish_verdict(run)
        return gate_state(run, facts)


if __name__ == "__main__":
    from flows.app.launch import start_module

    start_module(full_pipeline)
