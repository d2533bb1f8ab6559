"""A baseline: what the columns of an approved set looked like, in a few kilobytes of counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import polars as pl

from checks.core.errors import TableError
from checks.metrics.bins import Bins, Kind, Measured, choose_kind, cut, measure, plain, revive
from checks.metrics.drift import WORDS, Effect, Limits, compare, tell
from checks.metrics.tabular_quantiles import Weighted

SCHEMA = "gristmill.baseline/1"
Of = Literal["metric", "column", "class"]
Named = tuple[Of, str, str | None, pl.Series | Measured]  # of, name, split, values
OWN_KEYS = (
    "sample_id", "uri", "row", "split", "label", "xxh3_128", "mtime_ns", "error", "pixel_digest",
    "changed_in_place",
)  # fmt: skip
PICTURE_BINS, PICTURE_NAMES = 24, 8
FLAT = ("name", "of", "split", "kind", "word", *(field.name for field in fields(Effect)[:-1]),
        "median_baseline", "median", "sentence")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column as it was: where it is cut, how many samples each bin held, and its picture.

    of: metric (measured by us), column (of the user's table) or class (labels of one split).
    picture: equally wide bins from the first to the 99th percentile of a number, the ends holding
    what lies beyond; edges and counts.
    """

    name: str
    of: Of
    bins: Bins
    counts: tuple[int, ...]
    split: str | None = None
    median: float | None = None
    picture: tuple[tuple[float, ...], tuple[int, ...]] = ((), ())

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells this column from the others."""
        return self.of, self.name, self.split or ""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The columns of an approved run. about: run, source, modality, samples, measured, versions."""

    columns: tuple[Column, ...]
    about: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The sha256 of the columns: equal for equal data, whatever the run was called."""
        told = json.dumps([_plain_column(one) for one in self.columns], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def to_json(self) -> str:
        """Return the file: the same bytes for the same run."""
        told = {"schema": SCHEMA, "digest": self.digest, "about": dict(self.about),
                "columns": [_plain_column(one) for one in self.columns]}  # fmt: skip
        return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Baseline:
        """Read what `to_json` wrote.

        Raises:
            TableError: it is no baseline, or was changed by hand; `where` begins the sentence.
        """
        advice = "Approve a run anew: gristmill baseline approve RUN."
        try:
            told = json.loads(text)
            if told["schema"] != SCHEMA:
                raise TableError(where, "another layout of a baseline", got=told["schema"],
                                 allowed=f"{SCHEMA}.", advice=advice)  # fmt: skip
            columns = tuple(_revive_column(one) for one in told["columns"])
            found = cls(columns, dict(told["about"]))
        except (ValueError, TypeError, KeyError, AttributeError) as broken:
            raise TableError(where, "no baseline", got=str(broken), advice=advice) from broken
        if found.digest != told.get("digest"):
            raise TableError(where, "the baseline was changed after it was approved",
                             got=str(told.get("digest"))[:12], advice=advice)  # fmt: skip
        return found


def make_baseline(
    values: Mapping[Of, pl.DataFrame], labels: pl.DataFrame, about: Mapping[str, Any]
) -> Baseline:
    """Return the baseline of a run.

    Args:
        values: metrics and, for a table, its columns; a row for each sample, in any order.
        labels: split and label of each sample.
        about: facts for people.

    >>> frame = pl.DataFrame({"luma_mean": [0.1, 0.2, 0.3]})
    >>> samples = pl.DataFrame({"split": ["train"] * 3, "label": ["a", "a", "b"]})
    >>> made = make_baseline({"metric": frame}, samples, {"run": "monday"})
    >>> [(one.name, one.split, one.median) for one in made.columns]
    [('label', 'train', None), ('luma_mean', None, 0.2)]
    """
    return collect_baseline(list_columns(values, labels), about)


def collect_baseline(columns: Iterable[Named], about: Mapping[str, Any]) -> Baseline:
    """Return the baseline of columns that stand for themselves, or of their counts.

    Args:
        columns: of, name, split, and the values; a column of values that cannot be cut is passed
            over. `Measured` ones are numbers if they hold any number, else names.
        about: facts for people.
    """
    made = []
    for of, name, split, values in columns:
        kind = _kind(of, values)
        if kind is not None:
            told = measure(values, kind) if isinstance(values, pl.Series) else values
            bins = cut(told, kind)
            picture = _frame_picture(told.numbers) if kind == "number" else ()
            drawn = (picture, _count_picture(picture, told.numbers))
            counts, middle = tuple(bins.count(told)), _median(bins, told)
            made.append(Column(name, of, bins, counts, split, middle, drawn))
    return Baseline(tuple(sorted(made, key=lambda one: one.key)), about)


def _kind(of: Of, values: pl.Series | Measured) -> Kind | None:
    if isinstance(values, Measured):
        return "number" if values.numbers.keys.size else "category"
    return "category" if of == "class" else choose_kind(values)


def compare_baseline(
    baseline: Baseline, values: Mapping[Of, pl.DataFrame], labels: pl.DataFrame, limits: Limits
) -> list[dict[str, Any]]:
    """Return how far each column of the baseline has moved, worst first.

    Args:
        baseline: what was approved.
        values: as for `make_baseline`; a column, or the classes of a split, that are not there
            any more count as large drift, a metric that is not measured any more is not judged.
        labels: as for `make_baseline`.
        limits: what counts as drift.

    Returns:
        A record for each column: the fields of `Effect`, name, of, split, kind, median_baseline,
        median, sentence, and picture (edges or names, then and now) for the report.
    """
    return compare_columns(baseline, list_columns(values, labels), limits)


def compare_columns(
    baseline: Baseline, columns: Iterable[Named], limits: Limits
) -> list[dict[str, Any]]:
    """Return what `compare_baseline` does, for columns as `collect_baseline` takes them."""
    now: dict[tuple[str, str, str], pl.Series | Measured] = {
        (of, name, split or ""): values for of, name, split, values in columns
    }
    classes = sum(1 for of, _, _ in now if of == "class")
    rows = []
    for one in baseline.columns:
        # classes have half of the false alarms to themselves: many metrics must not drown them
        sharing = 2 * classes if one.of == "class" else 2 * (len(now) - classes)
        rows.append(_compare(one, now.get(one.key), max(1, sharing), limits))
    rank = {word: at for at, word in enumerate(WORDS)}
    return sorted(
        rows, key=lambda r: (-rank[r["word"]], -r["drift_psi"], -r["js_distance"], r["name"])
    )


def flatten(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return the records without their pictures: drift.parquet, its types the same in every run."""
    types = {field.name: pl.Float64 for field in fields(Effect)} | {
        "n_baseline": pl.Int64, "n": pl.Int64, "median_baseline": pl.Float64, "median": pl.Float64,
        **dict.fromkeys(("name", "of", "split", "kind", "word", "value", "sentence"), pl.String),
    }  # fmt: skip
    return pl.DataFrame(
        [{name: row[name] for name in FLAT} for row in rows],
        schema={name: types[name] for name in FLAT},
    )


