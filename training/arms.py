"""Training conditions as masks and overrides over one pool of rows, and their keyed order.

An arm never copies data: it says which training samples are kept, with which label and weight,
and which row of the pool holds each one's features. Order and draws are pure functions of
(seed, epoch), the same in every arm: all samples are permuted first, then the arm filters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from training.augment import keyed_bits
from training.doses import keep_share, name_subsets, take_surest, unite
from training.errors import TrainingError

Bools = NDArray[np.bool_]
Longs = NDArray[np.int64]
RAW, RAW_AGAIN, PILOT = "raw", "raw_again", "raw_pilot"
CLEANED, RANDOM_DROP, ORACLE = "cleaned", "random_drop", "oracle"
RAW_FILLED = "raw_filled"  # trained as raw, read from filled held-out rows as cleaned is
RANDOM_AGAIN = "random_drop_again"  # another draw of the control, for the audit of the harness
CLEANED_EPOCHS = "cleaned_epochs"  # trained for as many epochs as raw, not as many steps
FOLD, DOSE, SHARE, SUBSET = "fold", "dose", "raw", "set"
_ORDER, _DRAW, _FOLDS = 1, 2, 7
_ANOTHER = 3_000_003
OTHER_SEEDS = {RAW_AGAIN: 1_000_003, PILOT: 2_000_003}


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class TrainingData:
    """One pool of rows: all samples first (any split), then rows that repairs brought.

    keys: (N,) str. labels: (N,) int64, -1 where unknown. split: (N,) int8, 0 train 1 val 2 test.
    Images: images uint8 (P, C, H, W). Tables: numbers float32 (P, D), codes int64 (P, K) with
    levels (K,). P is N plus the repaired rows. true_labels: (N,) int64, -1 unknown, only for
    measuring.
    """

    kind: str
    classes: tuple[str, ...]
    keys: NDArray[np.str_]
    labels: Longs
    split: NDArray[np.int8]
    images: NDArray[np.uint8] | None = None
    numbers: NDArray[np.float32] | None = None
    codes: Longs | None = None
    levels: tuple[int, ...] = ()
    true_labels: Longs | None = None

    def rows_of(self, split: int) -> Longs:
        """Return the pool rows of one split that have a label, ascending."""
        return np.flatnonzero((self.split == split) & (self.labels >= 0))

    @property
    def train(self) -> Longs:
        """The pool rows that arms speak of; position i of an arm is row train[i]."""
        return self.rows_of(0)


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One training condition over the n training samples of a `TrainingData`.

    keep (n,) bool; weights (n,) float32, at least 0; labels (n,) int64; rows (n,) int64, the pool
    row that holds the sample's features. held (N,) int64: the pool row that each sample is read
    from when it is predicted, where the arm encodes missing values in its own way; None: its own.
    """

    name: str
    keep: Bools
    weights: NDArray[np.float32]
    labels: Longs
    rows: Longs
    held: Longs | None = None

    @property
    def n_train(self) -> int:
        """How many samples the arm trains on."""
        return int(self.keep.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """The fixed arms; `draw` gives the one that a seed trains on.

    groups: for each group of checks, (n,) bool: the samples that the group changed. order: (n,)
    int64, the place of each sample, 0 where the checks are surest; None: no doses.
    """

    raw: Arm
    cleaned: Arm
    oracle: Arm | None = None
    groups: Mapping[str, Bools] = field(default_factory=dict)
    order: Longs | None = None

    def names(self, *, ablations: bool = False) -> tuple[str, ...]:
        """Return the arms to run, raw first.

        Where cleaned is read from filled held-out rows, raw is also read so: what filling does to
        the reading must not pass for what training on cleaned rows does.
        """
        filled = () if self.cleaned.held is None else (RAW_FILLED,)
        oracle = () if self.oracle is None else (ORACLE,)
        alone = tuple(f"only:{g}" for g in self.groups) if ablations else ()
        without = tuple(f"without:{g}" for g in self.groups) if ablations else ()
        return (RAW, RAW_AGAIN, CLEANED, RANDOM_DROP, *filled, *oracle, *alone, *without)

    def steps_between(
        self, doses: Sequence[float] = (), shares: Sequence[float] = (), *, subsets: bool = False
    ) -> tuple[str, ...]:
        """Return the arms between raw and cleaned, and the parts of raw.

        doses: shares (0..1) of what cleaning changed, the surest first. shares: of raw's rows.
        subsets: all sets of groups of checks.

        Raises:
            TrainingError: if subsets of more than 5 groups are asked for.
        """
        changes = self.order is not None and bool(changed(self.raw, self.cleaned).any())
        return (
            *(f"{DOSE}:{dose:g}" for dose in doses if changes),
            *(f"{SHARE}:{share:g}" for share in shares),
            *(name_subsets(list(self.groups)) if subsets and self.groups else ()),
        )

    def draw(self, name: str, seed: int) -> Arm:
        """Return the arm `name` as seed `seed` trains on it.

        Raises:
            TrainingError: if nothing here has that name.
        """
        fixed = dict.fromkeys((RAW, RAW_AGAIN, PILOT), self.raw)
        fixed |= dict.fromkeys((CLEANED, CLEANED_EPOCHS), self.cleaned)
        if (arm := self.oracle if name == ORACLE else fixed.get(name)) is not None:
            return replace(arm, name=name)
        if name == RAW_FILLED:
            return replace(self.raw, name=name, held=self.cleaned.held)
        if name in (RANDOM_DROP, RANDOM_AGAIN):
            draw = seed + (_ANOTHER if name == RANDOM_AGAIN else 0)
            return replace(random_control(self.raw, self.cleaned, draw), name=name)
        kind, _, detail = name.partition(":")
        if kind in (FOLD, SHARE) and detail:
            return replace(self.raw, name=name, keep=self._kept(kind, detail, seed))
        if (touched := self._touched(kind, detail)) is not None:
            return mix(name, self.raw, self.cleaned, touched)
        raise TrainingError("experiment", "no arm has this name", got=name)

    def _kept(self, kind: str, detail: str, seed: int) -> Bools:
        """All folds but one, or a share of the rows."""
        if kind == SHARE:
            return keep_share(self.raw.labels, self.raw.keep, float(detail), seed)
        fold, folds = (int(part) for part in detail.split("/"))
        kept: Bools = self.raw.keep & (assign_folds(self.raw.keep.size, folds) != fold)
        return kept

    def _touched(self, kind: str, detail: str) -> Bools | None:
        """The samples that an arm between raw and cleaned treats as cleaned does.

        only: what the group asked for. without: all but what it alone asked for.
        """
        if kind == DOSE and self.order is not None:
            return take_surest(self.order, changed(self.raw, self.cleaned), float(detail))
        if kind == SUBSET:
            return unite(self.groups, detail)
        if detail not in self.groups or kind not in ("only", "without"):
            return None
        if kind == "only":
            return self.groups[detail]
        rest = [mask for name, mask in self.groups.items() if name != detail]
        left: Bools = np.any([~self.groups[detail], *rest], axis=0)
        return left


def fold_names(folds: int) -> tuple[str, ...]:
    """Return the arms that each train on all but one fold.

    >>> fold_names(2)
    ('fold:0/2', 'fold:1/2')
    """
    return tuple(f"{FOLD}:{fold}/{folds}" for fold in range(folds))


def assign_folds(samples: int, folds: int, seed: int = 0) -> Longs:
    """Return the fold 0..folds - 1 of each of n training samples, near evenly, keyed by place.

    >>> np.bincount(assign_folds(10, 3)).tolist()
    [4, 3, 3]
    """
    return np.argsort(np.argsort(keyed_bits(seed, _FOLDS, np.arange(samples)))) % folds


def held_out_rows(data: TrainingData, arm: Arm) -> Longs | None:
    """Return the pool rows that a fold's arm is asked about; None for every other arm.

    Its fold first, then validation and test, which no fold trains on.
    """
    if not arm.name.startswith(f"{FOLD}:"):
        return None
    return np.concatenate([arm.rows[~arm.keep], data.rows_of(1), data.rows_of(2)])


def guard_arm(data: TrainingData, arm: Arm) -> None:
    """Refuse an arm that cannot be trained on, or that would train on held-out rows.

    Raises:
        TrainingError: if it keeps no sample, has a weight that is not positive or a label that is
            no class, or reads a row that is neither from train nor repaired.
    """
    if not arm.keep.any():
        raise TrainingError(
            "experiment", f"arm {arm.name!r} keeps no sample", got=0,
            advice="Loosen the checks or the caps of [policy].",
        )  # fmt: skip
    rows, weights, labels = arm.rows[arm.keep], arm.weights[arm.keep], arm.labels[arm.keep]
    if not (np.isin(rows, data.train) | (rows >= data.labels.size)).all():
        raise TrainingError("experiment", f"arm {arm.name!r} reads rows outside train")
    own = np.arange(data.labels.size)
    if arm.held is not None and not ((arm.held == own) | (arm.held >= own.size)).all():
        raise TrainingError("experiment", f"arm {arm.name!r} predicts from other samples' rows")
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise TrainingError("experiment", f"arm {arm.name!r} has weights that are not positive")
    if labels.min() < 0 or labels.max() >= len(data.classes):
        raise TrainingError("experiment", f"arm {arm.name!r} has labels that are no class")


def raw_arm(data: TrainingData) -> Arm:
    """Return the arm that trains on every labelled training sample as it came."""
    rows = data.train
    n = rows.size
    return Arm(RAW, np.ones(n, bool), np.ones(n, np.float32), data.labels[rows], rows)


def changed(raw: Arm, other: Arm) -> Bools:
    """Return (n,) bool: the samples that `other` treats differently."""
    touched: Bools = (
        (raw.keep != other.keep) | (raw.labels != other.labels)
        | (raw.weights != other.weights) | (raw.rows != other.rows)
    )  # fmt: skip
    return touched


def mix(name: str, base: Arm, treated: Arm, touched: Bools) -> Arm:
    """Return `treated` on the touched samples and `base` on the others.

    Held-out rows are read as the treated arm reads them if most rows that it changed are touched.
    """
    changed = treated.rows != base.rows
    as_treated = bool(changed.any()) and 2 * int((changed & touched).sum()) > int(changed.sum())
    return Arm(
        name,
        np.where(touched, treated.keep, base.keep),
        np.where(touched, treated.weights, base.weights).astype(np.float32),
        np.where(touched, treated.labels, base.labels),
        np.where(touched, treated.rows, base.rows),
        treated.held if as_treated else base.held,
    )


def random_control(raw: Arm, cleaned: Arm, seed: int) -> Arm:
    """Return the control: as many samples of each class dropped or down-weighted, at random.

    Classes are the raw labels. A fresh draw for each seed; labels and features stay raw, so what
    is left of `cleaned` over this control is its choice of samples.
    """
    keep, weights = raw.keep.copy(), raw.weights.copy()
    rng = np.random.default_rng([_DRAW, seed])
    for label in np.unique(raw.labels):
        members = np.flatnonzero(raw.keep & (raw.labels == label))
        lost = int((~cleaned.keep[members]).sum())
        lowered = np.sort(cleaned.weights[members][cleaned.keep[members]])
        lowered = lowered[lowered != 1]
        drawn = rng.permutation(members)
        keep[drawn[:lost]] = False
        weights[drawn[lost : lost + lowered.size]] = lowered
    return Arm(RANDOM_DROP, keep, weights, raw.labels, raw.rows)


def keyed_seed(arm: str, seed: int) -> int:
    """Return the seed that keys initialisation, order and augmentation of a run.

    Paired arms share it; raw_again and the pilots have seeds of their own.

    >>> keyed_seed("cleaned", 3) == keyed_seed("raw", 3) != keyed_seed("raw_again", 3)
    True
    """
    return seed + OTHER_SEEDS.get(arm, 0)


def batches(keep: Bools, seed: int, batch_size: int) -> Iterator[tuple[Longs, Longs]]:
    """Yield (positions, epochs), both (batch_size,), without end.

    Each epoch permutes all n samples keyed (seed, epoch) and then filters by `keep`; batches are
    always full and may cross an epoch's end.

    Raises:
        TrainingError: if no sample is kept.

    >>> one, other = (next(batches(np.array(k), 0, 2))[0] for k in ([True] * 3, [True] * 3))
    >>> one.tolist() == other.tolist()
    True
    """
    if not keep.any():
        raise TrainingError("experiment", "the arm keeps no sample", got=0)
    positions, epochs, epoch = np.empty(0, np.int64), np.empty(0, np.int64), 0
    whole = bool(keep.all())
    while True:
        while positions.size < batch_size:
            order = np.random.default_rng([_ORDER, seed, epoch]).permutation(keep.size)
            order = order if whole else order[keep[order]]
            positions = np.concatenate([positions, order])
            epochs = np.concatenate([epochs, np.full(order.size, epoch)])
            epoch += 1
        yield positions[:batch_size], epochs[:batch_size]
        positions, epochs = positions[batch_size:], epochs[batch_size:]
