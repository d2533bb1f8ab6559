"""[fill] from the configuration to shards, repairs, ledger and the rows that are trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from checks.core.errors import UnknownNameError
from flows.app.config import ConfigError, load_config, read_config
from flows.app.launch import run_line
from flows.app.outcome import Outcome
from flows.app.store import open_run
from training.errors import TrainingError
from training.fills import read_fills
from training.shards.columns import read_columns
from training.shards.ledger import read_ledger
from training.shards.manifest import read_manifest
from training.store_arms import load_comparison

WriteConfig = Callable[..., Path]
ROWS = 600
FILL = """
[fill]
method = "median"
[fill.columns.town]
method = "group"
group_by = ["land"]
[fill.columns.shoe]
method = "drop"
[fill.columns.note]
method = "keep"
"""


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 600 rows; every 10th has no age, every 15th no town, every 100th no shoe.

    Two ages cannot be right.
    """
    rng = np.random.default_rng(3)
    at = np.arange(ROWS)
    land = rng.choice(["de", "fr"], ROWS)
    age = rng.integers(20, 60, ROWS)
    age[[1, 3]] = -40  # no age; row 1 is train, row 3 test
    frame = pl.DataFrame(
        {
            "age": pl.Series(age.astype(str)).set(pl.Series(at % 10 == 0), None),
            "land": land,
            "town": pl.Series(np.where(land == "de", "Bonn", "Lyon")).set(
                pl.Series(at % 15 == 0), "?"
            ),
            "shoe": pl.Series(rng.integers(36, 47, ROWS).astype(str)).set(
                pl.Series(at % 100 == 6), None
            ),
            "note": pl.Series(rng.choice(["x", "y"], ROWS)).set(pl.Series(at % 9 == 4), None),
            "key": [f"k{i * 7919 % 1000:04}" for i in at],
            "split": np.where(at % 4 == 3, "test", np.where(at % 20 == 0, "val", "train")),
            "label": np.where(age > 40, "old", "young"),
        }
    )
    path = tmp_path_factory.mktemp("gappy") / "people.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def filled(
    gappy: Path, tmp_path_factory: pytest.TempPathFactory, write_config: WriteConfig,
    clean: Callable[[Path, Path], Outcome],
) -> Outcome:  # fmt: skip
    """The run over that table, up to the cleaned shards."""
    folder = tmp_path_factory.mktemp("filled")
    return clean(write_config(folder, gappy, FILL, head='label = "label"'), folder / "run")


def read_shards(run: Path, digest: str) -> pl.DataFrame:
    """All rows of a manifest, sorted by key."""
    manifest = read_manifest(run / "shards", digest)
    parts = [
        pl.DataFrame(pl.from_arrow(read_columns(run / "shards", shard)))
        for split in manifest.splits.values()
        for shard in split.shards
    ]
    return pl.concat(parts).sort("key")


def digests(filled: Outcome) -> tuple[str, str]:
    """The raw and the cleaned manifest."""
    facts = filled.folder.read_json("clean.json")
    return str(facts["raw_manifest"]), str(facts["cleaned_manifest"])


def test_train_is_filled_and_test_is_as_it_came(filled: Outcome) -> None:
    """Train has an age and a town of its own land everywhere; val and test keep their gaps."""
    raw, cleaned = (read_shards(filled.run, digest) for digest in digests(filled))
    train = cleaned.filter(split="train")
    assert train["age"].null_count() == 0
    towns = train.select("land", "town").unique().sort("land").rows()
    assert towns == [("de", "Bonn"), ("fr", "Lyon")]
    assert train["note"].null_count() > 0, "kept as it came"
    held = pl.col("split") != "train"
    assert raw.filter(held).equals(cleaned.filter(held))
    assert cleaned.filter(held)["age"].null_count() > 0


def test_the_median_is_that_of_train(filled: Outcome) -> None:
    """What a gap is filled with was fitted on train rows alone."""
    raw = read_shards(filled.run, digests(filled)[0])
    ages = raw.filter(split="train")["age"].cast(pl.Int64)
    middle = str(int(ages.quantile(0.5, "lower") or 0))
    repairs = filled.folder.read_table("repairs").filter(column="age")
    assert set(repairs["after"]) == {middle}
    told = filled.folder.read_json("clean.json")["fills"]
    assert told["fitted"]["age"] == {"method": "median", "value": middle}  # type: ignore[index]


def test_each_filled_cell_is_in_the_books(filled: Outcome) -> None:
    """Repairs hold before and after of each filled train cell, the ledger its reason."""
    samples = filled.folder.read_table("samples")
    repairs = filled.folder.read_table("repairs").join(samples, on="sample_id")
    gaps = repairs.group_by("column", "before").len().sort("column", "before").rows()
    train = samples.filter(split="train")["row"]
    decisions = filled.folder.read_table("decisions")
    gone = set(decisions.filter(outcome="dropped")["sample_id"])
    lost = set(samples.filter(pl.col("sample_id").is_in(sorted(gone)))["row"])
    here = [row for row in train if row not in lost]
    assert gaps == [("age", None, sum(row % 10 == 0 for row in here)), ("age", "-40", 1),
                    ("town", "?", sum(row % 15 == 0 for row in here))]  # fmt: skip
    books = read_ledger(
        filled.run / "shards", read_manifest(filled.run / "shards", digests(filled)[1])
    )
    reasons = books.explode("reasons").unnest("reasons").filter(check_id="fill:age")
    assert set(reasons.filter(outcome="repaired")["key"]) == set(
        repairs.filter(column="age")["sample_id"]
    )