def list_columns(values: Mapping[Of, pl.DataFrame], labels: pl.DataFrame) -> Iterator[Named]:
    """Yield every column that is compared: those of `values`, and the classes of each split."""
    for of, frame in values.items():
        for series in frame:
            if of != "metric" or series.name not in OWN_KEYS:
                yield of, series.name, None, series
    if labels["label"].null_count() < labels.height:
        for split in labels["split"].unique().sort():
            yield "class", "label", split, labels.filter(pl.col("split") == split)["label"]


def _compare(
    column: Column, found: pl.Series | Measured | None, columns: int, limits: Limits
) -> dict[str, Any]:
    gone = found is None
    told_of = found if found is not None else Measured()
    values = measure(told_of, column.bins.kind) if isinstance(told_of, pl.Series) else told_of
    counts = column.bins.count(values)
    effect = compare(column.bins, column.counts, counts, columns=columns, limits=limits)
    told = asdict(effect)
    median = _median(column.bins, values)
    shown = column.name if column.split is None else f"{column.name} in {column.split}"
    sentence = tell(shown, column.bins, effect, baseline=column.counts, counts=counts,
                    medians=(column.median, median))  # fmt: skip
    if gone:
        sentence = f"{shown}: not there any more"
        told["word"] = "not_judged" if column.of == "metric" else "large"
    return told | {
        "name": column.name, "of": column.of, "split": column.split, "kind": column.bins.kind,
        "median_baseline": column.median, "median": median, "sentence": sentence,
        "picture": _pair_pictures(column, counts, values),
    }  # fmt: skip


