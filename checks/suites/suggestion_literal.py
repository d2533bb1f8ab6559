"""Values as Python source: what `repr` writes, in lines of at most 100 characters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import polars as pl

WIDTH, STEP = 100, 4
_SHORT = {pl.Int64: "int", pl.Float64: "float", pl.String: "str", pl.Boolean: "bool"}
_PLAIN = (str, int, float, bool, type(None))


def write_literal(value: Any, indent: int = 0, room: int = 0) -> str:
    r"""Return `value` as source that gives it back.

    Args:
        value: text, a finite number, true or false, None, a date or a time, and lists, tuples and
            mappings of these.
        indent: of the line that it stands in, blanks.
        room: characters that stand before and after it in its line.

    Raises:
        TypeError: a value of another type.

    >>> write_literal({"a": ["b'", None], "on": dt.date(2020, 1, 2)})
    '{"a": ["b\'", None], "on": dt.date(2020, 1, 2)}'
    """
    line = _write_line(value)
    if len(line) + indent + room <= WIDTH or not isinstance(value, list | tuple | Mapping):
        return line
    inner = indent + STEP
    if isinstance(value, Mapping):
        rows = [f"{_write_line(key)}: {write_literal(one, inner, len(_write_line(key)) + 3)},"
                for key, one in value.items()]  # fmt: skip
    elif any(isinstance(one, list | tuple | Mapping) for one in value):
        rows = [f"{write_literal(one, inner, 1)}," for one in value]
    else:
        rows = fill([_write_line(one) for one in value], WIDTH - inner)
    opened, closed = ("{", "}") if isinstance(value, Mapping) else ("[", "]")
    gap = "\n" + " " * inner
    return f"{opened}{gap}{gap.join(rows)}\n{' ' * indent}{closed}"


def _write_line(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{_write_line(k)}: {_write_line(v)}" for k, v in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_write_line, value)) + "]"
    if isinstance(value, dt.datetime):
        return f"dt.datetime({value.year}, {value.month}, {value.day})"
    if isinstance(value, dt.date):
        return f"dt.date({value.year}, {value.month}, {value.day})"
    if not isinstance(value, _PLAIN):
        raise TypeError(f"no literal is known for {type(value).__name__}")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}"
    return _quote(value) if isinstance(value, str) else repr(value)


def _quote(text: str) -> str:
    """As `repr`, but in double quotes, and raw, where no sign of it needs an escape."""
    told = repr(text)
    if "\\" in text and text.isprintable() and '"' not in text and not text.endswith("\\"):
        return f'r"{text}"'
    return f'"{told[1:-1]}"' if told[0] == "'" and '"' not in text and "\\" not in told else told


def fill(words: Iterable[str], width: int) -> list[str]:
    """Return `words`, each with a comma behind it, in lines of at most `width` characters.

    >>> fill(["1", "2", "3"], 6)
    ['1, 2,', '3,']
    """
    rows, row = list[str](), ""
    for word in words:
        longer = f"{row} {word}," if row else f"{word},"
        if len(longer) > width and row:
            rows.append(row)
            longer = f"{word},"
        row = longer
    return [*rows, row] if row else rows


def write_type(dtype: Any) -> str:
    """Return a type as the annotation of a model's column.

    >>> write_type(pl.Int64()), write_type(pl.Datetime("ms")), write_type(pl.List(pl.Int8))
    ('int', 'pl.Datetime("ms", None)', 'pl.List(pl.Int8)')
    """
    kind = type(dtype) if isinstance(dtype, pl.DataType) else dtype
    if kind in _SHORT:
        return _SHORT[kind]
    tell = _ARGUMENTS.get(kind)
    return f"pl.{kind.__name__}" + (f"({tell(dtype)})" if tell else "")


def _tell_fields(dtype: Any) -> str:
    told = ", ".join(f"{_quote(one.name)}: {write_type(one.dtype)}" for one in dtype.fields)
    return f"{{{told}}}"


_ARGUMENTS: Mapping[Any, Callable[[Any], str]] = MappingProxyType({
    pl.Datetime: lambda t: f"{write_literal(t.time_unit)}, {write_literal(t.time_zone)}",
    pl.Duration: lambda t: write_literal(t.time_unit),
    pl.Decimal: lambda t: f"{t.precision}, {t.scale}",
    pl.Enum: lambda t: write_literal(t.categories.to_list()),
    pl.Array: lambda t: f"{write_type(t.inner)}, {t.size}",
    pl.List: lambda t: write_type(t.inner),
    pl.Struct: _tell_fields,
})  # fmt: skip
