"""Who a sample is: an id from its content, a split that copies share, a mark of the whole set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import polars as pl
import xxhash

from checks.core.errors import SourceError

_BATCH_ROWS = 20_000
_DIGEST_SCHEMA = pl.Schema({"uri": pl.String(), "row": pl.Int64(), "xxh3_128": pl.String()})


def identify(entries: pl.DataFrame, seed: int, val_frac: float, test_frac: float) -> pl.DataFrame:
    """Return the samples table: every entry with a stable id and a split.

    Args:
        entries: uri, row, label, split, byte_size, xxh3_128 (32 hex digits, never null).
        seed: chooses among hash splits; the same seed keeps a grown set's splits.
        val_frac: share of the samples that go to val, 0..1.
        test_frac: share that goes to test, 0..1; together they stay below 1.

    The id is `<xxh3_128>-<occurrence>`; occurrences count equal contents in the order of
    (uri, row). A split that the source gives is kept. Where it gives none, a hash of
    (seed, content) decides, so that copies land together. A split that the source gives nowhere
    (no val, no test) is taken by the same hash from what would be train.

    Raises:
        SourceError: the shares leave nothing for train.

    >>> found = pl.DataFrame({"uri": ["b", "a"], "row": [0, 0], "label": ["x", "x"],
    ...     "split": ["train", "test"], "byte_size": [1, 1], "xxh3_128": ["0" * 32, "0" * 32]})
    >>> identify(found, 0, 0.0, 0.0)["sample_id"].str.slice(30).to_list()
    ['00-0', '00-1']
    """
    if min(val_frac, test_frac) < 0 or val_frac + test_frac >= 1:
        raise SourceError(
            "split", "val_frac and test_frac leave nothing for train",
            got=(val_frac, test_frac), allowed="Each is at least 0, together below 1.",
        )  # fmt: skip
    ordered = entries.sort("uri", "row")
    given = set(ordered["split"].drop_nulls().unique())
    drawn = _draw_splits(ordered["xxh3_128"], seed, val_frac, test_frac)
    wanted = {name for name in ("val", "test") if name not in given}
    taken = pl.when(drawn.is_in(wanted)).then(drawn).otherwise(pl.lit("train"))
    split = pl.col("split")
    occurrence = pl.int_range(pl.len(), dtype=pl.Int64).over("xxh3_128")
    return ordered.select(
        sample_id=pl.format("{}-{}", pl.col("xxh3_128"), occurrence),
        split=pl.when(split.is_null()).then(pl.lit(drawn))
        .when((split == "train") & bool(given)).then(taken).otherwise(split),
        label=pl.col("label").cast(pl.String), uri=pl.col("uri"), row=pl.col("row"),
        byte_size=pl.col("byte_size").cast(pl.Int64), xxh3_128=pl.col("xxh3_128"),
    ).sort("sample_id")  # fmt: skip


def _draw_splits(digests: pl.Series, seed: int, val_frac: float, test_frac: float) -> pl.Series:
    """Return test, val or train for each content digest from a uniform 64-bit hash."""
    test_below = int(test_frac * 2**64)
    val_below = int((test_frac + val_frac) * 2**64)

    def draw(digest: str) -> str:
        place = xxhash.xxh3_64_intdigest(f"{seed}:{digest}".encode())
        return "test" if place < test_below else "val" if place < val_below else "train"

    return pl.Series("drawn", [draw(digest) for digest in digests], dtype=pl.String)


def digest_rows(scan: pl.LazyFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return uri, row and the xxh3_128 of each row's content over `columns`.

    The content is a canonical text: columns by name, each value as text with its length before
    it and null marked apart from empty. Number 1 and text "1" are one content, so a table keeps
    its ids when it moves from CSV to Parquet; the order of the columns does not matter.

    >>> scan = pl.LazyFrame({"uri": ["a", "a"], "row": [0, 1], "x": ["1", None], "y": ["", ""]})
    >>> a, b = digest_rows(scan, ["x", "y"])["xxh3_128"]
    >>> a == digest_rows(scan, ["y", "x"])["xxh3_128"][0], a == b
    (True, False)
    """
    schema = scan.collect_schema()
    parts = [_canonical(name, schema[name]) for name in sorted(columns)]
    content = pl.concat_str(parts) if parts else pl.lit("")
    pieces = []
    chosen = scan.select("uri", pl.col("row").cast(pl.Int64), content=content)
    for batch in chosen.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True):
        digests = [xxhash.xxh3_128_hexdigest(text.encode()) for text in batch["content"]]
        named = pl.Series("xxh3_128", digests, dtype=pl.String)
        pieces.append(batch.select("uri", "row").with_columns(named))
    whole = pl.concat([_DIGEST_SCHEMA.to_frame(), *pieces])
    return whole.sort("uri", "row")


def _canonical(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind == pl.Binary:
        text = column.bin.encode("hex")
    elif kind.is_nested():
        text = pl.struct(column).struct.json_encode()
        text = pl.when(column.is_null()).then(None).otherwise(text)
    else:
        text = column.cast(pl.String)
    told = pl.concat_str(text.str.len_bytes().cast(pl.String), pl.lit(":"), text)
    return told.fill_null("n")


def fingerprint_entries(entries: pl.DataFrame, extra: Iterable[object] = ()) -> str:
    """Return the sha256 over (uri, row, byte_size, mtime_ns) of all entries and over `extra`."""
    digest = hashlib.sha256()
    keys = [pl.col(n).cast(pl.String).fill_null("") for n in ("row", "byte_size", "mtime_ns")]
    lines = entries.sort("uri", "row").select(
        line=pl.concat_str(pl.col("uri").str.len_bytes().cast(pl.String), "uri", *keys,
                           separator="\t")
    )  # fmt: skip
    for batch in lines.iter_slices(_BATCH_ROWS):
        digest.update(("\n".join(batch["line"]) + "\n").encode())
    for fact in extra:
        digest.update(repr(fact).encode())
    return digest.hexdigest()
