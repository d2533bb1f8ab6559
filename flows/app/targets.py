"""What a command was pointed at: a configuration, an earlier run's folder, or the data itself."""

from __future__ import annotations

from pathlib import Path

from checks.core.errors import SourceError
from flows.app.config import Config, load_config, source_config
from flows.app.intake import open_data
from flows.app.store import STAMPS, RunFolder, StoreError, open_run, run_folder

LEFT = (STAMPS, "profile.json")  # in a run folder whose config.json is lost


def open_target(
    target: Path | str, out: Path | str | None = None, labels: Path | None = None,
    **section: object,
) -> tuple[Config, RunFolder]:  # fmt: skip
    """Return the configuration and the run folder that `target` stands for.

    Args:
        target: a .toml file, a folder that holds config.json, or data.
        out: the run folder; by default the one that the configuration's digest names.
        labels: marked rows, from here, in place of those that the configuration names.
        section: settings of [source], used only where `target` is data.

    Raises:
        ConfigError: the configuration is wrong.
        SourceError: there is no such data; then no folder is made.
        StoreError: the run folder cannot be made or read.
    """
    path, out = Path(target), Path(out) if out else None
    if path.suffix == ".toml":
        config = _mark(load_config(path), labels)
    elif (path / "config.json").is_file():
        config = _mark(RunFolder(path).read_config(), labels)
        return config, open_run(config, out or path)
    elif left := [name for name in LEFT if (path / name).is_file()]:
        advice = f"Give its gristmill.toml, with --out {target}: that writes config.json anew."
        raise StoreError(str(target), "not a run folder any more: it holds no config.json",
                         got=left, advice=advice)  # fmt: skip
    else:
        config = _mark(source_config(str(target), **section), labels)
    folder = run_folder(config, out)
    if not folder.exists():
        open_data(config)  # a source that cannot be read leaves no folder behind
    return config, open_run(config, folder)


def _mark(config: Config, labels: Path | None) -> Config:
    """Return `config` with the file of marked rows in place of its own."""
    if labels is None:
        return config
    if not labels.is_file():
        advice = "A run of a table writes rows_to_mark.csv to fill in."
        raise SourceError(str(labels), "no such file of marked rows", advice=advice)
    checks = config.checks.model_copy(update={"labels": str(labels.resolve())})
    return config.model_copy(update={"checks": checks})


def refuse_absent(config: Config, *, decide: bool, train: bool) -> None:
    """Refuse at once what would be refused after a long time, when people are heard or a GPU used.

    Raises:
        SourceError: [policy] overrides names no file.
        TrainingError: [training] device is cuda, and there is no GPU.
    """
    named = config.policy.overrides
    if decide and named is not None and not config.locate(named).is_file():
        advice = "Take [policy] overrides out until `gristmill review import` has written it."
        raise SourceError(str(config.locate(named)), "no such file of decisions", advice=advice)
    if train and config.training.device == "cuda":
        from training.experiment import choose_device  # noqa: PLC0415 - torch is slow to import

        choose_device("cuda")
