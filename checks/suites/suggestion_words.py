"""What a suggestion says of a column and of a rule, in words for a person."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterable, Iterator

from checks.metrics.tabular_profile import ColumnProfile
from checks.suites.suggestion_odds import number, percent
from checks.suites.suggestion_rule import Lookup, Rule, Suggestion

VALUE_SHOWN, WIDTH = 40, 100
_GLUE = "\u2007%"


def tell_column(column: ColumnProfile) -> str:
    """Return what a column holds, in a clause.

    >>> from checks.metrics.tabular import profile_table
    >>> import polars as pl
    >>> told = profile_table(pl.LazyFrame({"age": [30, 31, 60]}), label=None)
    >>> tell_column(told.column("age"))
    'number, 3 values from 30 to 60, half of them up to 31'
    """
    if not column.is_plain or not column.distinct_count:
        return f"{column.dtype}, empty" if not column.distinct_count else column.dtype
    about = "" if column.exact else "about "
    count = column.distinct_count
    told = f"{column.kind}, {about}{count:,} {'value' if count == 1 else 'values'}"
    if column.kind == "text" and column.length_max is not None:
        return f"{told} of {column.length_min:,} to {column.length_max:,} characters"
    if column.min is None or column.max is None or column.kind in ("constant", "boolean"):
        return told if column.kind == "identifier" or not column.top else f"{told}{_most(column)}"
    if column.kind == "datetime":
        return f"{told} from {_day(column.min)} to {_day(column.max)}"
    half = f", half of them up to {number(column.quantiles['p50'])}" if column.quantiles else ""
    return f"{told} from {number(column.min)} to {number(column.max)}{half}"


def _most(column: ColumnProfile) -> str:
    value, rows = column.top[0]
    return f", most often {shorten(repr(value))} ({percent(rows / column.row_count)})"


def _day(second: float) -> str:
    try:
        return f"{dt.datetime(1970, 1, 1) + dt.timedelta(seconds=second):%Y-%m-%d}"  # noqa: DTZ001
    except OverflowError:
        return f"{second:.3g} s"


def tell_evidence(rule: Rule) -> str:
    """Return the evidence of a rule, in a clause.

    >>> from checks.suites.suggestion_rule import Proposal
    >>> one = Proposal(("age",), "ge", 0, "17 is the least")
    >>> tell_evidence(Rule(one, 0, 32_561, 32_561, 0.0, 0.0009, "strong"))
    'strong, 0 rows, at most 0.0083 %; false alarms 0.09 %; 17 is the least'
    """
    rows = "1 row" if rule.failures == 1 else f"{rule.failures:,} rows"
    share = f" ({percent(rule.failures / rule.rows)})" if rule.failures else ""
    why = f"; {rule.proposal.why}" if rule.proposal.why else ""
    most, alarm = percent(rule.share_max), percent(rule.false_alarm)
    return f"{rule.strength}, {rows}{share}, at most {most}; false alarms {alarm}{why}"


def comment(rules: Iterable[Rule], indent: int, *, wide: bool = False) -> Iterator[str]:
    """Yield the evidence of rules as lines of a comment; those with the same share one.

    wide: the columns are named too.
    """
    grouped: dict[str, list[str]] = {}
    for rule in rules:
        word, columns = rule.proposal.word, rule.proposal.columns
        name = f"{word} of {', '.join(columns)}" if wide else word
        grouped.setdefault(tell_evidence(rule), []).append(name)
    start = " " * indent + ("# " if wide else "#   ")
    for evidence, words in grouped.items():
        told = make_plain(f"{', '.join(words)}: {evidence}")
        lines = textwrap.wrap(told.replace(" %", _GLUE), WIDTH, initial_indent=start,
                              subsequent_indent=f"{start}  ", break_long_words=False,
                              break_on_hyphens=False)  # fmt: skip
        yield from (line.replace(_GLUE, " %") for line in lines)


def tell_value(rule: Rule) -> str:
    """Return what a rule's word is told, short enough for a table."""
    value, word = rule.proposal.value, rule.proposal.word
    if value is None or word == "fixes":
        return ""
    if isinstance(value, Lookup):
        return shorten(f"{value.frame.height:,} rows of {value.name}")
    if isinstance(value, tuple):
        return shorten(f"{len(value)}: {', '.join(map(str, value))}")
    return shorten(f"{value['if']} -> {value['then']}" if word == "implies" else str(value))


def tell_header(suggestion: Suggestion, source: str) -> list[str]:
    """Return the lines that open a contract: what it is, and how to read it."""
    rules, rows, batch = suggestion.rules, suggestion.rows, suggestion.batch_rows
    alarms = sum(rule.false_alarm for rule in rules)
    paragraphs = [f"Rules for {source}, suggested by Gristmill for a person to review."]
    if rules:
        paragraphs += ["", (
            f"All {rows:,} rows were counted for each of {len(rules)} rules. Above a column stand "
            "its rules with how many rows break one, the share that these are at most (Wilson, "
            f"95 %), and how often a clean batch of {batch:,} rows, drawn as these were, breaks "
            "more than the tolerance allows: the false alarms. A rule without a tolerance allows "
            f"none. By chance such a batch breaks {alarms:.2g} of the rules."
        )]  # fmt: skip
    paragraphs += ["", *(f"Not suggested: {one}." for one in suggestion.left_out)]
    told = [textwrap.wrap(make_plain(one), WIDTH) or [""] for one in paragraphs]
    return [line for lines in told for line in lines]


def shorten(text: str, most: int = VALUE_SHOWN) -> str:
    """Return `text` in at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def make_plain(text: str) -> str:
    """Return `text` as a comment can hold it: one line, no sign that is not shown.

    >>> make_plain("a" + chr(10) + "b")
    'a?b'
    """
    return "".join(sign if sign.isprintable() else "?" for sign in text)
