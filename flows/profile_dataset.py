"""Flow: measure every sample of a data set; unchanged bundles come from the cache."""

from pathlib import Path
from typing import Any

from prefect import flow

from flows.app.intake import one_look
from flows.app.lock import alone
from flows.app.targets import open_target
from flows.app.tasks import ONE_AT_A_TIME, profile_in_bundles


@flow(name="profile-dataset", task_runner=ONE_AT_A_TIME, validate_parameters=True)
def profile_dataset(config: str | Path = "gristmill.toml", out: Path | None = None) -> Any:
    """Profile the data that `config` names.

    Args:
        config: a gristmill.toml, or the folder of an earlier run.
        out: the run folder; by default the one that the configuration's digest names.

    Returns:
        Small facts: samples, splits, whether anything had changed.
    """
    settings, run = open_target(config, out)
    with alone(run.path), one_look():
        return profile_in_bundles(settings, run)


if __name__ == "__main__":
    from flows.app.launch import start_module

    start_module(profile_dataset)
