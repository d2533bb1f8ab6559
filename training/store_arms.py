"""Two manifests of one store, raw and cleaned, as one pool of rows and the arms over it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.arms import CLEANED, ORACLE, Arm, Arms, TrainingData, changed, guard_arm, raw_arm
from training.doses import group_changes, rank_reasons
from training.encoder import Encoder, fit_encoder
from training.encoding import encoder_of
from training.errors import TrainingError
from training.fills import read_fills
from training.resident import load_resident
from training.shards.columns import read_columns
from training.shards.difference import diff
from training.shards.digest import KEYED
from training.shards.ledger import read_ledger
from training.shards.manifest import Manifest, read_manifest
from training.twins import append_twins, mark_cells, read_twins

SPLITS = ("train", "val", "test")
LEAKS = ("cross_split_leak",)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What an experiment trains on. facts: counts for the report. encoder: of a table."""

    data: TrainingData
    arms: Arms
    facts: Mapping[str, Any] = field(default_factory=dict)
    encoder: Encoder | None = None


def load_comparison(
    store: Path,
    raw: str,
    cleaned: str,
    *,
    image_size: int = 32,
    truth: pl.DataFrame | None = None,
    leak_checks: Collection[str] = LEAKS,
    groups: Mapping[str, Sequence[str]] | None = None,
    leave_out: Sequence[str] = (),
    acting: Collection[str] | None = None,
) -> Comparison:
    """Return pool and arms of two manifests.

    Training rows that a check calls leaks from val or test are left out of every arm, also where
    a cap of the policy kept them: training on test items would flatter raw. Those that a person
    kept stay in all. Grey images stored in three channels become one.

    raw, cleaned: digests of manifests. image_size: pixels a side. truth: key (or uri and row),
    true_label, and maybe related_uri; only for the oracle arm and for test accuracy on true
    labels. The oracle sets wrong labels right and drops copies. leak_checks: ids of the checks
    whose findings are leaks. groups (check ids by group, for ablations), acting:
    see `training.doses.group_changes`. leave_out: columns of a table that are not read.

    Raises:
        TrainingError: if there are fewer than two classes, a split has no two labelled rows, the
            cleaning keeps nothing, or the truth speaks of none of these rows.
    """
    old, new = read_manifest(store, raw), read_manifest(store, cleaned)
    ledger = read_ledger(store, new)
    keys, content = _read_pool(store, old, image_size)
    changes = diff(store, old, new)
    trained = keys[content["split"] == 0].tolist()  # val and test stay as they came
    repaired = (
        changes.filter(pl.col("change") == "repaired", pl.col("key").is_in(trained))["key"]
        .sort().to_list()
    )  # fmt: skip
    if repaired:
        content = _append_repaired(store, new, content, repaired, image_size)
    fills = read_fills(store, new)
    content, twins = append_twins(content, keys, fills)
    leaks = _leaked(ledger, leak_checks)
    split = np.where(np.isin(keys, list(leaks)), -1, content["split"]).astype(np.int8)
    _refuse_thin(TrainingData(old.kind, old.classes, keys, content["labels"], split))
    data, encoder = _tensors(old, keys, split, content, leave_out)
    data = mark_cells(data, [*keys, *repaired, *keys[twins]], fills)
    raw_one = raw_arm(data)
    cleaned_one = _cleaned_arm(store, new, data, raw_one, repaired)
    cleaned_one = replace(cleaned_one, held=read_twins(data, cleaned_one, twins, fills))
    data, oracle = _use_truth(data, raw_one, ledger, truth)
    arms = Arms(
        raw_one, cleaned_one, oracle,
        group_changes(ledger, data.keys[data.train], changed(raw_one, cleaned_one), groups, acting),
        rank_reasons(ledger, data.keys[data.train].tolist()),
    )  # fmt: skip
    held_out = set(changes["key"].to_list()) & set(keys[content["split"] > 0].tolist())
    facts = {**_facts(data, arms, leaks), "held_out_changes_ignored": len(held_out)}
    facts["held_out_filled"] = 0 if cleaned_one.held is None else int(twins.size)
    return Comparison(data, arms, facts, encoder)


def load_raw(
    store: Path, raw: str, *, image_size: int = 32, leave_out: Sequence[str] = ()
) -> TrainingData:
    """Return one manifest's rows as tensors, for features and runs that judge labels.

    Tables are encoded as their manifest says; the columns `leave_out` are not read.
    """
    manifest = read_manifest(store, raw)
    keys, content = _read_pool(store, manifest, image_size)
    return _tensors(manifest, keys, content["split"], content, leave_out)[0]


