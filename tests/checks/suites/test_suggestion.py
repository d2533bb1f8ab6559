"""Which rules a table bears out, on small tables of which the truth is known."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from checks.suites.suggestion import look_over, suggest
from checks.suites.suggestion_odds import foresee
from checks.suites.suggestion_rule import Lookup, Proposal, Rule, Suggestion, weigh

ROWS = 2_000
SEED = 20261128


def suggest_for(columns: dict[str, Any], **options: Any) -> Suggestion:
    """The suggestion for a table."""
    return suggest(look_over(pl.LazyFrame(columns, strict=False)), **options)


def rules_of(cells: Any) -> dict[str, Any]:
    """What the words of a column's rules are told; the column stands beside a free text."""
    told = suggest_for({"x": cells})
    return {rule.proposal.word: rule.proposal.value for rule in told.of("x")}


def wide(columns: dict[str, Any], word: str) -> list[Rule]:
    """The rules of one word that read several columns."""
    return [rule for rule in suggest_for(columns).wide if rule.proposal.word == word]


def pick(values: list[Any], rows: int = ROWS, seed: int = SEED) -> list[Any]:
    """Values drawn with equal odds; another seed gives another order."""
    return [values[i] for i in np.random.default_rng(seed).integers(0, len(values), rows)]


def test_complete_and_nearly_complete() -> None:
    """No null in 2,000 rows allows none; 5 % allow little more, and half or more say nothing."""
    none, some, most = (
        suggest_for({"x": [None if i < gaps else i % 7 for i in range(ROWS)]})
        for gaps in (0, 100, 1_200)
    )
    tolerances = [[r.tolerance for r in one.of("x") if r.proposal.word == "not_null"]
                  for one in (none, some, most)]  # fmt: skip
    assert tolerances[0] == [0.0]
    assert 0.05 < tolerances[1][0] < 0.075
    assert tolerances[2] == []


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        ([str(i * 7 % 90) for i in range(ROWS)], "Int64"),
        ([f"{i / 8}" for i in range(ROWS)], "Float64"),
        ([f"2020-01-{1 + i % 28:02}" for i in range(ROWS)], "Date"),
        ([f"2020-01-{1 + i % 28:02}T10:{i % 60:02}:00" for i in range(ROWS)],
         "Datetime(time_unit='us', time_zone=None)"),
        (["true", "false"] * 1_000, "Boolean"),
    ],
)  # fmt: skip
def test_numbers_and_times_stored_as_text(cells: list[str], dtype: str) -> None:
    """Text that is all numbers, times or truth values is to be read as these."""
    assert str(rules_of(cells)["dtype"]) == dtype


@pytest.mark.parametrize(
    ("cells", "pattern"),
    [
        ([f"{i:05}" for i in range(ROWS)], r"^\d{5}$"),
        ([f"{i % 90 + 10}.5 oz" for i in range(ROWS)], r"^[-+]?\d+(?:\.\d+)? oz$"),
        ([f"AB-{i + 1000}x" for i in range(ROWS)], r"^AB-\d{4}x$"),
        ([f"{i % 24}:{i % 60:02}:{i % 7}{i % 9}" for i in range(ROWS)], r"^\d{1,2}:\d{2}:\d{2}$"),
        ([f"{i * 2654435761 % 2**32:08x}" for i in range(ROWS)], r"^[0-9a-f]{8}$"),
        ([f"({i % 3}) [{i}]" for i in range(ROWS)], r"^\(\d\) \[\d{1,4}\]$"),
        ([f"{'äöü'[i % 3] * (1 + i % 9)} {i}" for i in range(ROWS)],
         r"^[^\W\d_]{1,9} \d{1,4}$"),
    ],
)  # fmt: skip
def test_patterns_and_units(cells: list[str], pattern: str) -> None:
    """Codes, units and clocks keep their shape; leading zeros make no number."""
    rules = rules_of(cells)
    assert rules["str_matches"] == pattern
    assert "dtype" not in rules


