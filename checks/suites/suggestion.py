"""A contract suggested from what a table was found to hold, for a person to review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from checks.core.cells import BATCH_ROWS
from checks.metrics.tabular import count_rows, finish_profile, tally_rows
from checks.metrics.tabular_state import KEY
from checks.suites.contract_cells import convert
from checks.suites.contract_words import ALIASES
from checks.suites.suggestion_columns import REPEATED_MAX, propose_column, wants_counts
from checks.suites.suggestion_count import count_broken, count_flagged, tally
from checks.suites.suggestion_gaps import propose_gaps
from checks.suites.suggestion_names import name_lookup
from checks.suites.suggestion_relations import (
    choose_entities,
    propose_entity,
    propose_joins,
    propose_pair_key,
)
from checks.suites.suggestion_rule import Look, Lookup, Proposal, Rule, Suggestion, weigh
from checks.suites.suggestion_schema import (
    CUSTOM,
    breaks_custom,
    build_contract,
    name_implications,
)
from checks.suites.suggestion_types import choose_type
from checks.suites.suggestion_words import tell_column

ROWS_MIN = 50
RARELY = 0.001
NO_MEANS = (
    "mean and standard deviation: a contract judges rows and the gate's metric table holds no "
    "means; `gristmill baseline approve` and [drift] compare distributions"
)


def look_over(rows: pl.LazyFrame, *, label: str | None = None) -> Look:
    """Return what is known of a table of data columns: two scans, one where nothing depends.

    label: the column that is to be predicted.
    """

    def read() -> Iterator[pl.DataFrame]:
        return rows.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, engine="streaming")

    state = tally_rows(rows.collect_schema(), read())
    return Look(finish_profile(state, label, count_rows(read)), state.sample.drop(KEY), rows)


def suggest(look: Look, *, batch_rows: int | None = None, lookups: str = "values") -> Suggestion:
    """Return the rules that a table bears out, each with its evidence.

    Rules after Deequ's (complete, complete but for a share, type, range of categories, most
    frequent categories, non-negative, unique, least and largest value, length) and placeholder
    words, units and other patterns, blanks at the ends, pairs that are a key, what some columns
    fix of others, gaps that follow another column, time that never falls.

    Args:
        look: the table, its profile and a sample of its rows.
        batch_rows: rows of the batches that the contract will judge, by default as many as the
            table has. Smaller ones need wider tolerances.
        lookups: the folder, below the contract's, of the tables of its foreign keys.

    All rows are read twice, once to list values and once to count the rows that break a rule; in
    between, each key is read by itself. A table of less than 50 rows gives types alone.

    Raises:
        ContractError: a rule does not suit its column.
    """
    profile, names = look.profile, look.profile.columns
    types = {c.name: choose_type(c, look.sample[c.name]) for c in names}
    titles = {c.name: tell_column(c) for c in names}
    rows = profile.row_count
    batch = batch_rows or max(rows, 1)
    bare = Suggestion(rows, batch, types, titles, ())
    if rows < ROWS_MIN:
        stored = {c.name: look.sample[c.name].dtype for c in names}
        told = f"{rows:,} rows are too few for a rule: only the types are told"
        return replace(bare, types=stored, left_out=(told,))
    proposals = _propose(look, types, lookups)
    counts = _count(look, bare, proposals)
    weighed = [
        rule for one, failures in zip(proposals, counts, strict=True)
        if (rule := _weigh(one, failures, rows, batch)) is not None
    ]  # fmt: skip
    sayable, rules = _keep_sayable(weighed, types, look.sample)
    lookups_of = _gather(rules)
    return replace(
        bare, types=sayable, rules=tuple(rules), lookups=lookups_of, left_out=(NO_MEANS,)
    )


def _propose(look: Look, types: Mapping[str, pl.DataType], folder: str) -> list[Proposal]:
    columns = look.profile.columns
    used: set[str] = set()
    joins = list(propose_joins(look.profile))
    whole = {one.columns[-1] for one in joins}
    listed = [c.name for c in columns if c.name not in whole and wants_counts(c, types[c.name])]
    entities = choose_entities(look.profile, types)
    counts = tally(look.rows, [*((name,) for name in listed), *(e.columns for e in entities)])
    singles = {name: counts[i] for i, name in enumerate(listed)}
    found: list[Proposal] = []
    for c in columns:
        values = singles.get(c.name)
        place = name_lookup(folder, (c.name,), used)
        found += propose_column(c, types[c.name], look.sample[c.name], values, place)
    for entity, told in zip(entities, counts[len(listed) :], strict=True):
        found += propose_entity(entity, told, name_lookup(folder, entity.columns, used))
    found += [*joins, *propose_pair_key(columns, look.sample)]
    typed = [convert(pl.col(n), look.sample[n].dtype, dtype) for n, dtype in types.items()]
    return [*found, *propose_gaps(look.sample.select(typed))]


def _count(look: Look, bare: Suggestion, proposals: Sequence[Proposal]) -> list[int | None]:
    """How many rows break each proposal; None where they are too many to go on counting."""
    known: dict[int, int | None] = {}
    for i, one in enumerate(proposals):
        if one.failures is not None:
            known[i] = one.failures
        elif one.word in CUSTOM:
            known[i] = _count_custom(look, bare.types, one)
    open_ones = {i: one for i, one in enumerate(proposals) if i not in known}
    draft = tuple(Rule(one, 0, 0, 1, 0.0, 0.0, "strong") for one in open_ones.values())
    told = count_broken(look.rows, build_contract(replace(bare, rules=draft), Path()))
    counts = {(rule.name, rule.repeats or (rule.column,)): failures for rule, failures in told}
    names = name_implications(draft)
    for i, one in open_ones.items():
        name = next(names) if one.word == "implies" else ALIASES.get(one.word, one.word)
        columns = one.columns[-1:] if one.word == "implies" else one.columns
        known[i] = counts.get((name, columns), 0)  # what no cell can break is not compiled
    return [known[i] for i in range(len(proposals))]


def _count_custom(look: Look, types: Mapping[str, pl.DataType], one: Proposal) -> int | None:
    """Count by the expression that the check in the contract has."""
    stored = look.sample.schema
    read = {n: convert(pl.col(n), stored[n], types[n]).alias(str(i))
            for i, n in enumerate(one.columns)}  # fmt: skip
    cells = {n: pl.col(str(i)) for i, n in enumerate(one.columns)}
    return count_flagged(look.rows.select(read.values()), breaks_custom(one, cells))


def _weigh(proposal: Proposal, failures: int | None, rows: int, batch_rows: int) -> Rule | None:
    often = {"never_falls": RARELY, "unique": REPEATED_MAX}.get(proposal.word, 1.0)
    if failures is None or failures > often * rows:
        return None
    return weigh(proposal, failures, rows, batch_rows)


def _keep_sayable(
    rules: Sequence[Rule], types: Mapping[str, pl.DataType], sample: pl.DataFrame
) -> tuple[dict[str, pl.DataType], list[Rule]]:
    """Take back a type that the rows do not bear out, and what cannot be said without a rule.

    A contract has one word, nullable, for null and NaN, so that neither is judged alone.
    """
    held = {(r.proposal.word, r.proposal.columns[-1]) for r in rules}
    plain = {n: sample[n].dtype for n, t in types.items()
             if t != sample[n].dtype and ("dtype", n) not in held}  # fmt: skip
    gaps = ("not_null", "not_nan")
    open_ones = {n for n, t in types.items() if n in plain or ("not_null", n) not in held
                 or (t.is_float() and ("not_nan", n) not in held)}  # fmt: skip
    kept = [r for r in rules if not plain.keys() & set(r.proposal.columns)
            and not (r.proposal.word in gaps and r.proposal.columns[0] in open_ones)]  # fmt: skip
    return {**types, **plain}, kept


def _gather(rules: Iterable[Rule]) -> tuple[Lookup, ...]:
    return tuple(r.proposal.value for r in rules if isinstance(r.proposal.value, Lookup))