def _read_pool(
    store: Path, manifest: Manifest, image_size: int
) -> tuple[NDArray[np.str_], dict[str, Any]]:
    """Keys, split, labels and features of all splits, in the order train, val, test."""
    content: dict[str, list[Any]] = {"split": [], "labels": [], "features": []}
    keys = []
    for number, split in enumerate(SPLITS):
        if split not in manifest.splits or not manifest.split(split).rows:
            continue
        part, labels, features = _read_split(store, manifest, split, image_size)
        keys.append(part)
        content["labels"].append(labels)
        content["features"].append(features)
        content["split"].append(np.full(len(part), number, np.int8))
    stacked: dict[str, Any] = {k: np.concatenate(content[k]) for k in ("split", "labels")}
    return np.concatenate(keys), {**stacked, "features": _stack(content["features"])}


def _stack(parts: list[Any]) -> Any:
    if isinstance(parts[0], pl.DataFrame):
        return pl.concat(parts, how="vertical_relaxed")
    return np.concatenate(parts)


def _read_split(
    store: Path, manifest: Manifest, split: str, image_size: int
) -> tuple[NDArray[np.str_], NDArray[np.int64], Any]:
    """Keys, label codes and features (uint8 NCHW, or a frame of columns), sorted by key."""
    if manifest.kind == "image":
        got = load_resident(store, manifest, split, image_size=image_size)
        assert got.images is not None
        return got.keys, got.labels.numpy(), got.images.numpy()
    parts = [
        pl.DataFrame(pl.from_arrow(read_columns(store, s))) for s in manifest.split(split).shards
    ]
    frame = pl.concat(parts).sort("key")
    keys = np.array(frame["key"].to_list(), np.str_)
    return keys, _codes(frame["label"], manifest.classes), frame.select(pl.exclude(*KEYED))


def _codes(labels: pl.Series, classes: Sequence[str]) -> NDArray[np.int64]:
    table = {label: number for number, label in enumerate(classes)}
    return labels.replace_strict(table, default=-1, return_dtype=pl.Int64).to_numpy()


def _append_repaired(
    store: Path, new: Manifest, content: dict[str, Any], repaired: list[str], image_size: int
) -> dict[str, Any]:
    """Add the repaired training rows behind all others, in the order of `repaired`."""
    keys, _, features = _read_split(store, new, "train", image_size)
    at = np.searchsorted(keys, np.array(repaired))
    picked = features[at] if not isinstance(features, pl.DataFrame) else features[at.tolist()]
    return {**content, "features": _stack([content["features"], picked])}


def _leaked(ledger: pl.DataFrame, leak_checks: Collection[str]) -> set[str]:
    asked = pl.col("reasons").list.eval(
        pl.element().struct.field("check_id").is_in(sorted(leak_checks))
    )
    ours = (pl.col("outcome") == "dropped") | pl.col("decided_by").eq_missing("policy")
    leaks = ledger.filter(ours & (pl.col("split") == "train"), asked.list.any())
    return set(leaks["key"].to_list())


def _tensors(
    manifest: Manifest, keys: NDArray[np.str_], split: NDArray[np.int8], content: dict[str, Any],
    leave_out: Sequence[str] = (),
) -> tuple[TrainingData, Encoder | None]:  # fmt: skip
    labels, features = content["labels"], content["features"]
    data = TrainingData(manifest.kind, manifest.classes, keys, labels, split)
    if manifest.kind == "image":
        return replace(data, images=drop_grey_copies(features)), None
    if strangers := [name for name in leave_out if name not in features.columns]:
        known = f"Columns: {', '.join(features.columns)}."
        raise TrainingError("training.leave_out", "no such column", got=strangers[0], allowed=known)
    encoder = encoder_of(manifest) or fit_encoder(features[data.train.tolist()])
    encoder = encoder.without(leave_out)
    numbers, codes = encoder.encode(features)
    return replace(data, numbers=numbers, codes=codes, levels=encoder.levels), encoder


