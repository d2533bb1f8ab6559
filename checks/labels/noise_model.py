"""The likelihood of the given labels: a link from left-out chances to true classes, then noise.

A sample's true class is a with probability pi[i, a], the softmax of its scaled left-out log
chances; its given label is b with probability T[a, b]. Ambiguous samples are the link's part: it
gives way to the given class smoothly, everywhere. What falls on classes that the link rules out is
noise. Shapes: N samples, K classes, P parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from checks.labels.algebra import softmax

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
CHANCE_MIN = 1e-5  # what is rounded away, so that thread counts leave no trace
BIAS_SPREAD, POWER_SPREAD, BLEND_SPREAD, PAIR_SPREAD = 0.5, 0.3, 1.0, 0.7  # prior deviations
LOG_RATE_BOUNDS = (-12.0, 3.0)


@dataclass(frozen=True, slots=True)
class Parts:
    """Parameters by name. slope, power, rate: of margin and noise. bias: (K,). blend, pairs: (K, K).

    pi of class a: softmax(-slope * margin_a ** power + bias_a + (margins @ blend)_a).
    T[a, b]: softmax over b of (rate + log share of label b + pairs[a, b]), against 0 for b = a.
    """  # noqa: E501 - two formulas

    slope: float
    power: float
    rate: float
    bias: Array
    blend: Array
    pairs: Array


@dataclass(frozen=True, slots=True)
class Likelihood:
    """What the fit is about: margins (N, K) >= 0, labels (N,), log shares (K,), what is free."""

    margins: Array
    logs: Array
    unit: float
    labels: Ints
    shares: Array
    blended: bool
    paired: bool

    @property
    def scaled(self) -> Array:
        """What the blend is applied to: (N, K), of unit mean square in the fit."""
        return -self.margins / self.unit

    @property
    def parameter_count(self) -> int:
        """P: three numbers, K biases, and K * K for each free matrix."""
        classes = self.margins.shape[1]
        return int(3 + classes + classes**2 * (self.blended + self.paired))

    def unpack(self, flat: Array) -> Parts:
        """Name the parts of a vector of P parameters."""
        classes = self.margins.shape[1]
        after, square = 3 + classes, classes**2
        zero = np.zeros((classes, classes))
        blend = flat[after : after + square].reshape(zero.shape) if self.blended else zero
        pairs = flat[flat.size - square :].reshape(zero.shape) if self.paired else zero
        return Parts(
            float(np.exp(flat[0])), float(np.exp(flat[1])), float(flat[2]), flat[3:after], blend,
            pairs,
        )  # fmt: skip

    def mix(self, parts: Parts) -> tuple[Array, Array, Array]:
        """Return margin ** power (N, K), the true classes' chances (N, K), and T (K, K)."""
        bent = np.exp(parts.power * self.logs)
        logits = parts.bias - parts.slope * bent
        if self.blended:
            logits += self.scaled @ parts.blend
        odds = parts.rate + self.shares + parts.pairs
        np.fill_diagonal(odds, 0.0)
        return bent, softmax(logits), softmax(odds)

    def posterior(self, true: Array, noise: Array) -> tuple[Array, Array]:
        """Return P(true class | sample, given label), (N, K), and the labels' likelihood (N,)."""
        joint = true * noise.T[self.labels]
        total = joint.sum(axis=1)
        return joint / total[:, None], total

    def loss(self, flat: Array) -> tuple[float, Array]:
        """Negative log posterior of the parameters, and its gradient (P,)."""
        parts = self.unpack(flat)
        bent, true, noise = self.mix(parts)
        held, total = self.posterior(true, noise)
        pull = held - true
        gradient = np.empty_like(flat)
        slid = pull * bent
        gradient[0] = parts.slope * slid.sum()
        gradient[1] = parts.slope * parts.power * (slid * self.logs).sum()
        gradient[3 : 3 + noise.shape[0]] = -pull.sum(axis=0)
        moved = self.moves(held, noise)
        gradient[2] = -moved.sum()
        after, square = 3 + noise.shape[0], noise.size
        if self.blended:
            gradient[after : after + square] = -(self.scaled.T @ pull).ravel()
        if self.paired:
            gradient[flat.size - square :] = -moved.ravel()
        weight = self.prior_weight()
        loss = -np.log(total).sum() + 0.5 * (weight * flat**2).sum()
        return float(loss), gradient + weight * flat

    def moves(self, held: Array, noise: Array) -> Array:
        """Gradient of the log likelihood by the log odds of each pair, (K, K)."""
        joint = count_joint(held, self.labels)
        moved: Array = joint - joint.sum(axis=1, keepdims=True) * noise
        np.fill_diagonal(moved, 0.0)
        return moved

    def prior_weight(self) -> Array:
        """Inverse variances of the parameters, (P,); slope and rate are free."""
        classes = self.margins.shape[1]
        spreads = [np.array([np.inf, POWER_SPREAD, np.inf]), np.full(classes, BIAS_SPREAD)]
        spreads += [np.full(classes**2, BLEND_SPREAD)] * self.blended
        spreads += [np.full(classes**2, PAIR_SPREAD)] * self.paired
        weights: Array = np.concatenate(spreads) ** -2.0
        return weights

    def information(self, flat: Array) -> Array:
        """Expected curvature at the parameters with the prior's, (P, P): outer products."""
        parts = self.unpack(flat)
        bent, true, noise = self.mix(parts)
        held, _ = self.posterior(true, noise)
        pull, count = held - true, len(true)
        slid = -parts.slope * pull * bent
        left = 1.0 - held[np.arange(count), self.labels] - held @ (1.0 - np.diag(noise))
        columns = [
            slid.sum(axis=1)[:, None], parts.power * (slid * self.logs).sum(axis=1)[:, None],
            left[:, None], pull,
        ]  # fmt: skip
        if self.blended:
            columns.append((self.scaled[:, :, None] * pull[:, None, :]).reshape(count, -1))
        if self.paired:
            moved = -held[:, :, None] * noise
            moved[np.arange(count), :, self.labels] += held
            places = np.arange(noise.shape[0])
            moved[:, places, places] = 0.0
            columns.append(moved.reshape(count, -1))
        slopes = np.concatenate(columns, axis=1)
        outer: Array = slopes.T @ slopes
        return outer + np.diag(self.prior_weight())


