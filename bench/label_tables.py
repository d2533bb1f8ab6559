"""Wrong labels of tables: planted flips ranked by our scores and by cleanlab, on one model.

15 % of the labels are moved to another class, at random or by a random direction of the encoded
columns. The trees' out-of-fold probabilities are the same for both sides: cleanlab scores them
alone (and those of one deal of folds, what cross-validating the same trees once gives), we pool
them with the left-out ridge and the neighbours. Run it as
`python -m bench.label_tables --json`; `python -m bench.label_tables cost 300000` tells what the
probabilities cost.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from itertools import product

import numpy as np
import polars as pl
import xxhash
from cleanlab.rank import get_label_quality_scores
from scipy import stats
from sklearn.metrics import average_precision_score

from bench.process import run_module
from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from checks.labels import leave_one_out
from checks.labels.noise_matrix import estimate_noise
from checks.labels.suspicion import Evidence, gather, judge
from training.arms import TrainingData
from training.boosted import boosted_out_of_fold
from training.encoder import Encoded, fit_encoder, one_hot
from training.features import reduce
from training.statistics import paired_t

Matrix = np.ndarray
SEEDS, ROWS, RATE, STEEP = 5, 32_561, 0.15, 1.5
SIZES = (ROWS, 300_000)
CLASSES = 4
CLEANLAB = ("self_confidence", "self_confidence_one_deal", "normalized_margin")
MADE_ROWS = 8_000
WIDTH = 64  # of a table's features, as flows.app.learning has it
EASE, ROUNDS, TINY = 5, 200, 1e-6


def load_adult() -> tuple[pl.DataFrame, Matrix]:
    """Return the columns of adult's train file, and whether the income is high."""
    frame = pl.read_csv(find_shared_data() / "tables" / "adult" / "train.csv", infer_schema=False)
    label = frame.columns[-1]
    return frame.drop(label), (frame[label].str.strip_chars() == ">50K").to_numpy().astype(int)


def make_table(rows: int, seed: int) -> tuple[pl.DataFrame, Matrix]:
    """Return nine columns, numbers and words, and four unequal classes that bend and mix them."""
    rng = np.random.default_rng([3, seed])
    numbers, words = rng.normal(size=(rows, 6)), rng.integers(0, 8, (rows, 3))
    effect = rng.normal(size=(3, 8, CLASSES))
    score = 0.7 * numbers @ rng.normal(size=(6, CLASSES))
    score += 1.5 * np.sin(2 * numbers[:, :3]) @ rng.normal(size=(3, CLASSES))
    score += sum(effect[at][words[:, at]] for at in range(3))
    score += (numbers[:, 0] * numbers[:, 1])[:, None] * rng.normal(size=CLASSES)
    score = 1.8 * (score + np.array([1.2, 0.4, 0, -0.6]))
    told = {f"x{at}": numbers[:, at] for at in range(6)}
    told |= {f"c{at}": [f"v{v}" for v in words[:, at]] for at in range(3)}
    return pl.DataFrame(told), (score + rng.gumbel(size=score.shape)).argmax(axis=1)


def encode(frame: pl.DataFrame, labels: Matrix) -> TrainingData:
    """Return the rows as the trainer sees them, all of them train."""
    encoder = fit_encoder(frame)
    numbers, codes = encoder.encode(frame)
    keys = [f"{xxhash.xxh3_128_hexdigest(repr(row).encode())}-0" for row in frame.iter_rows()]
    names = tuple(f"class {at}" for at in range(int(labels.max()) + 1))
    return TrainingData("table", names, np.array(keys), labels, np.zeros(len(labels), np.int8),
                        numbers=numbers, codes=codes, levels=encoder.levels)  # fmt: skip


def flip(data: TrainingData, seed: int, *, by_features: bool) -> tuple[Matrix, Matrix]:
    """Return labels of which 15 % are wrong, and which; by features along a random direction."""
    rng = np.random.default_rng([77, seed])
    chance = np.full(data.labels.size, RATE)
    if by_features:
        flat = one_hot(Encoded(data.numbers, data.codes), data.levels)
        flat = (flat - flat.mean(axis=0)) / (flat.std(axis=0) + TINY)
        along = flat @ rng.normal(size=flat.shape[1])
        along = STEEP * (along - along.mean()) / along.std()
        low, high = -20.0, 20.0
        for _ in range(60):
            middle = (low + high) / 2
            chance = 1 / (1 + np.exp(-(along + middle)))
            low, high = (low, middle) if chance.mean() > RATE else (middle, high)
    wrong = rng.random(data.labels.size) < chance
    count = len(data.classes)
    other = (data.labels + rng.integers(1, count, data.labels.size)) % count
    return np.where(wrong, other, data.labels), wrong


def pool(parts: list[Matrix], labels: Matrix) -> tuple[Matrix, Matrix]:
    """Return the mixture of class scores (N, K) that believes the given labels most, and weights.

    Each part must be out of sample. Source: maximum likelihood of mixture weights by EM.
    """
    given = np.stack([part[np.arange(labels.size), labels] for part in parts], axis=1) + TINY
    weights = np.full(len(parts), 1 / len(parts))
    for _ in range(ROUNDS):
        shares = weights * given
        weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    return sum(w * part for w, part in zip(weights, parts, strict=True)), weights