def test_a_wrong_value_is_filled_in_train_alone(filled: Outcome) -> None:
    """An age of -40 gives way to the median in train; the one of test is left as it came."""
    samples = filled.folder.read_table("samples")
    cleaned = read_shards(filled.run, digests(filled)[1]).join(
        samples.select("row", key="sample_id"), on="key"
    )
    ages = dict(cleaned.filter(pl.col("row").is_in([1, 3])).select("row", "age").iter_rows())
    told = filled.folder.read_json("clean.json")["fills"]["fitted"]["age"]  # type: ignore[index]
    assert ages == {1: told["value"], 3: "-40"}
    manifest = read_manifest(filled.run / "shards", digests(filled)[1])
    fills = read_fills(filled.run / "shards", manifest)
    assert fills is not None
    key = samples.filter(row=3)["sample_id"][0]
    assert fills.cells.filter(key=key, column="age").is_empty()


def test_rows_without_a_value_are_dropped_by_policy(filled: Outcome) -> None:
    """Only train rows without a shoe go, and they are counted among what the caps allow."""
    samples = filled.folder.read_table("samples").join(
        filled.folder.read_table("decisions"), on="sample_id"
    )
    gone = samples.filter(outcome="dropped")
    assert set(gone["row"]) == {r for r in samples.filter(split="train")["row"] if r % 100 == 6}
    assert set(gone["check_ids"].explode()) >= {"fill:shoe"}


def test_the_cleaned_arm_reads_held_out_rows_filled(filled: Outcome) -> None:
    """Held-out gaps are filled alike where filled rows are trained on; raw reads its own rows."""
    raw, cleaned = digests(filled)
    got = load_comparison(filled.run / "shards", raw, cleaned)
    data, arm = got.data, got.arms.cleaned
    fills = read_fills(filled.run / "shards", read_manifest(filled.run / "shards", cleaned))
    assert fills is not None
    held = set(fills.cells.filter(pl.col("split") != "train")["key"])
    assert arm.held is not None
    moved = np.flatnonzero(arm.held != np.arange(data.labels.size))
    assert set(data.keys[moved].tolist()) == held
    assert (data.split[moved] > 0).all()
    assert got.arms.raw.held is None
    assert got.encoder is not None
    gap = next(i for i, plan in enumerate(got.encoder.columns) if plan.name == "age")
    assert got.encoder.columns[gap].gaps
    assert data.numbers is not None
    ages = fills.cells.filter(column="age")["key"].to_list()
    mark = data.numbers.shape[1] - 2  # age and town
    lacking = np.flatnonzero(np.isin(data.keys, ages))
    assert (data.numbers[lacking, mark] == 1).all()
    assert data.numbers[: data.labels.size, mark].sum() == lacking.size


def test_columns_that_are_left_out_are_not_read(filled: Outcome) -> None:
    """A key that is left out is in no input of the networks; a column that is not there is told."""
    store, (raw, cleaned) = filled.run / "shards", digests(filled)
    whole, less = (load_comparison(store, raw, cleaned, leave_out=o) for o in ((), ("key_", "age")))
    assert whole.encoder is not None
    assert less.encoder is not None
    names = {plan.name for plan in whole.encoder.columns}
    assert {plan.name for plan in less.encoder.columns} == names - {"key_", "age"}
    assert whole.data.numbers is not None
    assert less.data.numbers is not None
    assert less.data.numbers.shape[1] < whole.data.numbers.shape[1]
    with pytest.raises(TrainingError, match=r"training.leave_out: no such column \(got 'kee'\)"):
        load_comparison(store, raw, cleaned, leave_out=["kee"])
    with pytest.raises(TrainingError, match="every column is left out"):
        whole.encoder.without(names)


def test_a_run_with_fills_reaches_a_verdict(filled: Outcome) -> None:
    """The experiment trains on filled rows and predicts from filled ones, to the end."""
    config = load_config(filled.run.parent / "gristmill.toml")
    done = run_line(config, open_run(config, filled.run), until="report", train=True)
    verdict = done.folder.read_json("experiment.json")["verdict"]
    assert verdict["sentence"]  # type: ignore[index]


def test_mistakes_are_told(gappy: Path, tmp_path: Path, write_config: WriteConfig) -> None:
    """A group without columns and a column that is not there, or is the label, are refused."""
    source = {"path": str(gappy), "label": "label"}
    with pytest.raises(ConfigError, match="method group needs group_by"):
        read_config({"version": 1, "source": source, "fill": {"method": "group"}})
    for name in ("agge", "label"):
        extra = f'[fill.columns.{name}]\nmethod = "mode"'
        config = load_config(write_config(tmp_path, gappy, extra, head='label = "label"'))
        with pytest.raises(UnknownNameError, match=f"feature column of .* {name!r}"):
            run_line(config, open_run(config, tmp_path / "run"), until="clean", train=False)
