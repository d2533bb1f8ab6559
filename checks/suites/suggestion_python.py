"""A suggestion as a pandera model in Python, for a person to read and to change.

Whatever stands in the data comes into the file as a literal that `repr` wrote, or as a comment
without line breaks: no name and no value can become code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from checks.suites.contract_file import OWN_KEY
from checks.suites.suggestion_literal import STEP, WIDTH, write_literal, write_type
from checks.suites.suggestion_names import name_attributes, name_checks, name_model
from checks.suites.suggestion_rule import Proposal, Rule, Suggestion
from checks.suites.suggestion_schema import CUSTOM, OWN_WORDS, set_rule, tell_unique, tell_whole
from checks.suites.suggestion_values import FORBIDDEN, TRIMMED
from checks.suites.suggestion_words import comment, make_plain, shorten, tell_header

_HEAD = """
import datetime as dt

import pandera.polars as pa
import polars as pl
"""
_ALLOW = '''

def allow(**rules):
    """Say which share of the rows may break a rule of a column, and how severe a break is."""
    told = {name: one if isinstance(one, tuple) else (one, "error") for name, one in rules.items()}
    return {
        "gristmill": {
            name: {"tolerance": one[0], "severity": one[1]} for name, one in told.items()
        }
    }
'''
_NEVER_FALLS = '''
    @pa.check({column!r})
    def {name}(cls, data):
        """No row is earlier than the one before it; looked at batch by batch."""
        time = pl.col(data.key)
        return data.lazyframe.select((time >= time.shift()).fill_null(value=True))
'''
_JOINS = '''
    @pa.dataframe_check
    def {name}(cls, data):
        """The last of these columns is the first two, joined by a mark."""
        names = {columns!r}
        first, second, whole = (pl.col(name).cast(str) for name in names)
        joined = pl.concat_str([first, second], separator={value!r})
        return data.lazyframe.select((joined == whole).fill_null(value=True))
'''
_FIXES = '''
    @pa.dataframe_check
    def {name}(cls, data):
        """Rows with the same {keys} have the same in the other columns, too."""
        keys = [pl.col(name) for name in {firsts!r}]
        values = [pl.col(name) for name in {others!r}]
        known = pl.all_horizontal([key.is_not_null() for key in keys])
        usual = [value.drop_nulls().mode().min().over(keys) for value in values]
        same = [(a == b).fill_null(value=True) for a, b in zip(values, usual)]
        return data.lazyframe.select(pl.all_horizontal(same) | ~known)
'''
NAMED = {"GAPS": FORBIDDEN, "TRIMMED": TRIMMED}  # values that many columns share
_TEMPLATES = {"never_falls": _NEVER_FALLS, "joins": _JOINS, "fixes": _FIXES}


def write_python(suggestion: Suggestion, source: str) -> str:
    """Return the text of a module that `load_contract` reads.

    Args:
        suggestion: the rules.
        source: the data that they come from, as a person calls it.
    """
    names = name_attributes(suggestion.types)
    checks = name_checks(suggestion.rules, names)
    fields = [_write_field(suggestion, column, names[column], checks) for column in names]
    customs = [_write_check(rule.proposal, checks[rule.proposal.key])
               for rule in suggestion.rules if rule.proposal.word in CUSTOM]  # fmt: skip
    values = [rule.proposal.value for rule in suggestion.rules]
    named = [f"\n{name} = {write_literal(one, 0, len(name) + 3)}\n"
             for name, one in NAMED.items() if one in values]  # fmt: skip
    title = f'\n\nclass {name_model(source)}(pa.DataFrameModel):\n    """What a row must be."""\n\n'
    return "".join([
        _write_opening(suggestion, source), _HEAD, *named, _ALLOW, title, "\n".join(fields),
        *customs, _write_config(suggestion, checks),
    ])  # fmt: skip


def _write_check(one: Proposal, name: str) -> str:
    columns = list(one.columns)
    count = one.value if one.word == "fixes" else 1
    keys = make_plain(", ".join(columns[:count])).replace("\\", "/").replace('"', "'")
    return _TEMPLATES[one.word].format(
        name=name, value=one.value, column=columns[0], columns=columns, keys=keys,
        firsts=columns[:count], others=columns[count:],
    )  # fmt: skip


def _write_opening(suggestion: Suggestion, source: str) -> str:
    told = "\n".join(tell_header(suggestion, source)).replace("\\", "/").replace('"', "'")
    return f'"""{told}\n"""\n'


def _write_field(
    suggestion: Suggestion, column: str, name: str, checks: Mapping[tuple[str, ...], str]
) -> str:
    rules = suggestion.of(column)
    title = shorten(make_plain(f"{column}: {suggestion.titles[column]}"), WIDTH - STEP - 2)
    lines = [f"    # {title}", *comment(rules, STEP)]
    told = dict(_list_arguments(column, name, rules, checks))
    start = f"    {name}: {write_type(suggestion.types[column])} = pa.Field("
    line = ", ".join(f"{key}={value}" for key, value in told.items())
    if len(start) + len(line) < WIDTH and "\n" not in line:
        return "\n".join([*lines, f"{start}{line})\n"])
    rows = [f"        {key}={value}," for key, value in told.items()]
    return "\n".join([*lines, start, *rows, "    )\n"])


def _list_arguments(
    column: str, name: str, rules: tuple[Rule, ...], checks: Mapping[tuple[str, ...], str]
) -> Iterator[tuple[str, str]]:
    """The keyword arguments of a field, as source."""
    if column != name:
        yield "alias", write_literal(column)
    words = {rule.proposal.word for rule in rules}
    if "not_null" not in words:
        yield "nullable", "True"
    if "unique" in words:
        yield "unique", "True"
    for rule in rules:
        word, value = rule.proposal.word, rule.proposal.value
        if word not in (*OWN_WORDS, *CUSTOM):
            named = next((name for name, one in NAMED.items() if one == value), None)
            yield word, named or write_literal(value, 2 * STEP, len(word) + 2)
    settings = [f"{checks.get(rule.proposal.key, rule.proposal.word)}={_write_setting(own)}"
                for rule in rules if (own := set_rule(rule))]  # fmt: skip
    if settings:
        yield "metadata", _wrap(settings)


def _write_setting(own: Mapping[str, Any]) -> str:
    share = repr(own.get("tolerance", 0.0))
    return f'({share}, "{own["severity"]}")' if "severity" in own else share


def _wrap(settings: list[str]) -> str:
    line = f"allow({', '.join(settings)})"
    if len(line) + 2 * STEP + len("metadata=,") <= WIDTH:
        return line
    rows = "".join(f"\n{' ' * 3 * STEP}{one}," for one in settings)
    return f"allow({rows}\n{' ' * 2 * STEP})"


def _write_config(suggestion: Suggestion, checks: Mapping[tuple[str, ...], str]) -> str:
    if not suggestion.wide:
        return ""
    lines = [
        "",
        "    class Config:",
        '        """What several columns must keep to together."""',
        "",
    ]
    lines += comment(suggestion.wide, 8, wide=True)
    if together := tell_unique(suggestion):
        lines.append(f"        unique = {write_literal(together, 8, 9)}")
    # never left out: pandera asks a Config for it
    whole = {OWN_KEY: tell_whole(suggestion, checks)}
    lines.append(f"        metadata = {write_literal(whole, 8, 11)}")
    return "\n".join([*lines, ""])
