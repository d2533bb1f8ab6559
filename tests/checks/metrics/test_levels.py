import math
from collections.abc import Sequence

import numpy as np
import pytest

from checks.metrics.levels import LEVEL_METRICS, PERCENTS, describe_levels

RNG = np.random.default_rng(5)
HISTOGRAMS = {
    "one level": np.eye(256, dtype=np.int64)[200] * 17,
    "two levels": np.bincount([0, 0, 255, 255], minlength=256),
    "all levels": RNG.integers(0, 1000, 256),
    "25 million pixels": RNG.integers(90_000, 110_000, 256),
}


def describe(counts: Sequence[int], sums: Sequence[int]) -> dict[str, float]:
    """Return LEVEL_METRICS by name."""
    out = np.empty((1, len(LEVEL_METRICS)))
    describe_levels(np.array([[*counts, *sums, 0, 0, 0, 0]], np.int64), out)
    return dict(zip(LEVEL_METRICS, out[0].tolist(), strict=True))


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_levels_equal_numpy(name: str) -> None:
    """Mean, deviation, percentiles, shares and entropy equal numpy's on the spread-out pixels."""
    counts = HISTOGRAMS[name]
    found = describe(counts.tolist(), [0] * 5)
    n, levels = counts.sum(), np.arange(256)
    mean = (counts * levels).sum() / n
    shares = counts[counts > 0] / n
    expected = {
        "luma_mean": mean / 255,
        "luma_std": math.sqrt((counts * (levels - mean) ** 2).sum() / n) / 255,
        "clip_low_frac": counts[:3].sum() / n, "clip_high_frac": counts[253:].sum() / n,
        "midtone_frac": counts[64:192].sum() / n, "entropy_bits": -(shares * np.log2(shares)).sum(),
        "colourfulness": 0.0, "coloured_frac": 0.0,
    }  # fmt: skip
    for percent in PERCENTS:
        place = np.searchsorted(counts.cumsum() * 100, percent * n)
        expected[f"luma_p{percent:02d}"] = place / 255
    assert set(found) == set(expected)
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value, abs=1e-12)


def test_colourfulness_is_hasler_and_suesstrunks() -> None:
    """Sums of a random picture give the colourfulness of its pixels."""
    red, green, blue = RNG.integers(0, 256, (3, 1000)).astype(np.float64)
    rg, yb = red - green, (red + green) / 2 - blue
    sums = [int(rg.sum()), int((rg**2).sum()), int(2 * yb.sum()), int(4 * (yb**2).sum()), 700]
    found = describe([1000, *[0] * 255], sums)
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert found["colourfulness"] == pytest.approx(expected)
    assert found["coloured_frac"] == 0.7
