"""From the mask of broken rows to counts by rule, row reasons and findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from checks.core.cells import FINDING_SCHEMA
from checks.core.cells import KEY as FINDING_KEY
from checks.suites.contract_cells import cell
from checks.suites.contract_mask import WORDS_PATTERN, has_bit
from checks.suites.contract_rules import Rule

ID_PREFIX = "contract:"


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How one rule fared. fraction: failures over rows, 0..1; passed: it is within `tolerance`."""

    check_id: str
    column: str | None
    severity: str
    failures: int
    rows: int
    fraction: float
    tolerance: float
    passed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What a contract says of a table.

    mask: the columns that name a row, then the words mask_0, ... (UInt64), bit i for rule i; one
    row for each that breaks a rule, also a rule within its tolerance, sorted by name. counts: one
    for each rule, in the order of the bits. scans: how often the table was read.
    """

    mask: pl.DataFrame
    counts: tuple[RuleCount, ...]
    scans: int

    def list_reasons(self) -> pl.DataFrame:
        """Return the columns that name a row, check_id, column: one row for each broken rule."""
        keys = pl.exclude(WORDS_PATTERN)
        parts = [
            self.mask.filter(has_bit(i)).select(
                keys, check_id=pl.lit(count.check_id), column=pl.lit(count.column, pl.String)
            )
            for i, count in enumerate(self.counts)
            if count.failures
        ]
        nothing = self.mask.clear().select(keys, pl.lit("").alias("check_id"),
                                           pl.lit("").alias("column"))  # fmt: skip
        return pl.concat([nothing, *parts])


def count_failures(mask: pl.DataFrame, rules: Sequence[Rule], rows: int) -> tuple[RuleCount, ...]:
    """Return how each of the `rules` fared in a table of `rows` rows."""
    failures = mask.select(has_bit(i).sum().alias(str(i)) for i in range(len(rules)))
    told = failures.row(0) if rules else ()
    found = []
    for rule, failed in zip(rules, told, strict=True):
        share, own = failed / rows if rows else 0.0, rule.settings
        found.append(RuleCount(f"{ID_PREFIX}{rule.name}", rule.column, own.severity, failed, rows,
                               share, own.tolerance, share <= own.tolerance))  # fmt: skip
    return tuple(found)


def list_findings(
    mask: pl.DataFrame, rules: Sequence[Rule], counts: Sequence[RuleCount]
) -> pl.DataFrame:
    """Return tables.Findings of every rule that is beyond its tolerance, sorted by key.

    Args:
        mask: sample_id, the words, and the cells of columns whose number a finding tells.
        rules: in the order of the bits.
        counts: of the same rules.

    Where two rules of one name judge a column, a cell is found once, by the first.
    """
    parts = [
        _describe(mask.filter(has_bit(i)), rule, count)
        for i, (rule, count) in enumerate(zip(rules, counts, strict=True))
        if not count.passed
    ]
    found = pl.concat([pl.DataFrame(schema=FINDING_SCHEMA), *parts])
    return found.unique(FINDING_KEY, keep="first", maintain_order=True).sort(FINDING_KEY)


def _describe(broken: pl.DataFrame, rule: Rule, count: RuleCount) -> pl.DataFrame:
    number = cell(str(rule.column)) if rule.reads_number else pl.lit(None)
    allowed = f", in more than {count.tolerance:g} of the rows" if count.tolerance else ""
    return broken.select(
        "sample_id",
        check_id=pl.lit(count.check_id), column=pl.lit(rule.column, pl.String),
        dimension=pl.lit(rule.dimension), severity=pl.lit(count.severity),
        value=number.cast(pl.Float64, strict=False),
        threshold=pl.lit(rule.threshold, pl.Float64), evidence=pl.lit(f"{rule.told}{allowed}"),
        suggestion=pl.lit(None, pl.String),
    )  # fmt: skip


def tell_facts(counts: Sequence[RuleCount]) -> dict[str, dict[str, Any]]:
    """Return, by check id, `rules`: the counts by column, as JSON can hold them.

    A further rule of one name and column stands under the column and its number.
    """
    told: dict[str, dict[str, Any]] = {}
    for count in counts:
        own = {key: value for key, value in asdict(count).items() if key != "check_id"}
        rules = told.setdefault(count.check_id, {"rules": {}})["rules"]
        name = count.column or ""
        twins = sum(one["column"] == count.column for one in rules.values())
        rules[f"{name} ({twins + 1})" if twins else name] = own
    return told
