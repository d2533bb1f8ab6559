"""A bounded sample of a table's rows beside their samples, drawn once for all checks of a run.

A sample_id begins with the digest of the row's content, so the smallest ones are a random sample
that knows neither the order of the rows nor how they were batched, and equal rows come together.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

ROWS_MAX = 100_000  # what checks ask for, unless they are told otherwise
_KNOWN: dict[tuple[int, int, int], Drawn] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Two frames whose rows belong together, sorted by sample_id.

    samples: sample_id, split, label, uri, row. rows: the table's feature columns as they came.
    """

    samples: pl.DataFrame
    rows: pl.DataFrame

    def filter(self, keep: pl.Series) -> Drawn:
        """Return the samples, and their rows, for which the Boolean series `keep` holds."""
        return Drawn(self.samples.filter(keep), self.rows.filter(keep))

    @property
    def halves(self) -> npt.NDArray[np.bool_]:
        """Whether a row lies in the second half, shape (N,): by content, so copies stay together.

        >>> ids = [f"{at:032x}-0" for at in (1, 2, 255)]
        >>> Drawn(pl.DataFrame({"sample_id": ids}), pl.DataFrame()).halves.tolist()
        [True, False, True]
        """
        last = self.samples["sample_id"].str.slice(31, 1)
        return last.is_in(list("13579bdf")).to_numpy()


def draw_rows(tables: Mapping[str, pl.LazyFrame], rows_max: int) -> Drawn:
    """Return at most `rows_max` rows of a table: those with the smallest sample_ids.

    They are kept as long as the tables are: nothing outlives its run.

    Args:
        tables: samples (sample_id, split, label, uri, row) and rows (sample_id and the columns).
        rows_max: rows; memory grows with them alone.
    """
    key = (id(tables["samples"]), id(tables["rows"]), rows_max)
    if key not in _KNOWN:
        chosen = tables["samples"].select("sample_id", "split", "label", "uri", "row")
        samples = chosen.bottom_k(rows_max, by="sample_id").sort("sample_id").collect()
        wanted = samples.lazy().select("sample_id")
        held = tables["rows"].join(wanted, on="sample_id", how="semi").sort("sample_id")
        rows = held.collect(engine="streaming")
        there = samples["sample_id"].is_in(rows["sample_id"].implode())
        _KNOWN[key] = Drawn(samples.filter(there), rows.drop("sample_id"))
        for name in ("samples", "rows"):
            weakref.finalize(tables[name], _KNOWN.pop, key, None)
    return _KNOWN[key]


def list_samples(
    labels: Sequence[object], splits: Sequence[object] | None = None
) -> dict[str, list[object]]:
    """Return the table samples of one file's rows, for the examples of checks; all train by itself.

    >>> list_samples(["x", "y"])["split"]
    ['train', 'train']
    """
    rows = len(labels)
    return {
        "sample_id": [f"{at:032x}-0" for at in range(rows)],
        "split": list(splits or ["train"] * rows), "label": list(labels),
        "uri": ["t.csv"] * rows, "row": list(range(rows)),
    }  # fmt: skip