def pose(
    chances: npt.NDArray[np.floating], labels: Ints, *,
    blended: bool, paired: bool, like: Likelihood | None = None,
) -> Likelihood:  # fmt: skip
    """Prepare the likelihood of `labels` under left-out `chances`.

    Args:
        chances: shape (N, K), rows sum to 1.
        labels: shape (N,), 0..K - 1.
        blended: whether the link may weigh each class's chance for every other class.
        paired: whether each pair of classes has a noise rate of its own.
        like: whose unit and shares of labels to take, where other samples were fitted on.

    >>> pose(np.array([[0.9, 0.1]]), np.array([1]), blended=False, paired=False).parameter_count
    5
    """
    logs = np.log(np.maximum(np.asarray(chances, np.float64).round(5), CHANCE_MIN))
    margins = logs.max(axis=1, keepdims=True) - logs
    shares = np.bincount(labels, minlength=margins.shape[1]) + 0.5
    unit = float(np.sqrt(np.square(margins).mean())) or 1.0
    return Likelihood(
        margins, np.log(np.maximum(margins, 1e-6)), like.unit if like else unit, labels,
        like.shares if like else np.log(shares / shares.sum()), blended, paired,
    )  # fmt: skip


def count_joint(held: Array, labels: Ints) -> Array:
    """Expected number of samples of each true class (rows) and given label, (K, K).

    >>> count_joint(np.array([[0.25, 0.75]]), np.array([0])).tolist()
    [[0.25, 0.0], [0.75, 0.0]]
    """
    joint = [np.bincount(labels, weights=column, minlength=held.shape[1]) for column in held.T]
    return np.array(joint)
