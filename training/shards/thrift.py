"""A reader of Thrift's compact protocol, as far as Parquet page headers need it.

Source: the compact protocol in the Apache Thrift specification; PageHeader in parquet.thrift.
"""

from __future__ import annotations

import struct
from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_LONG_LIST = 15
_MAX_DEPTH = 8

Fields = dict[int, Any]


def read_struct(data: memoryview, position: int, depth: int = 0) -> tuple[Fields, int]:
    """Return the fields of the struct at `position`, by id, and the position behind it.

    Raises:
        ValueError: if these bytes are no such struct.

    >>> read_struct(memoryview(bytes([0x15, 0x06, 0x00])), 0)
    ({1: 3}, 3)
    """
    fields: Fields = {}
    number = 0
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    while (head := _byte(data, position)) != 0:
        position += 1
        kind, step = head & 0x0F, head >> 4
        if step:
            number += step
        else:
            number, position = _zigzag(data, position)
        fields[number], position = _value(data, position, kind, depth)
    return fields, position + 1


def _value(data: memoryview, position: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, position
    if kind == _BYTE:
        return _byte(data, position), position + 1
    if kind == _DOUBLE:
        return struct.unpack_from("<d", data, position)[0], position + 8
    if kind == _BINARY:
        length, position = _varint(data, position)
        return bytes(data[position : position + length]), position + length
    return _number_or_nested(data, position, kind, depth)


def _number_or_nested(data: memoryview, position: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _zigzag(data, position)
    if kind in (_LIST, _SET):
        return _list(data, position, depth)
    if kind == _STRUCT:
        return read_struct(data, position, depth + 1)
    raise ValueError(f"unknown type {kind}")


def _list(data: memoryview, position: int, depth: int) -> tuple[list[Any], int]:
    head = _byte(data, position)
    length, position = head >> 4, position + 1
    if length == _LONG_LIST:
        length, position = _varint(data, position)
    values = []
    for _ in range(length):
        value, position = _value(data, position, head & 0x0F, depth + 1)
        values.append(value)
    return values, position


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = _byte(data, position)
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a varint has no high bit
            return value, position


def _zigzag(data: memoryview, position: int) -> tuple[int, int]:
    value, position = _varint(data, position)
    return (value >> 1) ^ -(value & 1), position


def _byte(data: memoryview, position: int) -> int:
    if position >= len(data):
        raise ValueError("ends too early")
    return data[position]