def drop_grey_copies(images_NCHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return one channel if all three are equal in every image, else the images as they are.

    >>> drop_grey_copies(np.ones((2, 3, 4, 4), np.uint8)).shape
    (2, 1, 4, 4)
    """
    first = images_NCHW[:, :1]
    if images_NCHW.shape[1] == 1 or any(
        (images_NCHW[at : at + 1000] != first[at : at + 1000]).any()
        for at in range(0, images_NCHW.shape[0], 1000)
    ):
        return images_NCHW
    return np.ascontiguousarray(first)


def _refuse_thin(data: TrainingData) -> None:
    counts = {name: data.rows_of(number).size for number, name in enumerate(SPLITS)}
    for name, count in counts.items():
        if count < 2:  # noqa: PLR2004 - an interval over items needs two
            raise TrainingError(
                "experiment", f"split {name!r} has too few labelled rows", got=count,
                allowed="At least 2.", advice="Give labels, or larger split fractions.",
            )  # fmt: skip
    if (count := np.unique(data.labels[data.train]).size) < 2:  # noqa: PLR2004
        raise TrainingError(
            "experiment", "training needs two classes in its train split", got=count,
            advice="Profile and check work without labels; training does not.",
        )  # fmt: skip


def _cleaned_arm(
    store: Path, new: Manifest, data: TrainingData, raw: Arm, repaired: list[str]
) -> Arm:
    """The raw arm with what the cleaned manifest drops, relabels, reweights and repairs."""
    schema = {"key": pl.String, "label": pl.String, "weight": pl.Float32}
    shards = new.split("train").shards if "train" in new.splits else ()
    parts = [pl.DataFrame(pl.from_arrow(read_columns(store, s, list(schema)))) for s in shards]
    frame = pl.concat([pl.DataFrame(schema=schema), *parts]).sort("key")
    order = {key: at for at, key in enumerate(data.keys[data.train].tolist())}
    at = np.array([order.get(key, -1) for key in frame["key"].to_list()], np.int64)
    known = at >= 0
    labels = _codes(frame["label"], data.classes)
    keep = np.zeros_like(raw.keep)
    keep[at[known]] = labels[known] >= 0
    new_labels, weights, rows = raw.labels.copy(), raw.weights.copy(), raw.rows.copy()
    new_labels[at[known & (labels >= 0)]] = labels[known & (labels >= 0)]
    weights[at[known]] = frame["weight"].to_numpy()[known]
    for place, key in enumerate(repaired):
        if key in order:
            rows[order[key]] = data.labels.size + place
    arm = Arm(CLEANED, keep & (weights > 0), weights, new_labels, rows)
    guard_arm(data, arm)
    return arm


def _use_truth(
    data: TrainingData, raw: Arm, ledger: pl.DataFrame, truth: pl.DataFrame | None
) -> tuple[TrainingData, Arm | None]:
    """Attach true labels and make the oracle arm: labels set right, copies dropped."""
    if truth is None or "true_label" not in truth.columns:
        return data, None
    if "key" not in truth.columns:
        if lost := [name for name in ("uri", "row") if name not in truth.columns]:
            raise TrainingError("truth", "has no such column", got=lost[0], allowed="Or a key.")
        truth = truth.cast({"row": pl.Int64})
        where = ledger.select("key", uri="source_uri", row="source_row")
        truth = truth.join(where, on=["uri", "row"], how="inner")
    place = {key: at for at, key in enumerate(data.keys.tolist())}
    at = np.array([place.get(key, -1) for key in truth["key"].to_list()], np.int64)
    codes = _codes(truth["true_label"].cast(pl.String), data.classes)
    true_labels = data.labels.copy()
    usable = (at >= 0) & (codes >= 0)
    true_labels[at[usable]] = codes[usable]
    copy = np.zeros(data.labels.size, bool)
    if "related_uri" in truth.columns:
        copy[at[(at >= 0) & truth["related_uri"].is_not_null().to_numpy()]] = True
    if not usable.any() and not copy.any():
        raise TrainingError(
            "truth", "speaks of no row of this data", got=truth.height,
            advice="uri and row, and the spelling of true_label, must be those of the source.",
        )  # fmt: skip
    labels = true_labels[data.train]
    oracle = Arm(ORACLE, ~copy[data.train], raw.weights, labels, raw.rows)
    return replace(data, true_labels=true_labels), oracle


def _facts(data: TrainingData, arms: Arms, leaks: set[str]) -> dict[str, Any]:
    raw, cleaned = arms.raw, arms.cleaned
    both = cleaned.keep
    return {
        "rows": {name: int(data.rows_of(at).size) for at, name in enumerate(SPLITS)},
        "left_out_as_leaks": len(leaks & set(data.keys.tolist())),
        "without_label": int(((data.labels < 0) & (data.split == 0)).sum()),
        "dropped": int((~cleaned.keep).sum()),
        "relabelled": int((both & (raw.labels != cleaned.labels)).sum()),
        "reweighted": int((both & (raw.weights != cleaned.weights)).sum()),
        "repaired": int((both & (raw.rows != cleaned.rows)).sum()),
    }
