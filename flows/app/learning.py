"""Bridges to training/: features for the checks that rank, and the experiment on two manifests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from flows.app.config import Config, digest
from flows.app.costs import cleaning_cpu_s
from flows.app.evidence_values import as_long, read_class_scores, read_embedding
from flows.app.intake import cache_of
from flows.app.packing import stored_name
from flows.app.progress import Progress, quiet
from flows.app.store import RunFolder, writing
from training.boosted import BOOSTED_VERSION, boosted_out_of_fold
from training.encoder import fit_encoder, one_hot
from training.errors import TrainingError
from training.features import compute_features, reduce
from training.jobs import repeatable
from training.resident import Resident, load_resident
from training.store_arms import Comparison, load_comparison, load_raw

if TYPE_CHECKING:
    from training.experiment import ExperimentOptions

SIDE_MAX_PX, SIDE_MIN_PX, SIDE_STEP_PX = 32, 16, 4
TABLE_WIDTH = 64  # columns of a table's feature vector after the principal components
ROWS_MIN = 40  # fewer rows fit no features
SCORES = "scores-"  # files of the cache
SPLITS = ("train", "val", "test")


def learn_tables(
    config: Config, run: RunFolder, source: Any, raw: Any, trained: Mapping[str, pl.DataFrame]
) -> tuple[dict[str, pl.DataFrame], dict[str, Any]]:
    """Return what ranking checks read, by name: `trained`, features, probabilities.

    What [labels] names comes first, then what was trained for it, by name; else features of `raw`,
    and of a table out-of-fold class scores, as far as there are. The second mapping tells what of
    the user's own was used and what was set aside.

    Raises:
        SourceError: what [labels] names cannot be used.
        TrainingError: the raw shards are damaged, or do not fit into memory.
    """
    samples = run.read_table("samples")
    given = {
        "features": read_embedding(config, source, samples),
        "probabilities": read_class_scores(config, source, samples),
    }
    made = {"features": compute_feature_table, "probabilities": compute_class_scores}
    tables = dict(trained)
    for name, own in given.items():
        if own is not None:
            tables[name] = own.table
        elif name not in tables and (table := made[name](config, run, raw)) is not None:
            tables[name] = table
    return tables, {name: own.facts for name, own in given.items() if own is not None}


def compute_class_scores(config: Config, run: RunFolder, raw: Any) -> pl.DataFrame | None:
    """Return tables.Probabilities of a table's rows by boosted trees; None of images.

    Also None where trees cannot tell: too few rows, one class or more than 100, no column that
    varies. Kept in the cache by the content of the raw shards: a change of the checks costs
    nothing. The columns of [training] leave_out are not read.
    """
    rows = raw.split("train").rows if raw.kind == "table" and "train" in raw.splits else 0
    if rows < ROWS_MIN or raw.encoding is None:
        return None
    leave_out = tuple(stored_name(name) for name in config.training.leave_out)
    folder = cache_of(config, run)
    rules = [BOOSTED_VERSION, raw.logical_digest, raw.classes, raw.encoding, leave_out]
    held = folder / f"{SCORES}{digest(rules)[:24]}.parquet"
    if held.is_file():
        with suppress(pl.exceptions.PolarsError, OSError):  # a damaged one is made anew
            return pl.read_parquet(held, glob=False)
    data = load_raw(run.file("shards"), raw.digest, leave_out=leave_out)
    try:
        scored = boosted_out_of_fold(data)
    except TrainingError:  # few labels, one class, too many of them
        return None
    order = np.argsort(data.keys, kind="stable")
    table = as_long(
        pl.Series(data.keys[order].tolist(), dtype=pl.String), scored.probs[order], data.classes,
        scored.fold[order],
    )  # fmt: skip
    for old in folder.glob(f"{SCORES}*.parquet"):
        old.unlink(missing_ok=True)
    with writing(held) as file:
        table.write_parquet(file)
    return table


def compute_feature_table(config: Config, run: RunFolder, raw: Any) -> pl.DataFrame | None:
    """Return sample_id and a float32 vector `features` for every readable sample of `raw`.

    Nothing is learnt from labels; everything is fitted on the train split. None where the train
    split is too small, or no column varies.

    Raises:
        TrainingError: the raw shards are damaged, or do not fit into memory.
    """
    if "train" not in raw.splits or raw.split("train").rows < ROWS_MIN:
        return None
    with repeatable(torch.device("cpu")):
        keys, matrix = (_image_features if raw.kind == "image" else _table_features)(
            config, run, raw
        )
    if matrix is None:
        return None
    width = pl.Array(pl.Float32, matrix.shape[1])
    frame = pl.DataFrame({"sample_id": keys.tolist(), "features": pl.Series(matrix, dtype=width)})
    return frame.sort("sample_id")


def _parts(run: RunFolder, raw: Any, **settings: Any) -> dict[str, Resident]:
    names = [name for name in SPLITS if name in raw.splits]
    return {name: load_resident(run.file("shards"), raw, name, **settings) for name in names}


def _image_features(
    config: Config, run: RunFolder, raw: Any
) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    grey = bool(run.read_table("metrics")["is_grey"].drop_nulls().all())
    parts = _parts(run, raw, image_size=image_side(config, run), channels=1 if grey else 3)
    images = np.concatenate([_pixels(part) for part in parts.values()])
    keys = np.concatenate([part.keys for part in parts.values()])
    return keys, compute_features(images, np.arange(len(parts["train"])))


def _pixels(part: Resident) -> NDArray[np.uint8]:
    assert part.images is not None
    return part.images.cpu().numpy()


def image_side(config: Config, run: RunFolder) -> int:
    """Return the side that images are brought to, px: as set, else by their median shorter side.

    The median is cut to 16..32 px, in steps of 4.
    """
    if config.training.image_size is not None:
        return config.training.image_size
    metrics = run.read_table("metrics")
    if "width_px" not in metrics.columns:
        return SIDE_MAX_PX
    shorter = metrics.select(pl.min_horizontal("width_px", "height_px")).to_series().drop_nulls()
    middle = int(shorter.quantile(0.5, "lower") or SIDE_MAX_PX)
    return max(SIDE_MIN_PX, min(SIDE_MAX_PX, middle) // SIDE_STEP_PX * SIDE_STEP_PX)


def _table_features(
    _config: Config, run: RunFolder, raw: Any
) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    parts = _parts(run, raw)
    keys = np.concatenate([part.keys for part in parts.values()])
    frames = {name: _frame(part) for name, part in parts.items()}
    try:
        encoder = fit_encoder(frames["train"])
    except TrainingError:  # no column varies: nothing to tell samples apart by
        return keys, None
    encoded = [one_hot(encoder.encode(frame), encoder.levels) for frame in frames.values()]
    fit_rows = np.arange(len(parts["train"]))
    return keys, reduce(np.concatenate(encoded), fit_rows, TABLE_WIDTH)


def _frame(part: Resident) -> pl.DataFrame:
    """Return a table's columns as they were stored; NaN of numbers is null again."""
    columns = [pl.Series(name, values.tolist() if values.dtype == object else values,
                         nan_to_null=True, strict=False)
               for name, values in part.columns.items()]  # fmt: skip
    return pl.DataFrame(columns)


