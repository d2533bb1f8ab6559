"""The compiled pass over a column's texts: counts by what they are, hashes of value and shape.

It reads UTF-8 bytes as Arrow lays them out. What it says agrees with the expressions of
`tabular_words` and `tabular_profile`, which the checks apply to single cells.
"""

from __future__ import annotations

from functools import cache
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from checks.metrics.compiled import compiled
from checks.metrics.number_kernel import is_set, mix
from checks.metrics.tabular_words import (
    BOOLEAN_WORDS,
    DOUBTFUL_PLACEHOLDERS,
    PLACEHOLDERS,
    SHAPE_LENGTH,
)

COUNTS = (
    "null", "empty", "blank", "untrimmed", "placeholder", "doubtful", "spaced", "boolean",
    "length_sum", "filled",
)  # fmt: skip
NUMBER, UNIT, ISO, SLASH, MOJIBAKE = 1, 2, 4, 8, 16  # marks of a text that is worth a look
_DIGIT, _UPPER, _LOWER, _SPACE = 1, 2, 3, 4
# what a byte tells of its text: a blank; neither digit nor slash; not ASCII; in no number
_BLANK_SEEN, _OTHER_SEEN, _WIDE_SEEN, _WORD_SEEN = 1, 2, 4, 8
_LITERAL = 8  # what a character that stands for itself adds to its code in a shape
_WORD_BYTES = 16
_CLASS, _TELLS, _BEGINS = 0, 1, 2  # rows of the table of ASCII bytes

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Counts = NDArray[np.int64]


@cache
def make_lookups() -> tuple[Bytes, NDArray[np.int32], Words]:
    """Return the tables that the pass looks things up in, plain arrays for speed.

    (65536,): digit, capital, small letter or space, by character. (3, 256), for an ASCII byte:
    what it is in a shape, what it tells of a text, and a bit for each length of a special word
    that begins with it. (K, 3): what a special word is (1 placeholder, 2 doubtful one, 3 truth
    value) and its 16 bytes.
    """
    kinds = _character_kinds()
    plain = np.arange(256)
    table = np.zeros((3, 256), np.int32)
    table[_CLASS] = np.where((kinds[:256] > 0) & (kinds[:256] < _SPACE), kinds[:256],
                             plain + _LITERAL)  # fmt: skip
    table[_TELLS] = np.where(plain == ord(" "), _BLANK_SEEN, 0)
    table[_TELLS] |= np.where(plain >= 0x80, _WIDE_SEEN, 0)
    table[_TELLS] |= np.where((kinds[:256] == _DIGIT) | (plain == ord("/")), 0, _OTHER_SEEN)
    table[_TELLS] |= np.where(np.isin(plain, [*b"0123456789+-.eE"]), 0, _WORD_SEEN)
    words, packed = [], []
    for what, listed in enumerate((PLACEHOLDERS, DOUBTFUL_PLACEHOLDERS, BOOLEAN_WORDS), start=1):
        for word in listed:
            table[_BEGINS, [ord(word[0]), ord(word[0].upper())]] |= 1 << len(word)
            words.append(what)
            packed.append(word.encode().ljust(_WORD_BYTES, b"\0"))
    content = np.frombuffer(b"".join(packed), np.uint64).reshape(-1, 2)
    return kinds, table, np.column_stack([np.array(words, np.uint64), content])


def _character_kinds() -> Bytes:
    known = {"Nd": _DIGIT, "Lu": _UPPER, "Ll": _LOWER}
    told = map(category, map(chr, range(0x10000)))
    kinds = np.fromiter((known.get(one, 0) for one in told), np.uint8, 0x10000)
    kinds[[*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
           0x205F, 0x3000]] = _SPACE  # fmt: skip
    return kinds


