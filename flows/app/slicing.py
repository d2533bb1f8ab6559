"""Ways to slice a data set: columns of metadata and folders, for rates and caps in each part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import polars.selectors as cs

from checks.core.errors import UnknownNameError

VALUES_MAX, COLUMNS_MAX = 20, 12
KEY = ["uri", "row"]
FOLDER = "folder_{}"


def read_slices(
    source: Any, samples: pl.DataFrame, named: Sequence[str] | None = None
) -> pl.DataFrame | None:
    """Return sample_id and a String column for each way to slice; None where there is none.

    Args:
        source: the data.
        samples: tables.Samples.
        named: columns to slice by; None finds them: columns with 2 to 20 values, at most 12 of
            them, and of a folder of images its levels, `folder_1` at the top. What only spells the
            label or the split anew is left out.

    Raises:
        UnknownNameError: `named` has a column that is not there.
    """
    if named is not None and not named:
        return None
    keyed = samples.select("sample_id", "label", "split", *KEY)
    if source.kind == "image_folder":
        told = _split_folders(keyed)
        found = [name for name in told.columns if name.startswith("folder_")]
        wanted = _choose(named, found) if named else found
    else:
        scan, known = _scan_columns(source)
        wanted = _choose(named, known) if named else _find_few_valued(scan, known)
        columns = (pl.col(name).cast(pl.String) for name in wanted)
        told = keyed.join(scan.select(*KEY, *columns).collect(engine="streaming"), on=KEY,
                          how="left", suffix=" ")  # fmt: skip
    if named is None:
        wanted = [name for name in wanted if _tells_more(told, name)][:COLUMNS_MAX]
    return told.select("sample_id", *wanted).sort("sample_id") if wanted else None


def _choose(named: Sequence[str], known: Sequence[str]) -> list[str]:
    for name in named:
        if name not in known:
            raise UnknownNameError("slice of [policy] slices", name, known)
    return list(dict.fromkeys(named))


def _scan_columns(source: Any) -> tuple[pl.LazyFrame, list[str]]:
    """Return uri, row and the columns that slice, lazily, and the names of those columns."""
    if source.modality == "table":
        scan: pl.LazyFrame = source.scan()
        roles = {source.label, source.split}
    else:
        scan = pl.concat([
            pl.scan_parquet(source.root / fact.uri, glob=False).with_row_index("row")
            .with_columns(pl.col("row").cast(pl.Int64), uri=pl.lit(fact.uri))
            for fact in source.files
        ], how="diagonal_relaxed")  # fmt: skip
        roles = {source.label, source.split, source.image, source.file_name}
    plain = scan.select(~(cs.nested() | cs.binary() | cs.float())).collect_schema().names()
    return scan, [name for name in plain if name not in {*roles, *KEY, "sample_id"}]


def _find_few_valued(scan: pl.LazyFrame, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    counts = scan.select(pl.col(names).approx_n_unique()).collect(engine="streaming").row(0)
    return [name for name, count in zip(names, counts, strict=True) if 1 < count <= VALUES_MAX]


def _split_folders(keyed: pl.DataFrame) -> pl.DataFrame:
    """Add a column for each level of folders above the files."""
    parts = pl.col("uri").str.split("/")
    levels = keyed.select(parts.list.len().max()).item() or 1
    above = parts.list.head(parts.list.len() - 1)
    return keyed.with_columns(
        above.list.get(level, null_on_oob=True).alias(FOLDER.format(level + 1))
        for level in range(levels - 1)
    )


def _tells_more(told: pl.DataFrame, name: str) -> bool:
    """Say whether a column has 2 to 20 values, which neither the label nor the split tells."""
    if not 1 < told[name].n_unique() <= VALUES_MAX:
        return False
    roles = ("label", "split")
    return all(told.select(role, name).n_unique() > told[role].n_unique() for role in roles)
