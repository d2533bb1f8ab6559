import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from checks.labels.dynamics_rank import doubt_of_dynamics

MARGINS = st.lists(
    st.tuples(st.floats(-50, 50, width=32), st.floats(-50, 50, width=32)), min_size=1, max_size=30
)


def table(pairs: list[tuple[float, float]]) -> pl.DataFrame:
    """Samples s00, s01, ... with these two margins."""
    mean, final = zip(*pairs, strict=True)
    ids = [f"s{at:02d}" for at in range(len(pairs))]
    columns = {"sample_id": ids, "margin_mean": mean, "margin_final": final}
    kinds = {"margin_mean": pl.Float32, "margin_final": pl.Float32}
    return pl.DataFrame(columns, schema_overrides=kinds)


@given(MARGINS, st.integers(0, 99))
def test_the_order_of_rows_changes_nothing(pairs: list[tuple[float, float]], seed: int) -> None:
    """Each sample keeps its value however the table and the question are ordered."""
    dynamics = table(pairs)
    plain = doubt_of_dynamics(dynamics, dynamics["sample_id"])
    order = np.random.default_rng(seed).permutation(len(pairs))
    moved = doubt_of_dynamics(dynamics[order], dynamics["sample_id"])
    asked = doubt_of_dynamics(dynamics, dynamics["sample_id"][order])
    assert np.array_equal(plain, moved)
    assert np.array_equal(plain[order], asked)


@given(MARGINS)
def test_lower_margins_are_never_less_doubtful(pairs: list[tuple[float, float]]) -> None:
    """A sample below another in both margins has at least its doubt; all lie within 0..1."""
    dynamics = table(pairs)
    doubt = doubt_of_dynamics(dynamics, dynamics["sample_id"])
    assert ((doubt > 0) & (doubt < 1)).all()
    margins = np.array(pairs)
    for one, value in zip(margins, doubt, strict=True):
        assert (doubt[(margins <= one).all(axis=1)] >= value - 1e-9).all()


@given(MARGINS)
def test_only_the_order_of_margins_counts(pairs: list[tuple[float, float]]) -> None:
    """Equal margins weigh alike, and the scale of the logits does not count."""
    whole = [(round(a), round(b)) for a, b in pairs]
    stretched = [(a * 2.0**5, b * 2.0**5) for a, b in whole]
    ids = table(whole)["sample_id"]
    assert np.array_equal(
        doubt_of_dynamics(table(whole), ids), doubt_of_dynamics(table(stretched), ids)
    )


def test_what_was_not_measured_has_no_rank() -> None:
    """Unknown samples and null margins are NaN, and do not move the others."""
    pairs = [(1.0, 2.0), (-1.0, -2.0), (0.0, 0.5)]
    alone = doubt_of_dynamics(table(pairs), table(pairs)["sample_id"])
    extra = pl.DataFrame(
        {"sample_id": ["n"], "margin_mean": [None], "margin_final": [3.0]},
        schema_overrides={"margin_mean": pl.Float32, "margin_final": pl.Float32},
    )
    ids = pl.Series(["s00", "n", "s01", "other", "s02"])
    both = doubt_of_dynamics(pl.concat([table(pairs), extra]), ids)
    assert np.isnan(both[[1, 3]]).all()
    assert np.array_equal(both[[0, 2, 4]], alone)
    assert alone.argmax() == 1


def test_no_dynamics_at_all_are_all_unknown() -> None:
    """An empty table gives NaN for every sample."""
    nothing = table([(1.0, 1.0)]).head(0)
    assert np.isnan(doubt_of_dynamics(nothing, pl.Series(["a", "b"]))).all()
