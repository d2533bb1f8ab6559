"""How the given labels came from the true ones: a noise matrix fitted together with the model.

A left-out model of the given labels never grows surer of a class than its labels are right. The
matrix takes up that ceiling, so that what remains is a model of the true labels.
Shapes: N samples, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from checks.labels.algebra import pick, softmax

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
STEPS = 60  # of either round; the ranking stands still well before
ROWS_MAX = 20_000
RIGHT_AT_FIRST = 0.8
SEEN, SEEN_RIGHT = 5.0, 0.9  # labels of a class taken as seen before, share of them right
FEW = 50.0  # wrong labels of a class at which its concentration counts half
LEVEL = 1e-3  # weight of the squared class offsets
VOTE_FLOOR = 0.02  # added to a share of neighbours: one of fifty
VOTES_EVEN = 0.1
MIXED = 200  # steps of EM
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """P(true | x) = softmax(heat * scores + pull * log votes + trust * log prior + offset).

    The given label follows from the true class by the matrix. offset: shape (K,). matrix: shape
    (K, K), rows true, columns given, rows sum to 1. trust: 0 where there was no prior. mixture:
    weights of ridge, votes and prior that explain the given labels best, (3,); empty without one.
    """

    heat: float
    pull: float
    trust: float
    offset: Doubles
    matrix: Doubles
    mixture: Doubles

    def pool(self, scores: Floats, votes: Floats, prior: Floats) -> Doubles:
        """Return P(given class | x) as a mixture of the three, (N, K), as `believe` takes them."""
        return np.tensordot(self.mixture, _shares(self.heat, scores, votes, prior), 1)

    def believe(self, scores: Floats, votes: Floats, prior: Floats | None = None) -> Doubles:
        """Return P(true class | x) without the given label, (N, K).

        Args:
            scores: left-out ridge scores, shape (N, K).
            votes: shares of the neighbours, shape (N, K).
            prior: out-of-sample class scores of another model, shape (N, K), or None.
        """
        logits = self.heat * scores + self.pull * _logs(votes) + self.offset
        return softmax(logits if prior is None else logits + self.trust * _logs(prior))

    def reliance(self, scores: Floats, votes: Floats, prior: Floats | None) -> float:
        """Return how much of what is believed the other model says, 0..1: its part of the spread.

        Args:
            scores: left-out ridge scores, shape (N, K).
            votes: shares of the neighbours, shape (N, K).
            prior: class scores of the other model, shape (N, K), or None.
        """
        if prior is None:
            return 0.0
        parts = (self.heat * scores, self.pull * _logs(votes), self.trust * _logs(prior))
        spread = [float((p - p.mean(axis=1, keepdims=True)).var(dtype=np.float64)) for p in parts]
        return round(spread[2] / max(sum(spread), TINY), 6)

    def concentration(self, beliefs: Doubles) -> float:
        """Return how much wrong labels of a class fall into one other: 0 evenly, 1 all in one.

        A class with few wrong labels counts less: a handful never falls evenly.

        Args:
            beliefs: shape (N, K), for the size of each class.
        """
        count = len(self.matrix)
        if count <= 2:  # noqa: PLR2004 - there is only one other
            return 0.0
        moved = self.matrix * beliefs.mean(axis=0)[:, None] * (1 - np.eye(count))
        rows = moved.sum(axis=1)
        even = 1 / (count - 1)
        share = np.square(moved).sum(axis=1) / np.maximum(np.square(rows), TINY)
        known = rows / (rows + FEW / len(beliefs))
        focus = np.maximum(share - even, 0) / (1 - even) * known
        return float((rows * focus).sum() / max(float(rows.sum()), TINY))

    def wrong_chance(self, beliefs: Doubles, labels: Ints) -> Doubles:
        """Return P(given label is wrong | x, given label) by Bayes' rule, (N,)."""
        right = pick(beliefs, labels) * self.matrix[labels, labels]
        return 1 - right / np.maximum(pick(beliefs @ self.matrix, labels), TINY)


