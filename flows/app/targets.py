"""What a command was pointed at: a configuration, an earlier run's folder, or the data itself."""

from __future__ import annotations

from pathlib import Path

from flows.app.config import Config, load_config, source_config
from flows.app.intake import open_data
from flows.app.store import RunFolder, open_run, run_folder


def open_target(
    target: Path | str, out: Path | str | None = None, **section: object
) -> tuple[Config, RunFolder]:
    """Return the configuration and the run folder that `target` stands for.

    Args:
        target: a .toml file, a folder that holds config.json, or data.
        out: the run folder; by default the one that the configuration's digest names.
        section: settings of [source], used only where `target` is data.

    Raises:
        ConfigError: the configuration is wrong.
        SourceError: there is no such data; then no folder is made.
        StoreError: the run folder cannot be made or read.
    """
    path, out = Path(target), Path(out) if out else None
    if path.suffix == ".toml":
        config = load_config(path)
    elif (path / "config.json").is_file():
        config = RunFolder(path).read_config()
        return config, open_run(config, out or path)
    else:
        config = source_config(str(target), **section)
    folder = run_folder(config, out)
    if not folder.exists():
        open_data(config)  # a source that cannot be read leaves no folder behind
    return config, open_run(config, folder)
