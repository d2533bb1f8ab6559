"""A user's own columns about samples: an embedding, and a model's out-of-sample class scores.

They stand beside the data, as columns of the source, or in a file of their own. A name or a shape
that is wrong ends the run with a sentence; a row that is wrong is set aside and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from checks.core.errors import SourceError
from checks.sources.columns import pick_column
from flows.app.config import Config
from flows.app.store import file_digest

FILES = (".parquet", ".csv")
KEY = ["uri", "row"]
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a user gave about samples. table: of the run folder, without what was set aside.

    facts: source, used, missing (samples that are not told of), strangers (rows of no sample),
    set_aside (a count by reason) and examples (uri and row of the first).
    """

    table: pl.DataFrame
    facts: dict[str, Any]


def is_file(name: str) -> bool:
    """Say whether a value of [labels] names a file rather than a column.

    >>> is_file("features.parquet"), is_file("features")
    (True, False)
    """
    return name.lower().endswith(FILES)


def own_columns(config: Config) -> tuple[str, ...]:
    """Return the columns of the source that [labels] takes as evidence: they are no data."""
    embedding, scores = config.labels.embedding, config.labels.probabilities
    one = () if embedding is None or is_file(embedding) else (embedding,)
    return (*one, *(scores if isinstance(scores, tuple) else ()))


def own_files(config: Config) -> tuple[Path, ...]:
    """Return the files that [labels] names, from the folder of the configuration."""
    told = (config.labels.embedding, config.labels.probabilities)
    return tuple(config.locate(one) for one in told if isinstance(one, str) and is_file(one))


def mark_evidence(config: Config, source: Any) -> list[object]:
    """Return what changes when what [labels] names does: the digests of files, the facts of data.

    What stands in columns beside the data is in no sample's id.
    """
    beside = [tuple(fact) for fact in source.files] if own_columns(config) else []
    own = config.labels
    return [own.embedding, own.probabilities, [file_digest(p) for p in own_files(config)], beside]


def leave_aside(source: Any, config: Config) -> Any:
    """Return the source without the columns that are evidence: nothing takes them for data.

    Raises:
        SourceError: a column or a file is not there, or a column is the label or the split.
    """
    for path in own_files(config):
        if not path.is_file():
            raise SourceError("labels", "no such file", got=str(path), advice="Check [labels].")
    names = own_columns(config)
    if not names:
        return source
    if source.kind == "image_folder":
        raise SourceError(
            "labels", "a folder of images has no columns", got=names[0],
            advice="Name a Parquet or CSV file with the columns uri and the values.",
        )  # fmt: skip
    if source.kind == "image_table":  # which reads image, label and split alone
        return source
    for name in names:
        pick_column("labels", "evidence", name, source.columns)
        if name in (source.label, source.split):
            raise SourceError("labels", "is the label or the split itself", got=name)
    return replace(source, columns=tuple(n for n in source.columns if n not in names))


def read_given(
    config: Config, source: Any, samples: pl.DataFrame, names: tuple[str, ...] | str
) -> tuple[pl.DataFrame, int]:
    """Return sample_id and the values that columns or a file give, and the rows of no sample.

    names: columns of the source, or one file with sample_id, or with uri and maybe row.

    Raises:
        SourceError: it cannot be read, has no key, or tells a sample twice.
    """
    ids = samples.select("sample_id", *KEY)
    if isinstance(names, tuple):
        told = _read_columns(source, names)
        return ids.join(told, on=KEY, how="inner").drop(KEY).sort("sample_id"), 0
    path = config.locate(names)
    told = _read_file(path)
    if "sample_id" in told.columns:
        keys, extra = ["sample_id"], [name for name in KEY if name in told.columns]
    elif "uri" in told.columns:
        keys, extra = KEY, []
        if "row" not in told.columns:
            told = told.with_columns(row=pl.lit(0, pl.Int64))
        told = told.with_columns(pl.col("row").cast(pl.Int64, strict=False))
    else:
        raise SourceError(
            str(path), "has no key of samples", got=", ".join(told.columns[:8]),
            allowed="Needed: a column sample_id, or uri and row.",
        )  # fmt: skip
    told = told.drop(extra)
    if (twice := told.filter(told.select(keys).is_duplicated())).height:
        got = ", ".join(map(str, twice.row(0)[: len(keys)]))
        raise SourceError(str(path), "tells of a sample twice", got=got)
    found = ids.join(told, on=keys, how="inner").drop(KEY)
    return found.sort("sample_id"), told.height - found.height


def _read_file(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.lower() == ".csv":
            return pl.read_csv(path, infer_schema=False)
        return pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as broken:
        told = str(broken).splitlines()[0][:120]
        raise SourceError(str(path), "cannot be read", got=told) from broken


def _read_columns(source: Any, names: tuple[str, ...]) -> pl.DataFrame:
    """Return uri, row and the columns of a table of values or of images."""
    if source.kind == "table":
        whole = replace(source, columns=names, label=None, split=None)
        frame: pl.DataFrame = whole.scan().collect()
        return frame
    parts = []
    for fact in source.files:
        lazy = pl.scan_parquet(source.root / fact.uri, glob=False)
        known = lazy.collect_schema().names()
        for name in names:
            pick_column(fact.uri, "evidence", name, known)
        part = lazy.select(names).with_row_index("row").collect()
        parts.append(part.with_columns(pl.col("row").cast(pl.Int64), uri=pl.lit(fact.uri)))
    return pl.concat(parts, how="vertical_relaxed")


def settle(
    where: str, given: pl.DataFrame, wrong: pl.Series, samples: pl.DataFrame, strangers: int
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the rows that can be used, and what became of the others.

    wrong: a reason for each row of `given`, null for none.

    Raises:
        SourceError: no row can be used.
    """
    good = given.filter(wrong.is_null())
    counts = wrong.drop_nulls().alias("why").value_counts(name="count").sort("why")
    reasons: dict[str, int] = dict(counts.iter_rows())
    if good.is_empty():
        got = ", ".join(f"{n} rows: {why}" for why, n in reasons.items()) or "no row of a sample"
        raise SourceError(where, "nothing in it can be used", got=got,
                          advice="Its key must be that of the samples.")  # fmt: skip
    first = given.filter(wrong.is_not_null()).select("sample_id").head(SHOWN)
    places = first.join(samples.select("sample_id", *KEY), on="sample_id", maintain_order="left")
    facts = {
        "source": where, "used": good.height, "missing": samples.height - given.height,
        "strangers": strangers, "set_aside": reasons,
        "examples": places.select(pl.format("{} row {}", *KEY)).to_series().to_list(),
    }  # fmt: skip
    return good, facts
