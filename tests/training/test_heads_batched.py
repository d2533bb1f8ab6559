from dataclasses import replace

import numpy as np
import pytest
import torch

from training.arms import Arm, TrainingData, raw_arm
from training.heads import Heads, Rows, train_heads
from training.recipe import Recipe
from training.stacked import stacked_linear, stacked_relu

CPU = torch.device("cpu")
RECIPE = Recipe("probe", 60, 64, 3e-3, 0.01, evals=3, hidden=16)


def clouds(n: int = 900, width: int = 6, flipped: float = 0.0) -> TrainingData:
    """Two overlapping clouds in `width` numbers and a category that tells half of the story."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, n)
    numbers = rng.normal(0, 1, (n, width)).astype(np.float32)
    numbers[:, 0] += 1.2 * truth
    codes = np.stack([np.where(rng.random(n) < 0.5, truth, 2), rng.integers(0, 3, n)], axis=1)
    split = np.repeat([0, 1, 2], [n - 400, 150, 250]).astype(np.int8)
    labels = np.where((split == 0) & (rng.random(n) < flipped), 1 - truth, truth)
    return TrainingData(
        "table", ("no", "yes"), np.arange(n).astype(str), labels, split, None, numbers,
        codes.astype(np.int64), (3, 3), truth,
    )  # fmt: skip


def test_members_do_not_touch_each_other() -> None:
    """A member trained among others ends where it ends when trained alone."""
    torch.set_num_threads(1)
    data = clouds()
    raw = raw_arm(data)
    cleaned = Arm("cleaned", np.arange(raw.keep.size) % 3 > 0, raw.weights, raw.labels, raw.rows)
    rows = Rows(data, CPU)
    together = train_heads(rows, [(raw, 0), (cleaned, 0), (raw, 1)], replace(RECIPE, embedding=2))
    alone = train_heads(rows, [(cleaned, 0)], replace(RECIPE, embedding=2))
    assert np.allclose(together[1].val_nll, alone[0].val_nll, atol=1e-5)
    assert together[0].val_nll[0] == pytest.approx(together[1].val_nll[0], abs=1e-6)
    assert together[0].val_nll[-1] != together[2].val_nll[-1]


def test_the_same_seeds_give_the_same_runs() -> None:
    """Batched training repeats bit for bit on one thread."""
    torch.set_num_threads(1)
    data = clouds()
    rows, arm = Rows(data, CPU), raw_arm(data)
    one, two = (train_heads(rows, [(arm, 0), (arm, 1)], RECIPE) for _ in range(2))
    assert all(np.array_equal(a.val_nll, b.val_nll) for a, b in zip(one, two, strict=True))


def test_category_vectors_carry_their_share() -> None:
    """With learnt vectors the category's half of the story is used, without them it is not."""
    data = clouds()
    with_codes = train_heads(Rows(data, CPU), [(raw_arm(data), 0)], replace(RECIPE, embedding=4))
    blind = train_heads(Rows(data, CPU, coded=False), [(raw_arm(data), 0)], RECIPE)
    assert with_codes[0].val_acc[-1] > blind[0].val_acc[-1] + 0.05


def test_weights_of_zero_are_as_good_as_dropping() -> None:
    """Samples of weight 0 leave no trace: poisoned labels under them do no harm."""
    data = clouds(flipped=0.45)
    raw = raw_arm(data)
    assert data.true_labels is not None
    wrong = raw.labels != data.true_labels[data.train]
    weighted = replace(raw, weights=np.where(wrong, 0, 1).astype(np.float32))
    rows = Rows(data, CPU)
    plain, clean = train_heads(rows, [(raw, 0), (weighted, 0)], RECIPE)
    assert clean.val_acc[-1] > plain.val_acc[-1] + 0.02


def test_heads_are_a_function_of_their_seed_alone() -> None:
    """A member's start does not depend on who else is in the batch."""
    first, second = Heads([3, 9], 5, RECIPE, 2), Heads([9], 5, RECIPE, 2)
    assert torch.equal(first.weights[0][1], second.weights[0][0])


def test_a_stacked_layer_has_the_gradients_of_separate_ones() -> None:
    """Rows, weights and biases get what autograd gives each model of its own, relu or not."""
    source = torch.Generator().manual_seed(0)
    rows, weight, bias = (
        torch.randn(size, generator=source, dtype=torch.float64, requires_grad=True)
        for size in ((3, 5, 4), (3, 2, 4), (3, 1, 2))
    )
    for layer, after in ((stacked_linear, torch.nn.Identity()), (stacked_relu, torch.relu)):
        told = layer(rows, weight, bias)
        own = torch.stack([
            after(torch.nn.functional.linear(x, w, b[0]))
            for x, w, b in zip(rows, weight, bias, strict=True)
        ])  # fmt: skip
        assert torch.allclose(told, own)
        parts = (rows, weight, bias)
        got = torch.autograd.grad((told**2).sum(), parts)
        wanted = torch.autograd.grad((own**2).sum(), parts)
        assert all(map(torch.allclose, got, wanted))
