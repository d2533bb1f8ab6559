"""How suspicious each given label is: a left-out ridge, the neighbours, a trained model.

Shapes: N train samples, M others, D features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from checks.labels import leave_one_out
from checks.labels.leave_one_out import Floats, Spectrum
from checks.metrics.similarity import nearest

Ints = npt.NDArray[np.int64]
AXES_MAX = 128
TEMPERATURES = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
NEIGHBOUR_WEIGHT = 0.5
TINY = np.float32(1e-9)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What does not depend on the given labels of the samples judged; N samples, K classes.

    prior: shape (N, K) or None, out-of-sample class scores from a trained model.
    own: shape (N,), place among the references or -1. references: places of the references.
    """

    class_count: int
    spectrum: Spectrum
    prior: Floats | None
    neighbours: Ints
    references: Ints
    penalty: float
    temperature: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One value for each sample: suspicion 0..1, the parts of it, and what is proposed instead.

    doubt: 1 - p(given) by the left-out model. against: share of neighbours that disagree.
    disbelief: 1 - p(given) by the trained model, or None. flaggable: neither the model nor the
    neighbours' plurality gives the label that is given. surprised: the models' first choice is
    not the given label. confidence: log odds of its first choice against the second.
    """

    suspicion: npt.NDArray[np.float64]
    doubt: Floats
    against: Floats
    disbelief: Floats | None
    proposed: Ints
    surprised: npt.NDArray[np.bool_]
    flaggable: npt.NDArray[np.bool_]
    confidence: npt.NDArray[np.float64]
    chances: Floats

    def join(self, other: Verdict) -> Verdict:
        """Return both, one after the other."""
        both = None
        if self.disbelief is not None and other.disbelief is not None:
            both = np.concatenate([self.disbelief, other.disbelief])
        names = (
            "suspicion", "doubt", "against", "proposed", "surprised", "flaggable", "confidence",
            "chances",
        )  # fmt: skip
        parts = {n: np.concatenate([getattr(self, n), getattr(other, n)]) for n in names}
        return Verdict(disbelief=both, **parts)


def gather(
    matrix: Floats, labels: Ints, class_count: int, *, prior: Floats | None = None,
    neighbour_count: int = 50, reference_count: int = 10_000, seed: int = 0,
) -> Evidence:  # fmt: skip
    """Do all that a change of labels need not repeat: axes, penalty, temperature, neighbours.

    Args:
        matrix: shape (N, D), features of the train samples.
        labels: shape (N,), 0..class_count - 1.
        class_count: K.
        prior: shape (N, K), a trained model's out-of-sample class scores.
        neighbour_count: at most; an eighth of the samples where there are few.
        reference_count: neighbours are looked for among this many drawn samples at most.
        seed: of the draw.
    """
    spectrum = leave_one_out.decompose(matrix)
    targets = np.eye(class_count, dtype=np.float32)[labels]
    penalty = leave_one_out.choose_penalty(spectrum, targets)
    left_out = leave_one_out.predict_left_out(spectrum, targets, penalty)
    losses = [
        -np.log(_given(_softmax(left_out * heat), labels) + TINY).mean(dtype=np.float64)
        for heat in TEMPERATURES
    ]
    count = len(labels)
    drawn = np.random.default_rng(seed).permutation(count)[:reference_count]
    references = np.sort(drawn).astype(np.int64)
    own = np.full(count, -1, np.int64)
    own[references] = np.arange(references.size)
    points = _directions(spectrum, spectrum.rows)
    near = min(neighbour_count, max(1, count // 8), references.size - 1)
    neighbours, _ = nearest(points, points[references], own, near)
    best = TEMPERATURES[int(np.argmin(losses))]
    return Evidence(class_count, spectrum, prior, neighbours, references, penalty, best)


def _directions(spectrum: Spectrum, rows: Floats) -> Floats:
    """Half-whitened unit vectors of the leading axes: cosine neighbours."""
    variance = spectrum.eigenvalues[:AXES_MAX] / len(spectrum.rows)
    scale = np.power(variance + 1e-3 * variance.max() + 1e-12, -0.25)
    points = rows[:, :AXES_MAX] * scale.astype(np.float32)
    lengths = np.linalg.norm(points, axis=1, keepdims=True) + np.float32(1e-12)
    directions: Floats = points / lengths
    return directions


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: Floats = raised / raised.sum(axis=1, keepdims=True)
    return chances


def _given(table: Floats, labels: Ints) -> Floats:
    picked: Floats = table[np.arange(len(labels)), labels]
    return picked


def judge(evidence: Evidence, labels: Ints) -> Verdict:
    """Judge the train samples, each by a model and neighbours that leave it out."""
    targets = np.eye(evidence.class_count, dtype=np.float32)[labels]
    scores = leave_one_out.predict_left_out(evidence.spectrum, targets, evidence.penalty)
    votes = _count_votes(evidence.neighbours, labels[evidence.references], evidence.class_count)
    return _weigh(scores * evidence.temperature, votes, evidence.prior, labels, None)


def judge_others(
    evidence: Evidence, labels: Ints, *,
    matrix: Floats, given: Ints, prior: Floats | None, judged: Verdict,
) -> Verdict:  # fmt: skip
    """Judge samples outside train by a model and neighbours from train alone.

    Args:
        evidence: of the train samples.
        labels: shape (N,), of the train samples.
        matrix: shape (M, D), features of the others.
        given: shape (M,), labels of the others.
        prior: shape (M, K) or None.
        judged: the train samples' verdict; the others are ranked within it.
    """
    targets = np.eye(evidence.class_count, dtype=np.float32)[labels]
    mean, weights = leave_one_out.fit(evidence.spectrum, targets, evidence.penalty)
    points = _directions(evidence.spectrum, evidence.spectrum.rows[evidence.references])
    held_rows = evidence.spectrum.project(matrix)
    nobody = np.full(len(given), -1, np.int64)
    queries = _directions(evidence.spectrum, held_rows)
    neighbours, _ = nearest(queries, points, nobody, evidence.neighbours.shape[1])
    votes = _count_votes(neighbours, labels[evidence.references], evidence.class_count)
    logits = (mean + held_rows @ weights) * np.float32(evidence.temperature)
    return _weigh(logits.astype(np.float32), votes, prior, given, judged)


def _count_votes(neighbours: Ints, labels: Ints, class_count: int) -> Floats:
    """Share of each class among the neighbours: (N, K)."""
    cells = np.arange(len(neighbours))[:, None] * class_count + labels[neighbours]
    counts = np.bincount(cells.ravel(), minlength=len(neighbours) * class_count)
    shares: Floats = (counts.reshape(-1, class_count) / neighbours.shape[1]).astype(np.float32)
    return shares


def _weigh(
    logits: Floats, votes: Floats, prior: Floats | None, labels: Ints, among: Verdict | None
) -> Verdict:
    """Average the ranks, taken within `among` where that is given."""
    chances = _softmax(logits)
    doubt, against = 1 - _given(chances, labels), 1 - _given(votes, labels)
    total = _rank(doubt, among.doubt if among else doubt)
    total = total + NEIGHBOUR_WEIGHT * _rank(against, among.against if among else against)
    weight, disbelief, belief = 1 + NEIGHBOUR_WEIGHT, None, chances
    if prior is not None:
        disbelief, belief = 1 - _given(prior, labels), ((chances + prior) / 2).astype(np.float32)
        crowd = disbelief if among is None or among.disbelief is None else among.disbelief
        total, weight = total + _rank(disbelief, crowd), weight + 1.0
    favourite = belief.argmax(axis=1).astype(np.int64)
    first, second = np.sort(belief, axis=1)[:, :-3:-1].T + TINY
    plural = votes.max(axis=1) > _given(votes, labels)
    return Verdict(
        suspicion=(total / weight).round(9), doubt=doubt, against=against, disbelief=disbelief,
        proposed=favourite, surprised=favourite != labels,
        flaggable=(favourite != labels) & plural,
        confidence=np.log(first.astype(np.float64) / second),
        chances=_softmax(np.log(belief + TINY) + 0.5 * np.log(votes + np.float32(0.02))),
    )  # fmt: skip


def _rank(values: Floats, crowd: Floats) -> npt.NDArray[np.float64]:
    """Middle rank of each value within the crowd, 0..1; equal values get equal ranks."""
    ordered = np.sort(crowd)
    low = np.searchsorted(ordered, values, side="left")
    return (low + np.searchsorted(ordered, values, side="right")) / (2 * max(1, ordered.size))
