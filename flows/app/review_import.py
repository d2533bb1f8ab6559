"""Takes a person's review in: every row is checked, all mistakes are told at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from difflib import get_close_matches
from getpass import getuser
from pathlib import Path
from typing import Any

import polars as pl

from checks.core.errors import GristmillError
from checks.core.reviewed import settle_opinions
from checks.core.words import VERDICTS
from flows.app.review_file import read_review
from flows.app.review_store import (
    COLUMNS,
    STORE,
    list_disputes,
    merge_opinions,
    read_store,
    write_store,
)
from flows.app.store import RunFolder

MISTAKES_MAX = 50


class ReviewError(GristmillError):
    """A review that cannot be taken in; `lines` holds one sentence for each mistake."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        more = len(lines) - MISTAKES_MAX
        shown = [*lines[:MISTAKES_MAX], *([f"... and {more} mistakes more"] if more > 0 else [])]
        Exception.__init__(self, "\n".join([*shown, "Nothing was taken in."]))


def take_in(run_path: Path, file: Path, reviewer: str | None = None) -> str:
    """Merge the review in `file` into the store beside the run's configuration; tell what it said.

    Args:
        run_path: the folder of the run that the review was exported from, or of a later one.
        file: CSV or Parquet, as `review export` wrote it, with verdicts filled in.
        reviewer: who judged the rows that name nobody; by default the user of this machine.

    Raises:
        ReviewError: with every mistake: unknown samples, verdicts and classes, contradictions.
        SourceError: the file cannot be read, or the store holds something else.
        StoreError: it is no run folder, or the disk refuses.
    """
    run = RunFolder(run_path)
    config = run.read_config()
    samples = run.read_table("samples")
    page = read_review(file)
    rows = _join(page, samples, reviewer or _whoami())
    lines = [f"{file.name}, {line}" for line in _find_mistakes(rows, samples)]
    if lines:
        raise ReviewError(lines)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    given = [row for row in rows if row["verdict"]]
    schema = {"drawn_prob": pl.Float64} | {
        name: pl.String for name in COLUMNS if name != "drawn_prob"
    }
    new = pl.DataFrame([{**row, "reviewed_at": now} for row in given], schema=schema)
    new = new.select(COLUMNS).unique(["sample_id", "reviewer"], keep="first", maintain_order=True)
    path = config.locate(config.policy.overrides or STORE)
    held = read_store(path)
    merged = merge_opinions(held, new)
    if not merged.equals(held):
        write_store(path, merged)
    return _tell(os.path.relpath(path.resolve()), new, merged)


def _whoami() -> str:
    try:
        return getuser()
    except (OSError, KeyError):
        return "person"


def _join(page: pl.DataFrame, samples: pl.DataFrame, reviewer: str) -> list[dict[str, Any]]:
    """The rows of the file, tidied, each with its place and the label that its sample has."""
    tidy = pl.col("verdict").str.strip_chars().str.to_lowercase().replace("", None)
    who = pl.col("reviewer").str.strip_chars().replace("", None).fill_null(reviewer)
    classes = samples["label"].drop_nulls().unique().implode()
    label = pl.col("new_label")
    bare = label.str.strip_chars()  # a label that has blanks at its ends is one with them
    known = pl.when(label.is_in(classes)).then(label).otherwise(bare.replace("", None))
    frame = page.with_row_index("place", offset=2).with_columns(
        verdict=tidy, reviewer=who, new_label=known, told_label="label",
        drawn_prob=pl.col("drawn_prob").fill_null(1.0),
    )  # fmt: skip
    here = samples.select("sample_id", "label", here=pl.lit(value=True))
    return frame.drop("label").join(
        here, on="sample_id", how="left", maintain_order="left"
    ).to_dicts()  # fmt: skip


def _find_mistakes(rows: list[dict[str, Any]], samples: pl.DataFrame) -> Iterator[str]:
    """Yield one sentence for each mistake."""
    classes = sorted(samples["label"].drop_nulls().unique())
    said: dict[tuple[str, str], tuple[Any, Any, int]] = {}
    for row in rows:
        told = f"row {row['place']}"
        if not row["here"]:
            yield f"{told}: no sample of this run has this id (got {row['sample_id']!r})."
            continue
        yield from (f"{told}: {line}" for line in _judge_row(row, classes))
        if row["verdict"]:
            mine = (row["verdict"], row["new_label"], row["place"])
            key = (row["sample_id"], row["reviewer"])
            first = said.setdefault(key, mine)
            if first[:2] != mine[:2]:
                yield f"{told}: {row['reviewer']} said something else in row {first[2]}."


def _judge_row(row: dict[str, Any], classes: list[str]) -> Iterator[str]:
    verdict, label = row["verdict"], row["new_label"]
    if verdict is not None and verdict not in VERDICTS:
        hint = _nearest(verdict, list(VERDICTS))
        yield f"verdict: must be right, wrong, unsure or empty (got {verdict!r}).{hint}"
    elif label is not None and verdict != "wrong":
        yield (
            f"verdict and new_label contradict each other: a new label goes with `wrong` "
            f"(got {verdict or 'no verdict'!r} and {label!r})."
        )
    if label is not None and label not in classes:
        yield f"new_label: no class is named {label!r}.{_nearest(label, classes)}"
    elif label is not None and verdict == "wrong" and label == row["label"]:
        yield f"new_label: {label!r} is the label that it has; leave it empty or say `right`."
    if verdict and row["told_label"] not in (None, row["label"]):
        yield (
            f"label: it is {row['label']!r} now (got {row['told_label']!r}). "
            "Export again, the data has changed."
        )
    if not 0 < row["drawn_prob"] <= 1:
        yield f"drawn_prob: must be above 0 and at most 1 (got {row['drawn_prob']!r})."


def _nearest(name: str, known: list[str]) -> str:
    folded = {one.lower(): one for one in known}
    close = get_close_matches(name.lower(), list(folded), n=1, cutoff=0.5)
    if close:
        return f" Did you mean {folded[close[0]]!r}?"
    return f" Known: {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}."  # noqa: PLR2004


def _tell(path: str, new: pl.DataFrame, merged: pl.DataFrame) -> str:
    counts = Counter(new["verdict"].to_list())
    words = ", ".join(f"{counts[word]} {word}" for word in VERDICTS)
    who = ", ".join(sorted(new["reviewer"].unique())) or "nobody"
    lines = [f"{path}: {new.height} verdicts of {who} ({words}); {merged.height} are kept in all."]
    lines += [
        f"  disputed: {one['sample_id']}: {', '.join(one['said'])}; {one['stands']}"
        for one in list_disputes(merged, settle_opinions(merged))
    ]
    return "\n".join([*lines, "The next `gristmill clean` or `run` heeds them."])
