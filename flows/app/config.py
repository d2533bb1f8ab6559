"""The configuration of a run: gristmill.toml, read once, all of its mistakes told at once."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from checks.core.errors import GristmillError
from flows.app.mistakes import check_mistakes, explain
from flows.app.section import Section
from flows.app.sections import (
    ChecksSection,
    ContractSection,
    DriftSection,
    FillSection,
    GateSection,
    LabelsSection,
    PolicySection,
    ProfileSection,
    ReportSection,
    ShardsSection,
    SourceSection,
    SplitSection,
    TrainingSection,
    TruthSection,
)

RESULT_SECTIONS = (
    "source", "labels", "split", "profile", "checks", "contract", "policy", "fill", "shards",
)  # fmt: skip


class ConfigError(GristmillError):
    """A configuration that cannot be used; `lines` holds one sentence for each mistake."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        Exception.__init__(self, "\n".join(lines))


class Config(Section):
    """Everything that a run depends on, beside the data.

    >>> config = Config.model_validate({"version": 1, "source": {"path": "photos"}})
    >>> config.training.seeds, config.source.kind
    (8, 'auto')
    """

    version: Literal[1] = Field(description="Version of this file's layout.")
    source: SourceSection
    labels: LabelsSection = LabelsSection()
    split: SplitSection = SplitSection()
    profile: ProfileSection = ProfileSection()
    checks: ChecksSection = ChecksSection()
    contract: ContractSection = ContractSection()
    policy: PolicySection = PolicySection()
    fill: FillSection = FillSection()
    drift: DriftSection = DriftSection()
    gate: GateSection = GateSection()
    shards: ShardsSection = ShardsSection()
    training: TrainingSection = TrainingSection()
    truth: TruthSection = TruthSection()
    report: ReportSection = ReportSection()
    name: str = Field("gristmill", exclude=True, description="File stem; names the run folder.")
    base: Path = Field(Path(), exclude=True, description="Folder that relative paths start from.")

    def locate(self, text: str) -> Path:
        """Return the path `text` of this configuration, relative to the file that named it."""
        return self.base / text

    @property
    def location(self) -> str:
        """Where the data is: a path, or a URL as it stands."""
        text = self.source.path
        return text if "://" in text else str(self.locate(text))

    @property
    def identity(self) -> str:
        """Digest of the whole configuration and of where its data lies; names the run folder."""
        return digest({"config": self.model_dump(mode="json"), "at": self.anchor})

    @property
    def anchor(self) -> str:
        """Where the data is, the same from every folder that a command is started in."""
        where = self.location
        return where if "://" in where else str(Path(where).resolve())

    def section_digest(self, *names: str) -> str:
        """Digest of the named sections, free of paths and of settings that change no result.

        Workers, folders and titles may differ between two machines that must agree.
        """
        dump = self.model_dump(mode="json", include=set(names))
        for section, key in (("source", "path"), ("profile", "workers"), ("profile", "bundle_size"),
                             ("profile", "verify"), ("training", "device"),
                             ("training", "packed")):  # fmt: skip
            dump.get(section, {}).pop(key, None)
        return digest(dump)

    @property
    def result_digest(self) -> str:
        """Digest of all settings that may change a decision or a shard."""
        return self.section_digest(*RESULT_SECTIONS)


def digest(value: object) -> str:
    """Return the sha256 of `value` as canonical JSON.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def load_config(path: Path | str) -> Config:
    """Read a gristmill.toml.

    Raises:
        ConfigError: with every mistake of the file, the nearest known key beside each.
    """
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as missing:
        raise ConfigError([f"{path}: no such file. `gristmill init SRC` writes one."]) from missing
    except OSError as broken:
        raise ConfigError([f"{path}: cannot be read ({broken.strerror})."]) from broken
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise ConfigError([f"{path}: not valid TOML ({broken})."]) from broken
    return read_config(raw, where=path.name, name=path.stem, base=path.parent)


def read_config(
    raw: Mapping[str, Any], *, where: str = "gristmill.toml", name: str = "gristmill",
    base: Path = Path(),
) -> Config:  # fmt: skip
    """Return the configuration in `raw`, the content of a TOML file.

    Raises:
        ConfigError: with every mistake; `where` begins each line.

    >>> read_config({"version": 1, "source": {"path": "x"}, "training": {"batchsize": 64}})
    Traceback (most recent call last):
        ...
    flows.app.config.ConfigError: gristmill.toml: training.batchsize: Extra inputs are not \
permitted (got 64). Did you mean 'batch_size'?
    """
    own = {key: value for key, value in raw.items() if key not in ("name", "base")}
    extra = [f"{key}: Extra inputs are not permitted." for key in ("name", "base") if key in raw]
    lines: list[str] = []
    config: Config | None = None
    try:
        config = Config.model_validate({**own, "name": name, "base": base})
    except ValidationError as broken:
        lines = explain(broken, Config)
    lines += extra + check_mistakes(own.get("checks"), base)
    if lines or config is None:
        raise ConfigError([f"{where}: {line}" for line in lines])
    return config


def source_config(path: str, **section: object) -> Config:
    """Return the default configuration for the data at `path`, as seen from here.

    Raises:
        ConfigError: for a value that [source] does not allow.
    """
    name = Path(path.rstrip("/")).name.split(".")[0] or "source"
    given = {key: value for key, value in section.items() if value is not None}
    raw = {"version": 1, "source": {"path": path, **given}}
    return read_config(raw, where="command line", name=name)
