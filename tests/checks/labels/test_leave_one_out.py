"""The closed form against leaving each sample out for real."""

from __future__ import annotations

import numpy as np

from checks.labels.leave_one_out import decompose, fit, predict_left_out


def test_left_out_equals_refitting() -> None:
    """The closed form gives what refitting without each sample gives."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((40, 6)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 40)]
    spectrum = decompose(features)
    left_out = predict_left_out(spectrum, targets, 2.0)
    rows = spectrum.rows.astype(np.float64)
    for one in range(40):
        rest = np.arange(40) != one
        x, y = rows[rest], targets[rest].astype(np.float64)
        shift, mean = x.mean(axis=0), y.mean(axis=0)
        x = x - shift
        weights = np.linalg.solve(x.T @ x + 2.0 * np.eye(6), x.T @ (y - mean))
        np.testing.assert_allclose(left_out[one], mean + (rows[one] - shift) @ weights, atol=1e-3)


def test_more_features_than_samples() -> None:
    """A wide matrix with flat, missing and infinite columns gives finite predictions."""
    features = np.random.default_rng(1).standard_normal((12, 30)).astype(np.float32)
    features[:, 3], features[2, 4], features[5, 5] = 1.0, np.nan, np.inf
    features[:, 6] = np.nan
    targets = np.eye(2, dtype=np.float32)[np.arange(12) % 2]
    assert np.isfinite(predict_left_out(decompose(features), targets, 0.5)).all()


def test_projection_is_consistent() -> None:
    """Projecting the training features again gives the rows of the spectrum."""
    features = np.random.default_rng(2).standard_normal((30, 4)).astype(np.float32)
    spectrum = decompose(features)
    np.testing.assert_allclose(spectrum.project(features), spectrum.rows, atol=1e-4)
    mean, weights = fit(spectrum, np.ones((30, 1), np.float32), 1.0)
    np.testing.assert_allclose(mean + spectrum.rows @ weights, 1.0, atol=1e-5)
