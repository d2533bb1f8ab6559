import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from training.arms import Arm, Arms, TrainingData, raw_arm
from training.errors import TrainingError
from training.experiment import ExperimentOptions, compare, run_experiment
from training.features import features_of
from training.fills import Fills
from training.jobs import repeatable
from training.shards.ledger import build_ledger
from training.shards.writer import ShardSpec, write_manifest
from training.store_arms import Comparison, drop_grey_copies, load_comparison, load_raw

SMALL = ExperimentOptions(tiers=("train",), seeds=5, pilots=2, steps=40, batch_size=32, workers=1)


def _table(n: int = 1200, flipped: float = 0.35) -> pl.DataFrame:
    """A table of two classes with wrong labels in train; `true` holds the right ones."""
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, n)
    split = np.repeat(["train", "val", "test"], [n - 700, 200, 500])
    wrong = (split == "train") & (truth == 1) & (rng.random(n) < flipped)
    return pl.DataFrame(
        {
            "key": [f"{i:032x}-0" for i in range(n)],
            "x": rng.normal(0, 1, n) + 2.5 * truth,
            "city": np.where(rng.random(n) < 0.6, np.where(truth == 1, "Ulm", "Bonn"), "Jena"),
            "label": np.where(np.where(wrong, 1 - truth, truth) == 1, "yes", "no"),
            "true": np.where(truth == 1, "yes", "no"),
            "split": split,
        }
    )


def _write(
    store: Path,
    frame: pl.DataFrame,
    parent: str | None,
    decisions: pl.DataFrame,
    fills: Fills | None = None,
) -> str:
    """Write one manifest of the rows that the decisions keep; return its digest."""
    samples = frame.select(
        sample_id="key", split="split", label="label", uri=pl.lit("t.csv"),
        row=pl.int_range(pl.len(), dtype=pl.Int64), xxh3_128=pl.lit("0" * 32),
    )  # fmt: skip
    dropped = decisions.filter(pl.col("outcome") == "dropped")["sample_id"].to_list()
    labels = decisions.select(key="sample_id", new="new_label")
    rows = (
        frame.drop("true").filter(~pl.col("key").is_in(dropped)).join(labels, on="key", how="left")
        .with_columns(label=pl.coalesce("new", "label")).drop("new")
    )  # fmt: skip
    findings = decisions.filter(pl.col("action") != "keep").select(
        "sample_id", check_id="check", column=pl.lit(None, pl.String), severity=pl.lit("error"),
        value=pl.lit(1.0), threshold=pl.lit(0.5), evidence=pl.lit("e"),
        suggestion=pl.lit(None, pl.String), dimension=pl.lit("incorrect"),
    )  # fmt: skip
    ledger = build_ledger(samples, decisions.drop("check"), findings)
    spec = ShardSpec(name="t", kind="table", classes=("no", "yes"))
    batches = rows.to_arrow().to_batches()
    return write_manifest(store, batches, ledger, spec, parent=parent, fills=fills).digest


def _decide(frame: pl.DataFrame, action: str) -> pl.DataFrame:
    """Keep all, or act on the wrong labels; the first wrong one is called a leak."""
    wrong = pl.col("label") != pl.col("true") if action != "keep" else pl.lit(value=False)
    told = {"drop": "dropped", "relabel": "repaired", "keep": "kept"}[action]
    return frame.select(
        sample_id="key",
        action=pl.when(wrong).then(pl.lit(action)).otherwise(pl.lit("keep")),
        outcome=pl.when(wrong).then(pl.lit(told)).otherwise(pl.lit("kept")),
        new_label=pl.when(wrong & (action == "relabel")).then("true"),
        decided_by=pl.lit("policy"),
        check=pl.when(wrong & (wrong.cum_sum() == 1)).then(pl.lit("cross_split_leak"))
        .otherwise(pl.lit("unlikely_label")),
    )  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, pl.DataFrame]:
    """A store with a raw manifest and one from which the wrong labels are dropped."""
    store, frame = tmp_path_factory.mktemp("store"), _table()
    raw = _write(store, frame, None, _decide(frame, "keep"))
    cleaned = _write(store, frame, raw, _decide(frame, "drop"))
    return store, raw, cleaned, frame


