"""A first gristmill.toml, written after a look at the data."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import polars as pl

from checks.sources.source import open_source
from flows.app.config import ConfigError
from flows.app.refusals import advise_labels
from flows.app.sections import (
    FillSection,
    PolicySection,
    ProfileSection,
    SplitSection,
    TrainingSection,
)
from flows.app.store import writing

LABEL_NAMES = ("label", "class", "target", "y", "outcome", "income", "category", "species")
GUESSED = " # a guess by its name and values: put the column that holds the class"
CLASSES_MAX = 100
ROWS_LOOKED_AT = 10_000


def write_config(
    source: str, config: Path, *, force: bool = False, kind: str | None = None,
    label: str | None = None, image: str | None = None, split: str | None = None,
) -> str:  # fmt: skip
    """Write a commented `config` for the data at `source`; return what was found, in a sentence.

    Raises:
        SourceError: the data cannot be reached or has no known shape.
        ConfigError: `config` is there and `force` is not given.
    """
    if config.exists() and not force:
        raise ConfigError([f"{config}: is there already. --force replaces it."])
    seen = open_source(source, kind=_kind(kind), label=label, image=image, split=split)
    if seen.kind == "table" and label is None:
        guess = guess_label(seen.scan().head(ROWS_LOOKED_AT).collect())
        seen = open_source(source, kind="table", label=guess, split=split)
    entries = seen.entries()
    facts = look_at(entries)
    found = {name: getattr(seen, name, None) for name in ("label", "image", "split")}
    settings = {"kind": seen.kind, **found}
    guessed = found["label"] if label is None else None
    with writing(config) as file:
        file.write(render(place(source, config), settings, facts, guessed=guessed).encode())
    told = f"{facts['samples']:,} samples, {_count_classes(facts['classes'])}"
    if guessed is not None:
        told += f" by the column {guessed!r} (a guess: --label names another)"
    next_ = _next(config, seen.kind, facts)
    return f"{config}: {seen.kind}, {told}, splits {_splits(facts)}. Next: {next_}"


def _count_classes(classes: list[str]) -> str:
    return f"{len(classes)} classes" if len(classes) > 1 else f"{len(classes) or 'no'} class"


def _splits(facts: dict[str, Any]) -> str:
    told = facts["splits"]
    return told if isinstance(told, str) else ", ".join(told)


def _next(config: Path, kind: str, facts: dict[str, Any]) -> str:
    """Return the command that works on this data: without two classes nothing can be trained."""
    if len(facts["classes"]) > 1:
        return f"gristmill run {config}"
    return f"gristmill clean {config}. Training needs two classes or more. {advise_labels(kind)}"


def _kind(kind: str | None) -> Any:
    return kind or "auto"  # open_source names the kinds that it knows


def place(source: str, config: Path) -> str:
    """Return `source` as seen from the folder of `config`."""
    if "://" in source or Path(source).is_absolute():
        return source
    return Path(os.path.relpath(source, config.resolve().parent)).as_posix()


def guess_label(rows: pl.DataFrame) -> str | None:
    """Return the column that is most likely the class, None where nothing looks like one.

    A known name wins; else the last column, if it has 2 to 100 different values, each twice or
    more on average, and no fractions. What measures has fractions.

    >>> guess_label(pl.DataFrame({"uri": ["a"], "row": [0], "age": [3], "Income": ["low"]}))
    'Income'
    """
    columns = [name for name in rows.columns if name not in ("uri", "row")]
    named = {name.lower(): name for name in reversed(columns)}
    for name in LABEL_NAMES:
        if name in named and not _measures(rows[named[name]]):
            return named[name]
    if not columns or _measures(rows[columns[-1]]):
        return None
    values = rows[columns[-1]].drop_nulls()
    few = 1 < values.n_unique() <= min(CLASSES_MAX, values.len() // 2)
    return columns[-1] if few else None


def _measures(values: pl.Series) -> bool:
    """Say whether any value is a number with a fraction."""
    numbers = values.cast(pl.Float64, strict=False) if values.dtype == pl.String else values
    return numbers.dtype.is_float() and bool((numbers.drop_nulls() % 1 != 0).any())


def look_at(entries: pl.DataFrame) -> dict[str, Any]:
    """Return samples, classes and splits of a source's entries."""
    counts = entries["label"].drop_nulls().value_counts(sort=True).sort("label")
    return {
        "samples": entries.height,
        "classes": counts["label"].to_list(),
        "smallest": min(counts["count"], default=0),
        "splits": entries["split"].drop_nulls().unique().sort().to_list() or "by hash",
    }


def render(
    path: str, settings: dict[str, str | None], facts: dict[str, Any], *, guessed: str | None = None
) -> str:
    """Return the text of a configuration with a comment beside each setting.

    guessed: the column of the label, where nobody named it.
    """
    classes = facts["classes"]
    shown = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")  # noqa: PLR2004
    found = f"{_count_classes(classes)} ({_comment(shown)});" if classes else "no classes;"
    label = [] if classes or settings["kind"] == "image_folder" else ['# label = "..."']
    lines = [
        "# Gristmill: raw data in, verdict out. `gristmill run` on this file runs the whole line.",
        f"# Found: {facts['samples']:,} samples; {found}",
        f"# smallest class {facts['smallest']:,} samples; splits: {_splits(facts)}.",
        "version = 1",
        "",
        "[source]",
        f"path = {_text(path)} # relative to this file",
        *(
            f"{key} = {_text(value)}" + (GUESSED if key == "label" and guessed else "")
            for key, value in settings.items()
            if value
        ),
        *(f"{line} # column that holds the class; training needs one" for line in label),
        "",
        *_section("split", SplitSection()),
        *_section("profile", ProfileSection()),
        "[checks] # `gristmill checks` lists them, `gristmill explain CHECK` tells about one",
        "disabled = []",
        "# [checks.too_dark]",
        '# action = "drop"',
        "",
        *_section("policy", PolicySection()),
        *(_section("fill", FillSection()) if settings["kind"] == "table" else []),
        *_section("training", TrainingSection()),
    ]
    return "\n".join(lines)


def _section(name: str, section: Any) -> list[str]:
    """Return a section with its defaults, each commented out with what it means."""
    lines = [f"[{name}]"]
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        shown = "" if value is None else _value(value)
        lines.append(f"# {key} = {shown}".ljust(34) + f" # {field.description}")
    return [*lines, ""]


def _value(value: object) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _text(value: str) -> str:
    """Return `value` as a TOML string; JSON's escapes are TOML's."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """Return `text` without characters that would end a TOML comment."""
    return "".join(c if c.isprintable() else "?" for c in text)