def test_ends_by_nature_and_margins() -> None:
    """A range that ends in many rows ends there; else a margin is left; errors stay outside."""
    assert rules_of(pick(list(range(1, 13))))["le"] == 12
    steep = [round(float(v), 3) for v in np.random.default_rng(SEED).exponential(10, ROWS)]
    limits = rules_of(steep)
    assert limits["ge"] == 0
    assert 1.2 * max(steep) < limits["le"] < 2 * max(steep)
    ages = [*pick(list(range(18, 66))), *[999] * 4]
    assert rules_of(ages)["le"] < 130
    assert rules_of([*pick(list(range(18, 66))), *[-1] * 4])["ge"] == 0
    years = rules_of(pick(list(range(1990, 2026))))
    assert years["ge"] < 1990
    assert 2025 < years["le"] < 2060


def test_the_exact_extremes_are_no_limits() -> None:
    """Deequ's HasMin and HasMax fail on every other batch: normal numbers get other limits."""
    cells = np.random.default_rng(SEED).normal(0, 1, ROWS).tolist()
    limits = rules_of(cells)
    assert limits["ge"] < min(cells)
    assert limits["le"] > max(cells)


def test_numbers_without_end() -> None:
    """NaN, infinity and the largest floats give rules that can be written, or none."""
    cells = [1e308, -1e308, float("inf"), float("nan"), 0.0] * 400
    for value in rules_of(cells).values():
        assert value is None or np.isfinite(value)


def test_categories() -> None:
    """All values are listed but typos, placeholders and blanks; rare new ones are expected."""
    cells = [*["red", "green", "blue"] * 600, "gren", "N/A", " red"]
    (rule,) = [r for r in suggest_for({"x": cells}).of("x") if r.proposal.word == "isin"]
    assert rule.proposal.value == ("blue", "green", "red")
    assert rule.failures == 3
    tail = [*["red", "green"] * 900, *[f"tint{chr(97 + i)}" for i in range(10) for _ in range(2)]]
    assert len(rules_of(tail)["isin"]) == 12
    rare = [*["red", "green"] * 900, *(f"tone {chr(97 + i % 26)}{chr(97 + i // 26)}"
                                       for i in range(120))]  # fmt: skip
    (rule,) = [r for r in suggest_for({"x": rare}).of("x") if r.proposal.word == "isin"]
    assert rule.proposal.value == ("green", "red")
    assert 0.0625 < rule.tolerance < 0.09


def test_many_values_are_a_lookup() -> None:
    """More than 100 values are a table of their own, not a list that nobody reads."""
    told = suggest_for({"town": pick([f"town {chr(97 + i % 26)}{chr(97 + i // 26)}"
                                      for i in range(130)], 6_000)})  # fmt: skip
    (lookup,) = told.lookups
    assert lookup.frame.height == 130
    assert told.wide[0].proposal.word == "foreign_key"


def test_placeholders() -> None:
    """Words for a gap are forbidden where none stand, and beyond their share where some do."""
    words = ["alpha beta", "gamma", "delta epsilon zeta", "eta-theta", "Iota (kappa)"]
    text = [f"{a} {b}" for a, b in zip(pick(words), map(hash, range(ROWS)), strict=True)]
    free = [f"{t} {'!' * (i % 11)}x{i}" for i, t in enumerate(text)]
    assert "N/A" in rules_of(free)["notin"]
    (rule,) = [r for r in suggest_for({"x": [*["a", "b"] * 950, *["?"] * 100]}).of("x")
               if r.proposal.word == "notin"]  # fmt: skip
    assert rule.failures == 100
    assert 0.05 < rule.tolerance < 0.07