def _switch(word: str) -> bool | None:
    """Return True for on, False for off, None for auto."""
    return {"on": True, "off": False}.get(word)


def plan_experiment(config: Config, run: RunFolder) -> ExperimentOptions:
    """Return what [training] says, with the side of this run's images."""
    from training.experiment import ExperimentOptions  # noqa: PLC0415 - scipy is slow to import

    own = config.training
    return ExperimentOptions(
        tiers=own.tiers, seeds=own.seeds, steps=own.steps, batch_size=own.batch_size,
        image_size=image_side(config, run), device=own.device, margin=own.margin,
        recipe={} if own.recipe is None else own.recipe.model_dump(exclude_none=True),
        yardstick=_switch(own.yardstick), probe=_switch(own.probe), looks=own.looks,
        packed=None if own.packed == "auto" else own.packed,
        optimiser=own.optimiser, ablations=own.ablations,
        doses=own.doses, raw_shares=own.raw_shares, subsets=own.subsets,
        equal_epochs=own.equal_epochs,
        leave_out=tuple(stored_name(name) for name in own.leave_out),
        cleaning_cpu_s=cleaning_cpu_s(run),
        acting=acting_checks(run),
    )  # fmt: skip


def acting_checks(run: RunFolder) -> tuple[str, ...] | None:
    """Return the checks that asked for a change when this run was cleaned; None where untold."""
    told = run.read_json("clean.json").get("acting")
    return tuple(str(name) for name in told) if isinstance(told, list) else None


def read_comparison(config: Config, run: RunFolder) -> Comparison:
    """Return a cleaned run's rows and arms, as its experiment reads them, but for any truth.

    Raises:
        TrainingError: the data cannot carry an experiment.
    """
    told = run.read_json("clean.json")
    return load_comparison(
        run.file("shards"), str(told["raw_manifest"]), str(told["cleaned_manifest"]),
        image_size=image_side(config, run),
        leave_out=tuple(stored_name(name) for name in config.training.leave_out),
        acting=acting_checks(run),
    )  # fmt: skip


def compare_arms(
    config: Config, run: RunFolder, manifests: Mapping[str, Any], progress: Progress | None
) -> None:
    """Run the experiment on the raw and the cleaned manifest: curves.parquet, experiment.json.

    Raises:
        TrainingError: the data cannot carry the experiment.
    """
    from flows.app.stations import read_truth  # noqa: PLC0415 - a circle
    from training.experiment import run_experiment  # noqa: PLC0415

    options = plan_experiment(config, run)
    tell = progress or quiet
    run_experiment(
        run.file("shards"), str(manifests["raw_manifest"]), str(manifests["cleaned_manifest"]),
        options, truth=read_truth(config), out=run.path,
        progress=lambda _tier, done, total: tell(done, total),
    )  # fmt: skip
    run.read_table("curves")  # guarded, as every table that crosses a boundary
