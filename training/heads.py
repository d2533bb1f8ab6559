"""Many small heads trained at once: one batched model whose members never touch each other.

Each member is one (arm, seed): its own start, its own batches, its own labels; `torch.baddbmm`
runs all of them in one call, which pays where a loop would be all overhead: small batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.arms import RAW, Arm, TrainingData, batches, keyed_seed
from training.checkpoint import Checkpoint, Learning
from training.curriculum import weigh_hardest
from training.dynamics import Watch
from training.ensemble import Ensemble, mean_logits
from training.optim import AdamW, Average
from training.recipe import Recipe
from training.sparsity import Sparse
from training.stacked import stacked_linear, stacked_relu
from training.trail import Trail
from training.trainer import Run, conclude, curve_rows, finished, guard_loss, score
from training.vectors import Vectors

_CHUNK = 2048
_AHEAD = 16  # steps whose rows are looked up at once: most of it is the calls


class Predict(Protocol):
    """From pool rows (R,) or (M, R) to averaged logits (M, R, classes) of all or some members."""

    def __call__(self, at: NDArray[np.int64], members: Sequence[int] | None = None) -> Tensor:
        """Return the logits, on the CPU."""


class Batch(NamedTuple):
    """One step of M members: numbers (M, B, D), codes (M, B, K), and all else (M, B)."""

    numbers: Tensor
    codes: Tensor | None
    labels: Tensor
    weights: Tensor
    positions: NDArray[np.int64]
    epochs: NDArray[np.int64]


Note = Callable[[Batch, Tensor], None]


class Heads(nn.Module):
    """M perceptrons (D -> hidden -> hidden -> classes) as stacked weights.

    levels and embedding: each of K category columns adds a learnt vector to the D numbers.
    Each member's start is a function of its seed alone.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        inputs: int,
        recipe: Recipe,
        classes: int,
        levels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        width = recipe.embedding if levels else 0
        hidden = [recipe.hidden] * recipe.layers
        sizes = [inputs + width * len(levels), *hidden, classes]
        shapes = list(pairwise(sizes))
        self.count, self.classes = len(seeds), classes
        drawn = [_draw(seed, shapes, sum(levels) * width) for seed in seeds]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.stack([one[at].T for one in drawn])) for at in range(len(shapes))
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(len(seeds), 1, outside)) for _, outside in shapes
        )
        flat = torch.cat([one[-1] for one in drawn])
        self.vectors = Vectors(flat, levels, len(seeds), width) if width else None

    def forward(
        self, numbers: Tensor, codes: Tensor | None = None, members: Sequence[int] | None = None
    ) -> Tensor:
        """(M or 1, B, D) and (M or 1, B, K) -> logits (M, B, classes); members: only these M."""

        def pick(stacked: Tensor) -> Tensor:  # a slice of all would cost a copy on the way back
            return stacked if members is None else stacked[list(members)]

        hidden = numbers
        if self.vectors is not None and codes is not None:
            hidden = self.vectors(numbers, codes, members)
        hidden = hidden.expand(len(pick(self.biases[0])), -1, -1)
        *before, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in before:
            hidden = stacked_relu(hidden, pick(weight), pick(bias))
        return stacked_linear(hidden, pick(last[0]), pick(last[1]))


def _draw(seed: int, shapes: list[tuple[int, int]], extra: int) -> list[Tensor]:
    """One member's weights: He's normal start; 0.3 normal for vectors."""
    source = torch.Generator().manual_seed(seed)
    layers = [torch.randn(i, o, generator=source) * (2 / i) ** 0.5 for i, o in shapes]
    layers[-1] = layers[-1] * 0.1
    return [*layers, torch.randn(extra, generator=source) * 0.3]