def test_keys() -> None:
    """A unique column is a key, and so is the pair that alone tells all rows apart."""
    assert "unique" in rules_of([f"K{i * 7919 % 9973:05}" for i in range(ROWS)])
    assert "unique" not in rules_of(pick([f"K{i:05}" for i in range(300)]))
    grid = {"shop": [i // 40 for i in range(ROWS)], "day": [i % 40 for i in range(ROWS)]}
    (rule,) = wide(grid, "unique")
    assert rule.proposal.columns == ("shop", "day")


def test_dependencies() -> None:
    """What one column fixes of another is implied, looked up, or compared within the table."""
    few = pick(["north", "south", "west"])
    rules = wide(
        {"side": few, "zone": [len(s) * 10 for s in few], "n": pick(["a", "b"], seed=1)}, "implies"
    )
    assert len(rules) in (2, 3)
    many = pick([f"town {chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(60)])
    towns = {
        "town": many,
        "county": [f"county {t[5]}" for t in many],
        "n": pick(["a", "b"], seed=1),
    }
    (key,) = wide(towns, "foreign_key")
    assert isinstance(key.proposal.value, Lookup)
    assert key.proposal.columns == ("town", "county")
    numbers = (np.random.default_rng(SEED).zipf(1.3, 6_000) % 3_000).tolist()
    names = {"n": numbers, "name": [f"maker {n * 7919 % 211}" for n in numbers]}
    (rule,) = wide(names, "fixes")
    assert rule.failures == 0


def test_joined_columns_and_gaps() -> None:
    """A column that joins two others is told so; a gap that another column tells is implied."""
    left, right = pick(["al", "ak", "ca"]), pick(["x-1", "x-2", "y-7", "z-3"], seed=1)
    both = [f"{a}_{b}" for a, b in zip(left, right, strict=True)]
    (rule,) = wide({"a": left, "b": right, "c": both}, "joins")
    assert (rule.proposal.columns, rule.proposal.value) == (("a", "b", "c"), "_")
    state = pick(["on", "off"])
    end = [None if s == "on" else i for i, s in enumerate(state)]
    told = wide({"state": state, "end": end}, "implies")
    assert {str(r.proposal.value["then"]) for r in told} == {
        "{'column': 'end', 'is_null': True}", "{'column': 'end', 'not_null': True}"}  # fmt: skip


def test_time_that_never_falls() -> None:
    """Rows in the order of a time are told so, rows in any other order are not."""
    times = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(ROWS)]  # noqa: DTZ001
    assert "never_falls" in rules_of(times)
    assert "never_falls" not in rules_of(
        [times[i] for i in np.random.default_rng(SEED).permutation(ROWS)]
    )


def test_few_rows_give_no_rules() -> None:
    """Below 50 rows only the stored types are told, and the suggestion says why."""
    told = suggest_for({"x": ["1"] * 49})
    assert (told.rules, str(told.types["x"])) == ((), "String")
    assert "too few" in told.left_out[0]


def test_smaller_batches_need_wider_tolerances() -> None:
    """The tolerance is for batches of the size that is asked for."""
    cells = {"x": [None if i % 20 == 0 else i % 7 for i in range(ROWS)]}
    small, large = (
        next(r for r in suggest_for(cells, batch_rows=n).of("x") if r.proposal.word == "not_null")
        for n in (200, 200_000)
    )
    assert small.tolerance > large.tolerance > 0.05


def test_types_that_are_only_named() -> None:
    """Nested and other types are told as they are; the suggestion counts their gaps."""
    told = suggest_for({"list": [[1], None] * 30, "struct": [{"a": 1}] * 60,
                        "nothing": [None] * 60})  # fmt: skip
    assert [str(t).split("(")[0] for t in told.types.values()] == [
        "List", "Struct", "Null"]  # fmt: skip
    assert {r.proposal.word for r in told.rules} == {"not_null"}


def test_a_rule_that_half_of_the_rows_break_is_none() -> None:
    """A proposal becomes a rule only where the rows bear it out and are enough."""
    one = Proposal(("x",), "ge", 0)
    assert weigh(one, 0, 20, 20) is None
    assert weigh(one, 600, 1_000, 1_000) is None
    assert weigh(one, 0, 1_000, 1_000) is not None


def test_false_alarms_are_as_foretold() -> None:
    """Of pairs of batches drawn with one share, as many break the tolerance as was foretold."""
    share, rows, batch, drawn = 0.03, 3_000, 1_000, 4_000
    rng = np.random.default_rng(SEED)
    failures, later = rng.binomial(rows, share, drawn), rng.binomial(batch, share, drawn)
    alarms, foretold = 0, 0.0
    for k, n in zip(failures.tolist(), later.tolist(), strict=True):
        rule = weigh(Proposal(("x",), "not_null"), k, rows, batch)
        assert rule is not None
        alarms += n / batch > rule.tolerance
        foretold += rule.false_alarm
    assert foretold < 0.01 * drawn
    assert alarms < foretold + 4 * foretold**0.5


def test_chances_end_at_all_rows() -> None:
    """No batch has more broken rows than it has rows, and none fewer than none."""
    ahead = foresee(500, 1_000, 10, may_never=False)
    assert ahead.chance(1.0) == 0.0
    assert ahead.chance(0.0) > 0.9
    assert foresee(10**6, 2 * 10**6, 10**8, may_never=False).beyond.size < 10**6