def _truth(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("key", true_label="true")


def test_arms_come_from_two_manifests(stored: tuple[Path, str, str, pl.DataFrame]) -> None:
    """Dropped rows leave the cleaned arm, leaks leave all arms, the oracle knows the truth."""
    store, raw, cleaned, frame = stored
    got = load_comparison(store, raw, cleaned, truth=_truth(frame))
    wrong = frame.filter(pl.col("label") != pl.col("true")).height
    assert got.arms.raw.n_train == 500 - 1
    assert got.arms.cleaned.n_train == 500 - wrong
    assert got.facts["left_out_as_leaks"] == 1
    assert got.facts["dropped"] == wrong - 1
    assert got.arms.oracle is not None
    assert (got.arms.oracle.labels != got.arms.raw.labels).sum() == wrong - 1
    assert got.arms.groups["unlikely_label"].sum() == wrong - 1
    assert got.data.numbers is not None
    assert got.data.rows_of(2).size == 500


def test_features_come_from_the_raw_manifest(stored: tuple[Path, str, str, pl.DataFrame]) -> None:
    """Before any cleaning, the raw manifest alone gives features for every sample, in key order."""
    store, raw, _, frame = stored
    data = load_raw(store, raw)
    assert sorted(data.keys.tolist()) == frame["key"].to_list()
    features = features_of(data)
    assert features.shape[0] == frame.height
    assert np.isfinite(features).all()


def test_relabelling_reaches_the_arm(tmp_path: Path) -> None:
    """A relabelled row is kept with its new label, and the control then equals raw."""
    frame = _table()
    raw = _write(tmp_path, frame, None, _decide(frame, "keep"))
    cleaned = _write(tmp_path, frame, raw, _decide(frame, "relabel"))
    got = load_comparison(tmp_path, raw, cleaned)
    assert got.facts["relabelled"] > 50
    assert got.facts["dropped"] == 0
    control = got.arms.draw("random_drop", 0)
    assert np.array_equal(control.labels, got.arms.raw.labels)
    assert control.keep.all()


def test_repaired_cells_become_rows_of_the_pool(tmp_path: Path) -> None:
    """A repaired training row is read from behind the samples; the raw arm keeps the old one."""
    frame = _table()
    raw = _write(tmp_path, frame, None, _decide(frame, "keep"))
    mended = frame.with_columns(x=pl.when(pl.col("x") > 4).then(4.0).otherwise("x"))
    cleaned = _write(tmp_path, mended, raw, _decide(frame, "keep"))
    got = load_comparison(tmp_path, raw, cleaned)
    changed = got.arms.cleaned.rows != got.arms.raw.rows
    assert changed.sum() == frame.filter(pl.col("split") == "train", pl.col("x") > 4).height
    assert got.data.numbers is not None
    new = got.data.numbers[got.arms.cleaned.rows[changed], 0]
    old = got.data.numbers[got.arms.raw.rows[changed], 0]
    assert (new < old).all()


def test_the_whole_experiment_on_a_table(
    stored: tuple[Path, str, str, pl.DataFrame], tmp_path: Path
) -> None:
    """Both tiers find the planted gain, write their files, and the A/A interval holds zero."""
    store, raw, cleaned, frame = stored
    options = replace(
        SMALL, tiers=("probe", "train"), ablations=True, doses=(0.5,), raw_shares=(0.5,),
        subsets=True, equal_epochs=True,
    )  # fmt: skip
    seen: list[tuple[str, int, int]] = []
    done = run_experiment(
        store, raw, cleaned, options, truth=_truth(frame), out=tmp_path,
        progress=lambda *told: seen.append(told),
    )  # fmt: skip
    report = json.loads((tmp_path / "experiment.json").read_text())
    assert report["verdict"]["word"] == "helps"
    assert report["primary_tier"] == "train"
    assert report["agreement"]["sign"]
    assert report["audit"]["aa_holds_zero"]
    assert report["tiers"]["probe"]["recovered"]["fraction"] > 0.5
    arms = {row["arm"] for row in report["tiers"]["probe"]["arms"]}
    assert {"only:unlikely_label", "without:unlikely_label", "oracle"} <= arms
    assert {"dose:0.5", "raw:0.5", "set:1"} <= arms
    for tier in report["tiers"].values():
        steps, epochs, seconds = tier["matching"]
        assert steps["primary"]
        assert epochs["steps_cleaned"] < steps["steps_cleaned"] == 40
        assert seconds["cpu_s"] > 0
    assert report["facts"]["compute_matched_on"] == "optimiser steps"
    curves = pl.read_parquet(tmp_path / "curves.parquet")
    assert curves.equals(done.curves)
    assert curves.select("tier", "arm", "seed", "step").is_duplicated().sum() == 0
    assert curves.filter(pl.col("step") == 40)["test_acc"].null_count() == 0
    assert curves.filter(pl.col("step") < 40)["test_acc"].null_count() > 0
    assert seen[-1][1] == seen[-1][2]
    assert (tmp_path / "encoder.json").exists()


def test_a_second_call_trains_nothing(
    stored: tuple[Path, str, str, pl.DataFrame], tmp_path: Path
) -> None:
    """Finished runs are read back with equal curves; a damaged file is trained again."""
    store, raw, cleaned, _ = stored
    first = run_experiment(store, raw, cleaned, SMALL, out=tmp_path)
    files = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*.npz")}
    second = run_experiment(store, raw, cleaned, SMALL, out=tmp_path)
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*.npz")} == files
    assert first.curves.equals(second.curves)
    victim = tmp_path / "runs" / min(files)
    victim.write_bytes(victim.read_bytes()[:100])
    third = run_experiment(store, raw, cleaned, SMALL, out=tmp_path)
    timed = ("cpu_s", "wall_s")
    assert third.curves.drop(timed).equals(first.curves.drop(timed))


def _images(n: int = 200) -> Comparison:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 90, (n, 1, 16, 16), dtype=np.uint8)
    images[labels == 1, :, 4:8] += 120
    split = np.repeat([0, 1, 2], [n - 100, 50, 50]).astype(np.int8)
    data = TrainingData("image", ("a", "b"), np.arange(n).astype(str), labels, split, images)
    raw = raw_arm(data)
    cleaned = Arm("cleaned", np.arange(n - 100) > 20, raw.weights, raw.labels, raw.rows)
    return Comparison(data, Arms(raw, cleaned))