class Rows:
    """The resident feature rows of one process."""

    def __init__(self, data: TrainingData, device: torch.device, *, coded: bool = True) -> None:
        assert data.numbers is not None
        self.data, self.device = data, device
        self.levels = data.levels if coded else ()
        self.numbers = torch.from_numpy(data.numbers).to(device)
        usable = coded and data.codes is not None and bool(data.levels)
        self.codes = torch.from_numpy(data.codes).to(device) if usable else None

    def batch(self, rows_MB: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
        """Return numbers (M, B, D) and codes (M, B, K) of pool rows."""
        at = torch.from_numpy(rows_MB.ravel()).to(self.device)

        def pick(part: Tensor) -> Tensor:  # twice as fast as with two indexes
            return part.index_select(0, at).view(*rows_MB.shape, part.shape[1])

        return pick(self.numbers), None if self.codes is None else pick(self.codes)


def train_heads(
    rows: Rows, runs: Sequence[tuple[Arm, int]], recipe: Recipe, saved: Checkpoint | None = None
) -> list[Run]:
    """Train one head for each (arm, seed), all at once; same inputs, same runs, bit for bit.

    saved: where the batch keeps itself now and then, as one network of `training.trainer.train`.

    Raises:
        DivergedError: as that does.
    """
    data, arms = rows.data, [arm for arm, _ in runs]
    val, test = curve_rows(data), data.rows_of(2)
    raw = [at for at, arm in enumerate(arms) if arm.name == RAW]
    watch, picked = Watch(len(raw), data.train.size, rows.device), torch.tensor(raw)
    picked = picked.to(rows.device)
    trail = Trail(None, saved, watch)

    def read(step: int, predict: Predict) -> None:
        with trail.reading():
            told = [score(one, data.labels[val]) for one in predict(read_from(arms, val))]
        for (arm, seed), one in zip(runs, told, strict=True):
            trail.add(step, guard_loss(one, arm.name, seed, recipe, step), 1 / len(runs))

    def note(batch: Batch, logits: Tensor) -> None:
        with trail.clock.paused():
            watch.record(
                batch.positions[raw], batch.epochs[raw[0]], logits[picked], batch.labels[picked]
            )

    predict = fit_heads(rows, runs, recipe, read, note if raw else None, trail=trail)
    curves = [trail.curve[at :: len(runs)] for at in range(len(runs))]
    dynamics: dict[int, NDArray[np.float32]] = {}
    if raw:
        final = predict(arms[raw[0]].rows, raw)
        dynamics = dict(zip(raw, conclude(watch, final, [arms[at] for at in raw]), strict=True))
    return [
        replace(finished(arm, seed, recipe, curve, one, data), dynamics=dynamics.get(at))
        for at, ((arm, seed), curve, one) in enumerate(
            zip(runs, curves, predict(read_from(arms, test)), strict=True)
        )
    ]


def read_from(arms: Sequence[Arm], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pool rows that samples are predicted from: (R,), or (arms, R) where they differ.

    >>> one = Arm("a", *[np.zeros(0)] * 4)
    >>> other = Arm("b", *[np.zeros(0)] * 4, held=np.array([0, 5]))
    >>> read_from([one, other], np.array([1])).tolist()
    [[1], [5]]
    """
    if all(arm.held is None for arm in arms):
        return rows
    return np.stack([rows if arm.held is None else arm.held[rows] for arm in arms])


def fit_heads(
    rows: Rows,
    runs: Sequence[tuple[Arm, int]],
    recipe: Recipe,
    read: Callable[[int, Predict], None] | None = None,
    note: Note | None = None,
    *,
    trail: Trail | None = None,
) -> Predict:
    """Train and return the function from pool rows to averaged logits (members, R, classes).

    Rows are (R,), the same for every member, or (members, R). read: called at the recipe's
    evaluation steps with the step and that function. note: called with each batch and its logits
    (members, B, classes) before the step that it makes. trail: keeps the training through a kill.
    """
    data, keys = rows.data, [keyed_seed(arm.name, seed) for arm, seed in runs]
    assert data.numbers is not None
    kind = Heads if recipe.members == 1 else Ensemble
    heads = kind(keys, data.numbers.shape[1], recipe, len(data.classes), rows.levels)
    heads = heads.to(rows.device)
    average = Average(heads.parameters(), recipe.ema_share * recipe.steps)
    mover = AdamW(list(heads.parameters()), recipe.lr, recipe.weight_decay)
    sparse = Sparse(heads.weights[: recipe.layers], average, recipe, stacked=True)
    if trail is not None:
        trail.begin(Learning(heads, average, [mover], sparse.named()))
    begun, due = 0 if trail is None else trail.step, set(recipe.eval_steps())
    feed = _feed(rows, runs, keys, recipe.batch_size, begun)

    def predict(at: NDArray[np.int64], members: Sequence[int] | None = None) -> Tensor:
        return evaluate_heads(rows, heads, average, at, members)

    for step in range(begun, recipe.steps + 1):
        if trail is not None:
            trail.keep(step)
        if read is not None and step in due:
            read(step, predict)
        if step < recipe.steps:
            batch, factor = next(feed), recipe.factor(step)
            logits = _advance(heads, mover, batch, recipe, factor)
            sparse.hold(step + 1)
            if note is not None:
                note(batch, logits)
            average.update()
    return predict


def _feed(
    rows: Rows, runs: Sequence[tuple[Arm, int]], keys: Sequence[int], size: int, begun: int = 0
) -> Iterator[Batch]:
    """Yield batches without end, from step `begun` on."""
    arms, device = [arm for arm, _ in runs], rows.device
    scale = [(arm.weights / arm.weights[arm.keep].mean()).astype(np.float32) for arm in arms]
    streams = [
        islice(batches(arm.keep, key, _AHEAD * size), begun // _AHEAD, None)
        for arm, key in zip(arms, keys, strict=True)
    ]
    first = begun % _AHEAD
    while True:
        at, epochs = np.stack([next(stream) for stream in streams], axis=1)
        places, given, own = (
            np.stack([part[i] for part, i in zip(parts, at, strict=True)])
            for parts in ([a.rows for a in arms], [a.labels for a in arms], scale)
        )
        labels, weights = (torch.from_numpy(part).to(device) for part in (given, own))
        for start in range(first * size, _AHEAD * size, size):
            one = slice(start, start + size)
            yield Batch(
                *rows.batch(places[:, one]), labels[:, one], weights[:, one], at[:, one],
                epochs[:, one],
            )  # fmt: skip
        first = 0


def _advance(
    heads: Heads | Ensemble, mover: AdamW, batch: Batch, recipe: Recipe, factor: float
) -> Tensor:
    """Take one step of every member and return the logits (M, B, classes) that led to it.

    The sum over members keeps their gradients apart.
    """
    logits: Tensor = heads.train()(batch.numbers, batch.codes)
    wide = logits if logits.ndim == 4 else logits.unsqueeze(1)  # noqa: PLR2004 - (M, k, B, classes)
    labels, weights = (
        part.unsqueeze(1).expand(wide.shape[:3]) for part in (batch.labels, batch.weights)
    )
    losses = functional.cross_entropy(
        wide.flatten(0, 2), labels.flatten(), reduction="none",
        label_smoothing=recipe.label_smoothing,
    )  # fmt: skip
    weighted = losses * weights.flatten()
    if recipe.hardest < 1:
        by_member = weighted.view(wide.shape[:3])
        weighted = (by_member * weigh_hardest(by_member, recipe.hardest)).flatten()
    total = weighted.sum() / (wide.shape[1] * wide.shape[2])
    total.backward()  # type: ignore[no-untyped-call]
    mover.step(factor)
    told = logits.detach()
    return mean_logits(told) if told.ndim == 4 else told  # noqa: PLR2004


@torch.no_grad()
def evaluate_heads(
    rows: Rows, heads: Heads | Ensemble, average: Average, at: NDArray[np.int64],
    members: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Return averaged members' logits (M, R, classes) on rows (R,) or (M, R), on the CPU."""
    heads.eval()
    average.swap()
    wide = np.atleast_2d(at)
    parts = [
        heads(*rows.batch(wide[:, start : start + _CHUNK]), members).cpu()
        for start in range(0, wide.shape[1], _CHUNK)
    ]
    average.swap()
    count = heads.count if members is None else len(members)
    return torch.cat(parts, dim=1) if parts else torch.zeros(count, 0, heads.classes)