@compiled
def decode(data: Bytes, at: int) -> tuple[int, int]:
    """Return the character that begins at a byte of valid UTF-8, and how many bytes it has."""
    first = int(data[at])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | int(data[at + 1]) & 0x3F, 2
    low = (int(data[at + 1]) & 0x3F) << 6 | int(data[at + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | low, 3
    return (first & 0x07) << 18 | low << 6 | int(data[at + 3]) & 0x3F, 4


@compiled
def kind_of(kinds: Bytes, code: int) -> int:
    """Return the kind of a character; those beyond the first plane have none."""
    return int(kinds[code]) if code < kinds.size else 0


@compiled
def strip(data: Bytes, first: int, last: int, kinds: Bytes) -> tuple[int, int]:
    """Return where a text begins and ends without the white space around it."""
    while first < last:
        code, size = decode(data, first)
        if kind_of(kinds, code) != _SPACE:
            break
        first += size
    while first < last:
        at = last - 1
        while data[at] & 0xC0 == 0x80:
            at -= 1
        if kind_of(kinds, decode(data, at)[0]) != _SPACE:
            break
        last = at
    return first, last


@compiled
def name_word(data: Bytes, first: int, last: int, table: NDArray[np.int32], words: Words) -> int:
    """Return what the text is as a word: 1 placeholder, 2 doubtful, 3 truth value, 0 none."""
    length = last - first
    if length > _WORD_BYTES or (table[_BEGINS, data[first]] >> length) & 1 == 0:
        return 0
    low, high = np.uint64(0), np.uint64(0)
    for i in range(length):
        byte = np.uint64(data[first + i])
        if 65 <= byte <= 90:
            byte += np.uint64(32)
        if i < 8:
            low |= byte << np.uint64(8 * i)
        else:
            high |= byte << np.uint64(8 * (i - 8))
    for i in range(words.shape[0]):
        if words[i, 1] == low and words[i, 2] == high:
            return int(words[i, 0])
    return 0


@compiled
def add_to_shape(shape: np.uint64, step: int) -> np.uint64:
    """Return the hash of a shape that goes on with `step`."""
    shape = (shape ^ np.uint64(step)) * np.uint64(0x9FB21C651E98DF25)
    return np.uint64(shape ^ (shape >> np.uint64(29)))


@compiled
def look_over(
    data: Bytes, first: int, last: int, kinds: Bytes, table: NDArray[np.int32], totals: Counts
) -> tuple[np.uint64, np.uint64, int, int]:
    """Return hashes of a stripped text and of its shape, its length in characters, its marks.

    The text's hash is FNV-1a over its bytes (Fowler, Noll and Vo), spread by `mix`.
    """
    value, shape = np.uint64(0xCBF29CE484222325), np.uint64(0)
    before, dashes, slashes, seen = 0, 0, 0, 0
    for at in range(first, last):
        byte = data[at]
        value = (value ^ np.uint64(byte)) * np.uint64(0x100000001B3)
        step = table[_CLASS, byte]
        longer = add_to_shape(shape, step)  # without a branch, which no processor could foresee
        shape = (
            longer if (step != before) | (step > _LOWER) and at - first < SHAPE_LENGTH else shape
        )
        before = step
        seen |= table[_TELLS, byte]
        dashes += byte == 45
        slashes += byte == 47
    length, marks = last - first, 0
    if seen & _WIDE_SEEN:
        shape, length, marks = look_at_letters(data, first, last, kinds)
    totals[6] += seen & _BLANK_SEEN
    head = data[first]
    if 48 <= head <= 57 or head == 43 or head == 45 or head == 46:
        marks |= read_head(data, first, last, dashes, slashes, seen)
    return mix(value) | np.uint64(1), shape | np.uint64(1), length, marks


@compiled
def look_at_letters(data: Bytes, first: int, last: int, kinds: Bytes) -> tuple[np.uint64, int, int]:
    """Return shape, length and marks of a text that is not all ASCII."""
    shape, before, length, marks, at = np.uint64(0), 0, 0, 0, first
    while at < last:
        code, size = decode(data, at)
        kind = kind_of(kinds, code)
        step = kind if 0 < kind < _SPACE else code + _LITERAL
        if (step != before or step > _LOWER) and length < SHAPE_LENGTH:
            shape = add_to_shape(shape, step)
        before = step
        length += 1
        at += size
        if code == 0xC2 or code == 0xC3 or code == 0xE2 or code == 0xFFFD:
            marks = MOJIBAKE
    return shape, length, marks


@compiled
def read_head(data: Bytes, first: int, last: int, dashes: int, slashes: int, seen: int) -> int:
    """Return what a text that begins like a number may be."""
    tail, length = data[last - 1], last - first
    marks = 0 if seen & _WORD_SEEN else NUMBER
    letter = 97 <= tail | 32 <= 122
    if letter or tail >= 0x80 or tail == 36 or tail == 37 or tail == 46 or tail == 47:
        marks |= UNIT
    if dashes >= 2 and length >= 8 and data[first + 4] == 45:
        marks |= ISO
    if slashes == 2 and seen & _OTHER_SEEN == 0 and length <= 10:
        marks |= SLASH
    return marks


@compiled
def measure_texts(
    data: Bytes, offsets: Counts, valid: Bytes, first_bit: int, kinds: Bytes,
    table: NDArray[np.int32], words: Words, totals: Counts, lengths: Counts,
    dense: NDArray[np.uint32], reach: Counts, hashes: Words, shapes: Words, marks: Bytes,
) -> None:  # fmt: skip
    """Count one batch of texts.

    Args:
        data, offsets: UTF-8 bytes and where each of the N texts begins, shape (N + 1,).
        valid, first_bit: Arrow's validity bitmap (empty: all valid) and where it begins.
        kinds, table, words: what `make_lookups` returns.
        totals: as COUNTS. lengths: shortest and longest stripped text, in characters.
        dense, reach: shape (2, K) and (4,), how many texts have each length, and the first and
            the last length that any has; as in `measure_numbers`.
        hashes, shapes: shape (N,), written: 0 where the text is null, empty or blank.
        marks: shape (N,), written: what the text may turn out to be.
    """
    for i in range(offsets.size - 1):
        hashes[i], shapes[i], marks[i] = 0, 0, 0
        if not is_set(valid, first_bit + i):
            totals[0] += 1
            continue
        first, last = offsets[i], offsets[i + 1]
        if first < last and not (32 < data[first] < 0x80 and 32 < data[last - 1] < 0x80):
            first, last = strip(data, first, last, kinds)
        if first == last:
            totals[1 if offsets[i] == offsets[i + 1] else 2] += 1
            lengths[0], lengths[1] = 0, max(lengths[1], 0)
            continue
        totals[3] += last - first != offsets[i + 1] - offsets[i]
        named = name_word(data, first, last, table, words)
        totals[4] += named == 1
        totals[5] += named == 1 or named == 2
        totals[7] += named == 3
        hashes[i], shapes[i], length, marks[i] = look_over(data, first, last, kinds, table, totals)
        totals[8] += length
        totals[9] += 1
        lengths[0], lengths[1] = min(lengths[0], length), max(lengths[1], length)
        place = min(length, dense.shape[1] - 1)
        dense[0, place] += 1
        reach[0], reach[1] = min(reach[0], place), max(reach[1], place)
