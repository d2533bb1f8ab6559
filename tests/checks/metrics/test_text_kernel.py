"""The compiled pass over texts says what the expressions of the checks say."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from checks.metrics import text_kernel
from checks.metrics.tabular_counters import Numbers
from checks.metrics.tabular_tally import measure
from checks.metrics.tabular_words import (
    BOOLEAN_WORDS,
    DOUBTFUL_PLACEHOLDERS,
    ISO_DATE,
    MOJIBAKE,
    NUMBER_WITH_UNIT,
    PLACEHOLDERS,
    SLASH_DATE,
    is_placeholder,
    shape_of,
)

WORDS = [
    *PLACEHOLDERS, *DOUBTFUL_PLACEHOLDERS, *BOOLEAN_WORDS, "12 oz", "-1.5e3", ".5 kg", "3,5 %",
    "2013-01-02T10:00", "2013-1-2", "1/2/2013", "01/02/2013", "cafÃ©", "â€œx", "\ufffd",
]  # fmt: skip
PIECES = st.sampled_from([*WORDS, *(w.upper() for w in WORDS), " ", "\u00a0", "\u2003", "Ǆ", "é"])
TEXTS = st.none() | st.text(max_size=90) | st.lists(PIECES, max_size=4).map("".join)


def _measure(texts: pl.Series) -> dict[str, np.ndarray]:
    n = texts.len()
    told = {
        "totals": np.zeros(len(text_kernel.COUNTS), np.int64),
        "lengths": np.array([2**62, -1], np.int64), "hashes": np.empty(n, np.uint64),
        "shapes": np.empty(n, np.uint64), "marks": np.empty(n, np.uint8),
    }  # fmt: skip
    written = (told["hashes"], told["shapes"], told["marks"])
    told["dense"] = np.zeros((2, 200), np.uint32)
    measure(texts, (told["totals"], told["lengths"], told["dense"], Numbers.no_reach()), written)
    return told


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8), st.integers(0, 2))
@example([None, "", " ", "\u00a0", "N/A ", "x" * 70 + "Y", "x" * 70 + "9"], 0)
def test_kernel_agrees_with_expressions(given_texts: list[str | None], skipped: int) -> None:
    """Counts, lengths, equal values, equal shapes and what may be a number or a date agree."""
    texts = pl.Series("t", given_texts, dtype=pl.String)[min(skipped, len(given_texts) - 1) :]
    told = _measure(texts)
    frame = pl.DataFrame({"raw": texts, "t": texts.str.strip_chars()})
    text, raw = pl.col("t"), pl.col("raw")
    filled = frame.filter(text != "")
    counted = dict(zip(text_kernel.COUNTS, told["totals"].tolist(), strict=True))
    expected = frame.select(
        null=raw.is_null().sum(), empty=(raw == "").sum(),
        blank=((text == "") & (raw != "")).sum(), untrimmed=((raw != text) & (text != "")).sum(),
        placeholder=is_placeholder(text).sum(), doubtful=is_placeholder(text, strict=True).sum(),
        spaced=text.str.contains(" ", literal=True).sum(),
        boolean=text.str.to_lowercase().is_in(BOOLEAN_WORDS).sum(),
        length_sum=text.str.len_chars().sum(), filled=(text != "").sum(),
    ).row(0, named=True)  # fmt: skip
    assert counted == expected
    sizes = np.bincount(filled["t"].str.len_chars().to_numpy().astype(int), minlength=200)
    assert told["dense"].tolist() == [sizes.tolist(), [0] * 200]
    if filled.height:
        assert told["lengths"].tolist()[1] == filled["t"].str.len_chars().max()
    held = frame.with_row_index().filter(text != "")
    for hashes, value in ((told["hashes"], text), (told["shapes"], shape_of(text))):
        pairs = {(int(hashes[i]), v) for i, v in held.select("index", value).iter_rows()}
        assert len({h for h, _ in pairs}) == len({v for _, v in pairs}) == len(pairs)
        assert all(hashes[i] == 0 for i in set(range(texts.len())) - set(held["index"]))
    for bit, pattern in (
        (text_kernel.ISO, ISO_DATE), (text_kernel.SLASH, SLASH_DATE),
        (text_kernel.MOJIBAKE, MOJIBAKE), (text_kernel.UNIT, NUMBER_WITH_UNIT),
    ):  # fmt: skip
        hits = held.filter(text.str.contains(pattern))["index"]
        assert all(told["marks"][i] & bit for i in hits)
    numbers = held.filter(text.cast(pl.Float64, strict=False).is_finite().fill_null(value=False))
    assert all(told["marks"][i] & text_kernel.NUMBER for i in numbers["index"])


def test_every_character_has_the_kind_that_a_pattern_gives_it() -> None:
    """Digits, capitals, small letters and white space of the first plane are those of polars."""
    codes = [c for c in range(1, 0x10000) if not 0xD800 <= c < 0xE000]
    frame = pl.DataFrame({"code": codes, "t": [chr(c) for c in codes]})
    kinds = text_kernel.make_lookups()[0]
    for kind, pattern in ((1, r"^\p{Nd}$"), (2, r"^\p{Lu}$"), (3, r"^\p{Ll}$")):
        found = set(frame.filter(pl.col("t").str.contains(pattern))["code"])
        ours = {c for c in codes if kinds[c] == kind}
        # each side follows its own version of Unicode: newer letters may be unknown to the older
        assert len(found ^ ours) <= 60, sorted(map(hex, found ^ ours))[:20]
    blank = set(frame.filter(pl.col("t").str.strip_chars() == "")["code"])
    assert blank == {c for c in codes if kinds[c] == 4}
    assert re.fullmatch(r"\s", "\u2003")