def parts_of(evidence: Evidence, labels: Matrix, probs: Matrix) -> list[Matrix]:
    """Return the class scores of the trees, of the left-out ridge and of the neighbours."""
    targets = np.eye(evidence.class_count, dtype=np.float32)[labels]
    scores = leave_one_out.predict_left_out(evidence.spectrum, targets, evidence.penalty)
    logits = evidence.noise.heat * scores
    ridge = np.exp(logits - logits.max(axis=1, keepdims=True))
    near = labels[evidence.references][evidence.neighbours]
    votes = np.stack([(near == at).sum(axis=1) for at in range(evidence.class_count)], axis=1)
    votes = (votes + EASE * targets.mean(axis=0)) / (near.shape[1] + EASE)
    return [probs, ridge / ridge.sum(axis=1, keepdims=True), votes]


def score(data: TrainingData, seed: int, *, by_features: bool) -> dict[str, float]:
    """Return the average precision of each score on one draw of flips."""
    given, wrong = flip(data, seed, by_features=by_features)
    noisy = TrainingData(data.kind, data.classes, data.keys, given, data.split,
                         numbers=data.numbers, codes=data.codes, levels=data.levels)  # fmt: skip
    probs = boosted_out_of_fold(noisy).probs.astype(np.float64)
    probs /= probs.sum(axis=1, keepdims=True)
    once = boosted_out_of_fold(noisy, repeats=1).probs.astype(np.float64)
    flat = one_hot(Encoded(data.numbers, data.codes), data.levels)
    features = reduce(flat, np.arange(given.size), WIDTH)
    evidence = gather(features, given, len(data.classes), prior=probs.astype(np.float32))
    judged, parts = judge(evidence, given), parts_of(evidence, given, probs)
    pooled, weights = pool(parts, given)
    place = np.arange(given.size)
    linear, halved = probs + 0.5 * parts[1], _rank(parts[0], given) + 0.5 * _rank(parts[1], given)
    found = {
        "self_confidence": -get_label_quality_scores(given, probs, method="self_confidence"),
        "self_confidence_one_deal": once[place, given] * -1,
        "normalized_margin": -get_label_quality_scores(given, probs, method="normalized_margin"),
        "adjusted_margin": -get_label_quality_scores(
            given, probs, method="normalized_margin", adjust_pred_probs=True),
        "check": judged.refine(estimate_noise(judged.beliefs, given).reading.wrong),
        "check_before_the_noise_model": judged.suspicion, "pooled": -pooled[place, given],
        "ridge": -parts[1][place, given], "neighbours": judged.against,
        "trees_and_half_ridge": -linear[place, given], "the_same_by_ranks": halved,
    }  # fmt: skip
    told = {name: float(average_precision_score(wrong, value)) for name, value in found.items()}
    names = ("trees", "ridge", "neighbours")
    return told | {f"weight_{n}": float(w) for n, w in zip(names, weights, strict=True)}


def _rank(probs: Matrix, labels: Matrix) -> Matrix:
    return stats.rankdata(-probs[np.arange(labels.size), labels]) / labels.size


def measure(rows: int, seeds: int) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of both tables and both kinds of flips."""
    for table in ("adult", "made"):
        draws: dict[str, list[dict[str, float]]] = {"uniform": [], "by_features": []}
        for seed in range(seeds):
            frame, labels = (
                load_adult() if table == "adult" else make_table(min(rows, MADE_ROWS), seed)
            )
            kept = np.sort(np.random.default_rng([5, seed]).permutation(labels.size)[:rows])
            data = encode(frame[kept.tolist()], labels[kept])
            for kind, told in draws.items():
                told.append(score(data, seed, by_features=kind == "by_features"))
                print(table, kind, seed, json.dumps(told[-1]), file=sys.stderr, flush=True)
        for kind, told in draws.items():
            for name in told[0]:
                values = [one[name] for one in told]
                yield (
                    f"{table} {kind} {name}",
                    Figure(float(np.mean(values)), None, "higher", seeds),
                )
            for name, rival in product(("pooled", "check"), CLEANLAB):
                mine, theirs = (np.array([one[n] for one in told]) for n in (name, rival))
                gain = paired_t(mine, theirs)
                interval = (gain.low, gain.high)
                yield (
                    f"{table} {kind} {name} over {rival}",
                    Figure(gain.estimate, 0.0, "higher", seeds, interval),
                )


def tell_cost(rows: int) -> None:
    """Print the CPU seconds of the probabilities of a made table as JSON."""
    frame, labels = make_table(rows, 0)
    data = encode(frame, labels)
    start = time.process_time()
    boosted_out_of_fold(data)
    print(json.dumps({"cpu_s": time.process_time() - start}))


def main() -> None:
    """Measure order and cost, and record them."""
    if "cost" in sys.argv[1:]:
        tell_cost(int(sys.argv[-1]))
        return
    numbers = [int(one) for one in sys.argv[1:] if one.isdigit()]
    rows, seeds = (*numbers, *(ROWS, SEEDS)[len(numbers) :])
    figures = dict(measure(rows, seeds))
    for size in SIZES if not numbers else ():
        cost = run_module("bench.label_tables", "cost", str(size))
        figures[f"probabilities of {size} rows"] = Figure(
            cost.told["cpu_s"], 240.0, "lower", 1, unit="CPU s"
        )
        figures[f"peak memory at {size} rows"] = Figure(cost.peak_mb, None, "lower", 1, unit="MB")
    show(record("label_tables", figures))


if __name__ == "__main__":
    main()