def _pair_pictures(column: Column, counts: list[int], values: Measured) -> dict[str, Any]:
    """Then and now, as counts in the same bins: equally wide ones, or the most frequent values."""
    if column.bins.kind == "number":
        edges, before = column.picture
        return {"edges": list(edges), "baseline": list(before),
                "counts": list(_count_picture(edges, values.numbers))}  # fmt: skip
    pairs = zip(column.bins.labels, column.counts, counts, strict=True)
    told = sorted((pair for pair in pairs if pair[1] or pair[2]), key=lambda p: (-p[1] - p[2], p))
    names, before, after = zip(*told[:PICTURE_NAMES], strict=True) if told else ((), (), ())
    return {"names": list(names), "baseline": list(before), "counts": list(after)}


def _median(bins: Bins, values: Measured) -> float | None:
    if bins.kind != "number" or not values.numbers.keys.size:
        return None
    return _at_rank(values.numbers, (values.numbers.total - 1) // 2)


def _at_rank(numbers: Weighted, rank: int) -> float:
    """The number of that rank, counted from 0."""
    place = int(np.searchsorted(numbers.counts.cumsum(), rank, side="right"))
    return float(numbers.keys[place])


def _frame_picture(numbers: Weighted) -> tuple[float, ...]:
    total = numbers.total
    if not total:
        return ()
    low, high = _at_rank(numbers, total // 100), _at_rank(numbers, total - 1 - total // 100)
    if low == high:
        low, high = float(numbers.keys[0]), float(numbers.keys[-1])
    return tuple(np.linspace(low, high, PICTURE_BINS + 1).tolist()) if low < high else ()


def _count_picture(edges: tuple[float, ...], numbers: Weighted) -> tuple[int, ...]:
    if not edges:
        return ()
    inside = np.clip(numbers.keys, edges[0], edges[-1])
    counts = np.histogram(inside, bins=np.array(edges), weights=numbers.counts)[0]
    return tuple(int(n) for n in counts)


def _plain_column(column: Column) -> dict[str, Any]:
    told: dict[str, Any] = {"name": column.name, "of": column.of, "bins": plain(column.bins),
                            "counts": list(column.counts)}  # fmt: skip
    if column.split is not None:
        told["split"] = column.split
    if column.bins.kind == "number":
        edges, counts = column.picture
        told |= {"median": column.median, "picture": {"edges": list(edges), "counts": list(counts)}}
    return told


def _revive_column(told: Mapping[str, Any]) -> Column:
    bins, counts = revive(told["bins"]), tuple(told["counts"])
    picture = told.get("picture") or {"edges": (), "counts": ()}
    drawn = tuple(picture["edges"]), tuple(picture["counts"])
    wrong = len(counts) != bins.size or len(drawn[0]) != (len(drawn[1]) + 1 if drawn[0] else 0)
    if wrong or not all(type(n) is int and n >= 0 for n in (*counts, *drawn[1])):
        message = f"the counts of {told['name']!r} do not fit its bins"
        raise ValueError(message)
    return Column(told["name"], told["of"], bins, counts, told.get("split"), told.get("median"),
                  drawn)  # fmt: skip