def test_worker_count_changes_nothing_on_images(tmp_path: Path) -> None:
    """Two worker processes give the same curves as this process alone, and the test set stays."""
    options = replace(SMALL, seeds=2, pilots=1, steps=6)
    comparison = _images()
    before = comparison.data.labels.copy()
    runs = [
        compare(comparison, replace(options, workers=workers), tmp_path / str(workers))
        for workers in (1, 2)
    ]
    timed = ("cpu_s", "wall_s")
    assert runs[0].curves.drop(timed).equals(runs[1].curves.drop(timed))
    digests = {run.report["audit"]["test_digest"] for run in runs}
    assert len(digests) == 1
    assert np.array_equal(before, comparison.data.labels)
    assert runs[0].report["verdict"]["word"] == "undecided"


def test_a_gpu_is_told_to_repeat_itself_and_then_left_as_it_was() -> None:
    """Training on a GPU asks for deterministic algorithms, and restores what was set before."""
    with repeatable(torch.device("cuda")):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_seed_gives_the_same_curves_on_a_gpu(
    stored: tuple[Path, str, str, pl.DataFrame], tmp_path: Path
) -> None:
    """Two experiments with the same seeds on one GPU end with equal curves, bit by bit."""
    store, raw, cleaned, _ = stored
    options = replace(SMALL, tiers=("probe", "train"), device="cuda")
    curves = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        done = run_experiment(store, raw, cleaned, options, out=tmp_path / name)
        curves.append(done.curves.drop("cpu_s", "wall_s"))
    assert curves[0].equals(curves[1])


def test_another_cleaning_keeps_the_raw_runs(tmp_path: Path) -> None:
    """When the checks change, only the arms that differ are trained again."""
    options = replace(SMALL, seeds=2, pilots=1, steps=4)
    one = _images()
    compare(one, options, tmp_path)
    before = len(list(tmp_path.glob("*.npz")))
    cleaned = replace(one.arms.cleaned, keep=np.arange(100) > 30)
    compare(replace(one, arms=Arms(one.arms.raw, cleaned)), options, tmp_path)
    assert before == 2 * 4 + 1
    assert len(list(tmp_path.glob("*.npz"))) == before + 2 * 2


def test_grey_copies_become_one_channel_and_colours_stay() -> None:
    """Three equal channels are one; a single coloured pixel keeps all three."""
    grey = np.repeat(np.arange(32, dtype=np.uint8).reshape(2, 1, 4, 4), 3, axis=1)
    assert drop_grey_copies(grey).shape == (2, 1, 4, 4)
    grey[1, 2, 3, 3] += 1
    assert drop_grey_copies(grey).shape == (2, 3, 4, 4)


def test_options_refuse_what_cannot_run() -> None:
    """An unknown tier, a single seed or an absent GPU is one clear error."""
    with pytest.raises(TrainingError, match="no such tier"):
        ExperimentOptions(tiers=("gpu",))
    with pytest.raises(TrainingError, match="At least 2"):
        ExperimentOptions(seeds=1)


def test_one_class_is_refused(tmp_path: Path) -> None:
    """A set of one class can be profiled but not compared."""
    frame = _table().with_columns(label=pl.lit("yes"), true=pl.lit("yes"))
    raw = _write(tmp_path, frame, None, _decide(frame, "keep"))
    with pytest.raises(TrainingError, match="two classes"):
        load_comparison(tmp_path, raw, raw)
