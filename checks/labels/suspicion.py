"""How suspicious each given label is: a left-out ridge, the neighbours, a trained model.

Shapes: N train samples, M others, D features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from checks.labels import leave_one_out
from checks.labels.algebra import pick, rank_within
from checks.labels.kernel import Space, choose_space
from checks.labels.leave_one_out import Floats, Spectrum
from checks.labels.noise import NoiseModel, fit_noise
from checks.metrics.similarity import draw_references, nearest
from checks.metrics.threads import one_thread

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
TINY = 1e-9
MADE_OF_IT = 0.6  # reliance from which beliefs are the other model, a little mended
FAINT = 0.03  # of the widest column's deviation: what is below is stretched no more


@dataclass(frozen=True, slots=True)
class Evidence:
    """What does not depend on the given labels of the samples judged; N samples, K classes.

    spectrum: of the kernel features. stretch: shape (D,). points: shape (R, D), the references as
    neighbours were looked for: scaled, stretched, of length 1.
    prior: shape (N, K) or None, out-of-sample class scores from a trained model.
    references: places of the samples among which neighbours are looked for. penalty, noise: few
    numbers, fitted to the labels at hand when it was gathered.
    """

    class_count: int
    space: Space
    spectrum: Spectrum
    stretch: Floats
    points: Floats
    prior: Floats | None
    neighbours: Ints
    references: Ints
    penalty: float
    noise: NoiseModel


@dataclass(frozen=True, slots=True)
class Verdict:
    """One value for each sample, and what is proposed instead.

    suspicion: order by doubt, or, as far as the noise falls into look-alikes (focus, 0..1), by
    wrong; `refine` makes the order that is told. doubt: 1 - P(true class is the given one | x).
    against: share of neighbours that disagree. wrong: P(the given label is wrong | x, label).
    flaggable: neither the model nor the neighbours' plurality gives the label that is given.
    chances, beliefs: shape (N, K), left-out class scores of the given and of the true label.
    reliance: how much of the beliefs another model makes, 0..1; None without one. unmended: 1 -
    the given label's share in a mixture of all views, or zeros.
    """

    suspicion: Doubles
    focus: float
    reliance: float | None
    doubt: Floats
    unmended: Floats
    against: Floats
    wrong: Floats
    proposed: Ints
    flaggable: npt.NDArray[np.bool_]
    chances: Floats
    beliefs: Floats

    def refine(self, wrong: Doubles, crowd: tuple[Verdict, Doubles] | None = None) -> Doubles:
        """Return how suspicious each label is, 0..1, shape (N,), by P(wrong) of the noise model.

        Doubt stays the order where another model was heard: the noise model, which mends the
        scores of kernel and neighbours, would take what follows the features for noise between
        classes (6,000 rows of adult with flips that do: average precision .56 in place of .64).

        Args:
            wrong: shape (N,), `checks.labels.noise_matrix.Reading.wrong`.
            crowd: the train samples' verdict and P(wrong), among which others are ranked.
        """
        if self.reliance is not None:
            return self.suspicion
        judged, among = crowd or (self, wrong)
        told = (1 - judged.focus) * rank_within(wrong.round(6), among.round(6))
        told = told + judged.focus * rank_within(self.wrong, judged.wrong)
        return told.round(9)

    def join(self, other: Verdict) -> Verdict:
        """Return both, one after the other."""
        names = ("suspicion", "doubt", "unmended", "against", "wrong", "proposed", "flaggable",
                 "chances", "beliefs")  # fmt: skip
        parts = {n: np.concatenate([getattr(self, n), getattr(other, n)]) for n in names}
        return Verdict(focus=self.focus, reliance=self.reliance, **parts)


def gather(
    matrix: Floats, labels: Ints, class_count: int, *, prior: Floats | None = None,
    neighbour_count: int = 50, reference_count: int = 10_000, seed: int = 0,
) -> Evidence:  # fmt: skip
    """Do all that a change of labels need not repeat: kernel, axes, penalty, neighbours, noise.

    Args:
        matrix: shape (N, D), features of the train samples.
        labels: shape (N,), 0..class_count - 1.
        class_count: K.
        prior: shape (N, K), a trained model's out-of-sample class scores.
        neighbour_count: at most; an eighth of the samples where there are few.
        reference_count: neighbours are looked for among this many drawn samples at most.
        seed: of the draws.
    """
    with one_thread():
        targets = np.eye(class_count, dtype=np.float32)[labels]
        space = choose_space(matrix, targets, seed)
        scaled = space.rescale(matrix)
        spectrum = leave_one_out.decompose(space.lift(scaled), standardise=False)
        penalty, _ = leave_one_out.choose_penalty(spectrum, targets)
        count = len(labels)
        references, own = draw_references(np.arange(count), reference_count, count, seed)
        stretch = _halve(scaled)
        points = _unit(scaled * stretch)
        near = min(neighbour_count, max(1, count // 8), references.size - 1)
        neighbours, _ = nearest(points, points[references], own, near)
        scores = leave_one_out.predict_left_out(spectrum, targets, penalty)
        votes = _count_votes(neighbours, labels[references], class_count)
        noise = fit_noise(scores, votes, labels, prior)
    return Evidence(
        class_count, space, spectrum, stretch, points[references], prior, neighbours, references,
        penalty, noise,
    )  # fmt: skip


def _halve(scaled: Floats) -> Floats:
    """Factors that make the columns half as unequal, (D,): the largest do not drown the rest."""
    spread = scaled.std(axis=0, dtype=np.float64)
    factors: Floats = (1 / np.sqrt(np.maximum(spread, FAINT * spread.max() + TINY))).astype("f4")
    return factors


def _unit(points: Floats) -> Floats:
    """Points of length 1: their distances are those of cosine neighbours."""
    directions: Floats = points / (np.linalg.norm(points, axis=1, keepdims=True) + np.float32(TINY))
    return directions


def judge(evidence: Evidence, labels: Ints) -> Verdict:
    """Judge the train samples, each by a model and neighbours that leave it out."""
    targets = np.eye(evidence.class_count, dtype=np.float32)[labels]
    with one_thread():
        scores = leave_one_out.predict_left_out(evidence.spectrum, targets, evidence.penalty)
        given = labels[evidence.references]
        votes = _count_votes(evidence.neighbours, given, evidence.class_count)
        return _weigh(evidence.noise, scores, votes, evidence.prior, labels, among=None)


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
    with one_thread():
        mean, weights = leave_one_out.fit(evidence.spectrum, targets, evidence.penalty)
        scaled = evidence.space.rescale(matrix)
        rows = evidence.spectrum.project(evidence.space.lift(scaled))
        nobody = np.full(len(given), -1, np.int64)
        queries = _unit(scaled * evidence.stretch)
        neighbours, _ = nearest(queries, evidence.points, nobody, evidence.neighbours.shape[1])
        votes = _count_votes(neighbours, labels[evidence.references], evidence.class_count)
        scores = (mean + rows @ weights).astype(np.float32)
        return _weigh(evidence.noise, scores, votes, prior, given, among=judged)


def _count_votes(neighbours: Ints, labels: Ints, class_count: int) -> Floats:
    """Share of each class among the neighbours: (N, K)."""
    cells = np.arange(len(neighbours))[:, None] * class_count + labels[neighbours]
    counts = np.bincount(cells.ravel(), minlength=len(neighbours) * class_count)
    shares: Floats = (counts.reshape(-1, class_count) / neighbours.shape[1]).astype(np.float32)
    return shares


def _weigh(
    noise: NoiseModel, scores: Floats, votes: Floats, prior: Floats | None, labels: Ints, *,
    among: Verdict | None,
) -> Verdict:  # fmt: skip
    """Average the ranks, taken within `among` where that is given.

    Doubt ranks best where wrong labels may be anything. Where they fall into look-alikes, all of
    a class is in doubt, and only Bayes' rule with the noise matrix tells which given label to
    trust: its weight is the concentration of that matrix. As far as the beliefs are made of
    another model, the mixture of all views that explains the given labels counts instead: mending
    that model costs more than it brings where noise follows features (bench/label_tables.py).
    """
    beliefs = noise.believe(scores, votes, prior)
    doubt, wrong, against = _parts(noise, beliefs, votes, labels)
    focus = noise.concentration(beliefs if among is None else among.beliefs.astype(np.float64))
    total = (1 - focus) * rank_within(doubt, among.doubt if among else doubt)
    total = total + focus * rank_within(wrong, among.wrong if among else wrong)
    reliance, unmended = None, np.zeros(len(labels), np.float32)
    if prior is not None:
        reliance = noise.reliance(scores, votes, prior) if among is None else among.reliance or 0.0
        unmended = (1 - pick(noise.pool(scores, votes, prior), labels)).astype(np.float32)
        share = min(1.0, reliance / MADE_OF_IT)
        own = rank_within(unmended, among.unmended if among else unmended)
        total = (1 - share) * total + share * own
    favourite = beliefs.argmax(axis=1).astype(np.int64)
    chances = beliefs @ noise.matrix
    plural = votes.max(axis=1) > pick(votes, labels)
    return Verdict(
        suspicion=total.round(9), doubt=doubt, against=against, wrong=wrong, proposed=favourite,
        flaggable=(favourite != labels) & plural, focus=focus, reliance=reliance, unmended=unmended,
        chances=chances.astype(np.float32), beliefs=beliefs.astype(np.float32),
    )  # fmt: skip


def _parts(
    noise: NoiseModel, beliefs: Doubles, votes: Floats, labels: Ints
) -> tuple[Floats, Floats, Floats]:
    parts = 1 - pick(beliefs, labels), noise.wrong_chance(beliefs, labels)
    doubt, wrong = (part.astype(np.float32) for part in parts)
    return doubt, wrong, 1 - pick(votes, labels)
