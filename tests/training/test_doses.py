from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.arms import Arm, Arms, TrainingData, changed, guard_arm, raw_arm
from training.doses import group_changes, keep_share, name_subsets, rank_reasons, take_surest, unite
from training.errors import TrainingError

SHARES = st.floats(0.01, 0.99)


def _arms(n: int = 90) -> tuple[TrainingData, Arms]:
    rng = np.random.default_rng(3)
    split = np.repeat([0, 1, 2], [n - 20, 10, 10]).astype(np.int8)
    labels = rng.integers(0, 3, n)
    data = TrainingData("table", ("a", "b", "c"), np.arange(n).astype(str), labels, split)
    raw = raw_arm(data)
    keep, weights = raw.keep.copy(), raw.weights.copy()
    keep[:12] = False
    weights[12:20] = 0.5
    cleaned = Arm("cleaned", keep, weights, raw.labels, raw.rows)
    at = np.arange(n - 20)
    groups = {"one": at < 8, "two": (at >= 4) & (at < 16), "three": (at >= 16) & (at < 20)}
    return data, Arms(raw, cleaned, None, groups, rng.permutation(n - 20))


@given(SHARES, SHARES)
def test_a_larger_dose_holds_every_smaller_one(one: float, other: float) -> None:
    """Doses are nested, as large as asked, within what was changed, and never less sure first."""
    _, arms = _arms()
    touched = changed(arms.raw, arms.cleaned)
    assert arms.order is not None
    low, high = (take_surest(arms.order, touched, share) for share in sorted((one, other)))
    assert not (low & ~high).any()
    assert not (high & ~touched).any()
    assert high.sum() == np.ceil(round(max(one, other) * touched.sum(), 9))
    rest = touched & ~high
    assert not rest.any() or arms.order[high].max() < arms.order[rest].min()


@given(SHARES, SHARES, st.integers(0, 50))
def test_parts_of_raw_keep_the_classes(one: float, other: float, seed: int) -> None:
    """A share of raw is that share of every class, at least one sample, and nested in larger."""
    _, arms = _arms()
    labels, keep = arms.raw.labels, arms.raw.keep
    low, high = (keep_share(labels, keep, share, seed) for share in sorted((one, other)))
    assert not (low & ~high).any()
    for label in range(3):
        members = int((labels == label).sum())
        assert high[labels == label].sum() == np.ceil(round(max(one, other) * members, 9))
        assert low[labels == label].sum() >= 1


def test_parts_of_raw_are_drawn_anew_for_each_seed() -> None:
    """Two seeds train on different parts, one seed twice on the same."""
    _, arms = _arms()
    first, again, other = (arms.draw("raw:0.5", seed).keep for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@given(st.text("01", min_size=3, max_size=3))
def test_a_set_of_groups_changes_what_any_of_them_asked_for(bits: str) -> None:
    """Sets run from raw to cleaned, and a sample is changed if one of its groups is in the set."""
    _, arms = _arms()
    drawn = arms.draw(f"set:{bits}", 0)
    expected = np.zeros(70, bool)
    for bit, mask in zip(bits, arms.groups.values(), strict=True):
        expected |= mask & (bit == "1")
    assert np.array_equal(changed(arms.raw, drawn), expected)
    if bits == "111":
        assert np.array_equal(drawn.keep, arms.cleaned.keep)
    if bits.count("1") == 1:
        alone = arms.draw(f"only:{list(arms.groups)[bits.index('1')]}", 0)
        assert np.array_equal(drawn.weights, alone.weights)


def test_every_arm_in_between_can_be_trained_on() -> None:
    """The names that arms offer are those that they draw, and each is a proper arm."""
    data, arms = _arms()
    names = arms.steps_between((0.25, 0.75), (0.5,), subsets=True)
    assert names[:3] == ("dose:0.25", "dose:0.75", "raw:0.5")
    assert len(names) == 3 + 7
    for name in names:
        arm = arms.draw(name, 0)
        assert arm.name == name
        guard_arm(data, arm)
    assert replace(arms, order=None).steps_between((0.5,)) == ()
    assert replace(arms, cleaned=arms.raw).steps_between((0.5,)) == ()


def test_more_groups_than_can_be_trained_are_refused() -> None:
    """Six groups would be 64 arms; a strange set of groups is one clear error."""
    with pytest.raises(TrainingError, match="too many groups"):
        name_subsets(list("abcdef"))
    with pytest.raises(TrainingError, match="no such set"):
        unite({"a": np.zeros(2, bool)}, "10")


def test_the_surest_finding_comes_first() -> None:
    """Severity goes first, then how far beyond its threshold a value is among its own check's."""

    def reason(check: str, observed: float, threshold: float, severity: str) -> dict[str, object]:
        return {"check_id": check, "check_version": 1, "column": None, "rule": "", "severity":
                severity, "observed": observed, "threshold": threshold}  # fmt: skip

    ledger = pl.DataFrame(
        {
            "key": ["a", "b", "c", "d", "e"],
            "reasons": [
                [reason("dark", 0.1, 0.2, "warning")],
                [reason("dark", 0.0, 0.2, "warning"), reason("huge", 210.0, 200.0, "info")],
                [reason("copy", 1.0, 4.0, "error")],
                None,
                [reason("huge", 900.0, 200.0, "info")],
            ],
        }
    )
    order = rank_reasons(ledger, ["e", "d", "c", "b", "a"])
    assert np.argsort(order).tolist() == [2, 3, 4, 0, 1]


def ledger(reasons: dict[str, list[str]]) -> pl.DataFrame:
    """Each key's findings, by check."""
    rows = [{"key": key, "reasons": [{"check_id": one} for one in ids]}
            for key, ids in reasons.items()]  # fmt: skip
    return pl.DataFrame(rows, schema={
        "key": pl.String, "reasons": pl.List(pl.Struct({"check_id": pl.String})),
    })  # fmt: skip


def test_only_checks_that_ask_for_a_change_share_its_effect() -> None:
    """What merely noted a changed sample is no group; the rest that a person changed is one."""
    keys = np.array(["a", "b", "c", "d"])
    told = ledger({"a": ["copy", "note"], "b": ["copy"], "c": ["note"], "d": ["note"]})
    touched = np.array([True, True, False, False])
    groups = group_changes(told, keys, touched, acting=["copy"])
    assert {name: mask.tolist() for name, mask in groups.items()} == {"copy": touched.tolist()}
    assert set(group_changes(told, keys, touched)) == {"copy", "note"}
    by_person = np.array([True, True, True, False])
    groups = group_changes(told, keys, by_person, acting=["copy"])
    assert groups["others"].tolist() == [False, False, True, False]


@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_groups_together_are_the_cleaning(checks: int, key: int) -> None:
    """Of any findings at most five groups come, and all of them together touch all that changed."""
    rng, keys = np.random.default_rng(key), np.arange(30).astype(str)
    names = [f"check{at}" for at in range(checks)]
    told = ledger({one: [name for name in names if rng.random() < 0.3] for one in keys})
    touched = rng.random(30) < 0.6
    groups = group_changes(told, keys, touched, acting=names)
    assert len(groups) <= 5
    united = unite(groups, "1" * len(groups)) if groups else np.zeros(30, bool)
    assert united.tolist() == touched.tolist()
    asked = group_changes(told, keys, touched, {"mine": names[:1], "none": ["stranger"]})
    assert not asked["none"].any()
    assert (asked["mine"] <= touched).all()
