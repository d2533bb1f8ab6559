"""Real data with known truth, laid out as a user would have it. Measuring only: never kept here.

The folder is named by GRISTMILL_SHARED_DATA (default ../shared/data beside the checkout).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl

from bench.record import ROOT

CONFIG = """version = 1
[source]
path = "{path}"
kind = "{kind}"
label = "{label}"
split = "split"
{more}
[training]
tiers = ["probe", "train"]
seeds = 8
{training}
"""


def find_shared_data() -> Path:
    """Return the folder of the measuring data.

    Raises:
        FileNotFoundError: it is not on this machine.
    """
    folder = Path(os.environ.get("GRISTMILL_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        message = f"{folder}: no measuring data here. Set GRISTMILL_SHARED_DATA to its folder."
        raise FileNotFoundError(message)
    return folder


def prepare_cifar10n(out: Path, label: str = "random_label1") -> Path:
    """Write images.parquet (human labels in train, given labels in test), truth and config.

    No column that gives the true class away (`file`, `label_name`) is carried over.
    """
    folder = find_shared_data() / "cifar10n"
    names = _class_names(folder)
    train = pl.read_parquet(folder / "train.parquet")
    test = pl.read_parquet(folder / "test.parquet")
    parts = [_labelled(train, label, names, "train"), _labelled(test, "label", names, "test")]
    out.mkdir(parents=True, exist_ok=True)
    pl.concat(parts).write_parquet(out / "images.parquet", row_group_size=1000)
    given, true = train[label], train["label"].replace_strict(names, return_dtype=pl.String)
    wrong = pl.Series(given != train["label"])
    defect = pl.select(pl.when(wrong).then(pl.lit("wrong_label")).otherwise(pl.lit("")))
    truth = pl.DataFrame({"row": range(train.height), "true_label": true}).select(
        pl.lit("images.parquet").alias("uri"),
        pl.col("row").cast(pl.Int64),
        pl.lit(None, dtype=pl.String).alias("column"),
        defect.to_series().alias("defect"),
        pl.when(wrong).then(pl.lit("unlikely_label")).alias("check_id"),
        "true_label",
        pl.lit(None, dtype=pl.String).alias("related_uri"),
    )
    truth.write_parquet(out / "truth.parquet")
    more = 'image = "image"\n[truth]\npath = "truth.parquet"'
    return _write_config(out, path="images.parquet", kind="image_table", label="label", more=more,
                         training="image_size = 32")  # fmt: skip


def prepare_adult(out: Path) -> Path:
    """Write adult.csv (both files, the labels of test without their dot) and its config."""
    folder = find_shared_data() / "tables" / "adult"
    parts = []
    for split in ("train", "test"):
        part = pl.read_csv(folder / f"{split}.csv", infer_schema=False)
        label = part.columns[-1]
        parts.append(
            part.with_columns(
                pl.col(label).str.strip_chars().str.strip_chars_end("."),
                pl.lit(split).alias("split"),
            )
        )
    out.mkdir(parents=True, exist_ok=True)
    pl.concat(parts).write_csv(out / "adult.csv")
    return _write_config(out, path="adult.csv", kind="table", label=label, more="", training="")


def _class_names(folder: Path) -> dict[int, str]:
    pairs = pl.read_parquet(folder / "test.parquet", columns=["label", "label_name"]).unique()
    return dict(pairs.sort("label").iter_rows())


def _labelled(part: pl.DataFrame, label: str, names: dict[int, str], split: str) -> pl.DataFrame:
    name = pl.col(label).replace_strict(names, return_dtype=pl.String)
    return part.select("image", name.alias("label"), pl.lit(split).alias("split"))


def _write_config(out: Path, **values: str) -> Path:
    path = out / "gristmill.toml"
    path.write_text(CONFIG.format(**values))
    return path


REAL: dict[str, Callable[[Path], Path]] = {"cifar10n": prepare_cifar10n, "adult": prepare_adult}
