"""How doubtful each label is by the dynamics of a training run: one value for each sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.labels.algebra import rank_within

Floats = npt.NDArray[np.float64]
SIGNALS = ("margin_mean", "margin_final")


def doubt_of_dynamics(dynamics: pl.DataFrame, sample_ids: pl.Series) -> Floats:
    """Return the average rank of two margins: 0, learnt at once, to 1, never come to terms with.

    The mean logit margin over the run (AUM) and the last one err differently: a wrong label that
    the network came to know by heart has a good last margin, a hard one learnt late a bad mean.

    Args:
        dynamics: `checks.core.tables.Dynamics`; samples of no interest may be among them.
        sample_ids: (N,) text, each once; the value is a rank among those that have both margins.

    Returns:
        Shape (N,), middle ranks over 0..1, equal margins alike, rounded to 9 digits; NaN for a
        sample without margins, which has no place in the order.

    Source: Pickler et al. 2025, arXiv 2510.16211: in-sample logit margins, averaged over the run,
    are the best of the signals that they compare; Pleiss et al. 2020, arXiv 2001.10528 (AUM).

    >>> table = pl.DataFrame(
    ...     {"sample_id": ["a", "b"], "margin_mean": [4.0, -1.0], "margin_final": [5.0, 0.5]}
    ... )
    >>> doubt_of_dynamics(table, pl.Series(["b", "a", "new"])).tolist()
    [0.75, 0.25, nan]
    """
    asked = pl.DataFrame({"sample_id": sample_ids})
    found = asked.join(dynamics, on="sample_id", how="left", maintain_order="left")
    margins = found.select(pl.col(SIGNALS).cast(pl.Float64).fill_null(np.nan)).to_numpy()
    known = np.isfinite(margins).all(axis=1)
    doubt = np.full(len(margins), np.nan)
    if known.any():
        ranks = [rank_within(-column, -column) for column in margins[known].T]
        doubt[known] = np.mean(ranks, axis=0).round(9)
    return doubt