def fit_noise(
    scores: Floats, votes: Floats, labels: Ints, prior: Floats | None = None
) -> NoiseModel:
    """Fit model and noise matrix to the given labels by likelihood; votes join in a second round.

    Args:
        scores: left-out ridge scores, shape (N, K).
        votes: shares of the neighbours, shape (N, K).
        labels: given, shape (N,).
        prior: out-of-sample class scores of another model, shape (N, K); how far they are trusted
            is fitted too.

    Source: the noise layer of Sukhbaatar et al. 2015, arXiv 1406.2080, on left-out scores.

    >>> truth = np.arange(300) % 3
    >>> given = np.where(np.arange(300) % 10 == 0, (truth + 1) % 3, truth)
    >>> clear = np.eye(3, dtype=np.float32)[truth]
    >>> fit_noise(clear, clear, given).matrix.diagonal().round(1).tolist()
    [0.9, 0.9, 0.9]
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - a third of a second

    step = -(-len(labels) // ROWS_MAX)
    parts = [10.0 * scores[::step], _logs(votes[::step])]
    table = np.stack(parts if prior is None else [*parts, _logs(prior[::step])])
    own, count = len(table), scores.shape[1]
    start = np.log(RIGHT_AT_FIRST * (count - 1) / (1 - RIGHT_AT_FIRST)) * np.eye(count)
    now = np.concatenate([[1.0, 0.0, 1.0][:own], np.zeros(count), start.ravel()])
    for held in (True, False):  # with the votes from the start it ends in a worse optimum
        found = minimize(_loss, now, (table, labels[::step], held), "L-BFGS-B", jac=True,
                         options={"maxiter": STEPS})  # fmt: skip
        now = found.x
    matrix = softmax(now[own + count :].reshape(count, count))
    trust = 0.0 if prior is None else float(now[2])
    heat, offset = 10.0 * float(now[0]), now[own : own + count]
    mixture = np.zeros(0)
    if prior is not None:
        views = _shares(heat, scores[::step], votes[::step], prior[::step])
        mixture = _mix(np.stack([pick(one, labels[::step]) for one in views]))
    return NoiseModel(heat, float(now[1]), trust, offset, matrix, mixture)


def _shares(heat: float, scores: Floats, votes: Floats, prior: Floats) -> Doubles:
    """Class shares by the ridge, by the votes, a tenth of them spread evenly, by the prior."""
    even = VOTES_EVEN / votes.shape[1]
    parts = softmax(heat * scores.astype(np.float64)), (votes + even) / (1 + VOTES_EVEN), prior
    return np.stack([part.astype(np.float64) for part in parts])


def _mix(given: Doubles) -> Doubles:
    """Weights of the mixture that believes the given labels most, by EM; given: (3, N)."""
    weights = np.full(len(given), 1 / len(given))
    for _ in range(MIXED):
        shares = weights[:, None] * (given + TINY)
        weights = (shares / shares.sum(axis=0)).mean(axis=1)
    return weights.round(6)


def _loss(now: Doubles, table: Doubles, labels: Ints, held: bool) -> tuple[float, Doubles]:
    """Negative mean log likelihood with what is assumed beforehand, and its gradient."""
    own, size, count = table.shape
    offset, matrix = now[own : own + count], softmax(now[own + count :].reshape(count, count))
    beliefs = softmax(np.tensordot(now[:own], table, 1) + offset)
    likely = np.maximum(pick(beliefs @ matrix, labels), TINY)
    seen = _seen_before(count) / size
    loss = -np.log(likely).mean() - (seen * np.log(np.maximum(matrix, TINY))).sum()
    loss += LEVEL / 2 * np.square(offset).sum()
    pull = -matrix.T[labels] / (likely * size)[:, None]
    logits = beliefs * (pull - (beliefs * pull).sum(axis=1, keepdims=True))
    chosen = np.zeros((size, count))
    chosen[np.arange(size), labels] = -1 / (likely * size)
    cells = matrix * (beliefs.T @ chosen)
    cells = cells - matrix * cells.sum(axis=1, keepdims=True)
    cells += matrix * seen.sum(axis=1, keepdims=True) - seen
    slopes = np.tensordot(table, logits, 2)
    slopes[1] *= not held
    return float(loss), np.concatenate([slopes, logits.sum(axis=0) + LEVEL * offset, cells.ravel()])


def _seen_before(count: int) -> Doubles:
    """What was seen before the data, so that an empty class is not used for another: (K, K)."""
    other = (1 - SEEN_RIGHT) / (count - 1)
    return SEEN * (np.full((count, count), other) + (SEEN_RIGHT - other) * np.eye(count))


def _logs(votes: Floats) -> Doubles:
    return np.log(votes.astype(np.float64) + VOTE_FLOOR)
