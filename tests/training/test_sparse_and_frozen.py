"""Weights held at zero, and blocks that stop learning."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor
from torch.nn import functional

from tests.training.test_heads_batched import RECIPE as HEADS
from tests.training.test_heads_batched import clouds
from tests.training.test_trainer_runs import CPU, RECIPE, bars
from training.arms import raw_arm
from training.errors import TrainingError
from training.heads import Heads, Rows, train_heads
from training.jobs import repeatable
from training.learner import Learner
from training.models import Net, filter_banks, whitening_filters
from training.optim import Average
from training.recipe import Recipe
from training.sparsity import Sparse, mask_smallest
from training.trainer import Pictures, train

NETS = (Net(widths=(4, 8)), Net("resnet18", width=8))
BANKS = hnp.arrays(
    np.float32, st.tuples(*[st.integers(1, 6)] * 3), elements=st.floats(-9, 9, width=32)
)


def _learner(recipe: Recipe) -> Learner:
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return Learner(whitening_filters(images), 4, 0, recipe, CPU)


def _walk(learner: Learner, steps: int, begin: int = 0) -> list[dict[str, Tensor]]:
    """Take steps on noise; return the live weights after each."""
    seen = []
    for step in range(begin, begin + steps):
        source = torch.Generator().manual_seed(step)
        images = torch.randn(16, 3, 32, 32, generator=source)
        labels = torch.randint(0, 4, (16,), generator=source)
        logits = learner.predict(images, np.arange(16), np.zeros(16, np.int64))
        learner.move(functional.cross_entropy(logits, labels), step)
        seen.append({name: p.detach().clone() for name, p in learner.net.named_parameters()})
    return seen


@given(BANKS, st.floats(0, 0.99), st.booleans())
def test_the_smallest_share_of_each_bank_goes(
    bank: np.ndarray, share: float, stacked: bool
) -> None:
    """So many weights go as the share says, and none that stays is smaller than one that goes."""
    given_one = torch.from_numpy(bank)
    mask = mask_smallest(given_one, share, stacked=stacked)
    assert mask.shape == given_one.shape
    parts = zip(mask, given_one, strict=True) if stacked else [(mask, given_one)]
    for held, weights in parts:
        count = weights.numel()
        assert int(held.sum()) == max(1, count - round(share * count))
        gone, left = weights[held == 0].abs(), weights[held == 1].abs()
        assert not gone.numel() or gone.max() <= left.min()


@pytest.mark.parametrize("net", NETS, ids=repr)
@pytest.mark.parametrize("optimiser", ["sgd", "muon"])
def test_pruned_weights_stay_at_zero(net: Net, optimiser: str) -> None:
    """From their step on the same weights of the live and of the averaged network are zero.

    Others go on learning, the head and the whitening lose none, and before that step all is as
    without sparsity.
    """
    plain = Recipe("train", 6, 16, 0.05, 5e-4, net=net, optimiser=optimiser)
    sparse = replace(plain, sparsity=0.75, sparse_from=0.5)
    torch.set_num_threads(1)
    dense, learner = _learner(plain), _learner(sparse)
    without, seen = _walk(dense, 6), _walk(learner, 6)
    for name, weight in without[1].items():
        assert torch.equal(weight, seen[1][name])
    banks = {name for name, w in seen[0].items() if w.shape[2:] == (3, 3)}
    assert len(banks) == len(filter_banks(learner.net))
    averaged = learner.averaged()
    for name in banks:
        zero = seen[2][name] == 0
        assert zero.float().mean() == pytest.approx(0.75, abs=0.5 / zero.numel())
        assert torch.equal(seen[5][name] == 0, zero)
        assert torch.equal(averaged[name] == 0, zero)
        assert not torch.equal(seen[5][name], seen[2][name])
    assert all((seen[5][n] != 0).any() for n in seen[5])
    assert (seen[5]["head.weight"] == 0).sum() == 0


def test_each_head_of_a_batch_is_pruned_for_itself() -> None:
    """A head's run is the same alone and among others; its hidden layers lose the share."""
    data = clouds()
    rows, arm = Rows(data, CPU), raw_arm(data)
    recipe = replace(HEADS, sparsity=0.5, layers=3)
    with repeatable(CPU):
        alone = train_heads(rows, [(arm, 1)], recipe)[0]
        among = train_heads(rows, [(arm, 0), (arm, 1)], recipe)[1]
        plain = train_heads(rows, [(arm, 1)], replace(recipe, sparsity=0.0))[0]
    assert np.array_equal(alone.test_pred, among.test_pred)
    assert np.array_equal(alone.val_nll[:2], plain.val_nll[:2])
    assert alone.val_nll[-1] != plain.val_nll[-1]
    heads = Heads([0, 1], 6, recipe, 3)
    average = Average(heads.parameters(), 1)
    sparse = Sparse(heads.weights[: recipe.layers], average, recipe, stacked=True)
    sparse.hold(sparse.begin)
    shares = [float((weight == 0).float().mean()) for weight in heads.weights]
    assert shares == pytest.approx([0.5, 0.5, 0.5, 0.0], abs=0.01)


@pytest.mark.parametrize("net", NETS, ids=repr)
def test_frozen_blocks_stop_and_the_rest_goes_on(net: Net) -> None:
    """A block's weights move before its time and never after it, the head's always."""
    recipe = Recipe("train", 8, 16, 0.05, 5e-4, net=net, freeze=(0.25, 0.5))
    learner = _learner(recipe)
    stages = [
        [name for name, p in learner.net.named_parameters() if any(p is own for own in part)]
        for part in (list(stage.parameters()) for stage in learner.net.stages())
    ]
    seen = _walk(learner, 8)
    for names, end in zip(stages, (2, 4, 8, 8), strict=False):
        for name in names:
            moved = [not torch.equal(a[name], b[name]) for a, b in pairwise(seen)]
            assert moved == [at + 2 <= end for at in range(7)], name
    heads = [one["head.weight"] for one in seen]
    assert all(not torch.equal(a, b) for a, b in pairwise(heads))


def test_a_frozen_block_costs_no_backward_time() -> None:
    """Steps with all blocks frozen take less CPU time than the same steps without."""
    spent = {}
    torch.set_num_threads(1)
    for freeze in ((), (0.0, 0.0)):
        learner = _learner(
            Recipe("train", 60, 16, 0.05, 0.0, net=Net(widths=(32, 32)), freeze=freeze)
        )
        _walk(learner, 5)
        begun = time.process_time()
        _walk(learner, 15, 5)
        spent[freeze] = time.process_time() - begun
    assert spent[0.0, 0.0] < 0.75 * spent[()]


def test_freezing_and_pruning_leave_runs_repeatable() -> None:
    """The same seed gives the same bits, others than without."""
    data = bars()
    recipe = replace(RECIPE, steps=20, sparsity=0.5, freeze=(0.3, 0.5, 0.7))
    with repeatable(CPU):
        pictures, arm = Pictures(data, CPU), raw_arm(data)
        one, other = (train(pictures, arm, 0, recipe) for _ in range(2))
        plain = train(pictures, arm, 0, replace(RECIPE, steps=20))
    assert np.array_equal(one.val_nll, other.val_nll)
    assert one.val_nll[0] == plain.val_nll[0]
    assert one.val_nll[-1] != plain.val_nll[-1]


@pytest.mark.parametrize(
    ("field", "value"),
    [("sparsity", 1.0), ("sparse_from", 1.5), ("freeze", (0.5, 0.2)), ("freeze", (1.2,)),
     ("layers", 0)],
)  # fmt: skip
def test_impossible_shares_are_refused(field: str, value: object) -> None:
    """The error names the field, the value and what is allowed."""
    with pytest.raises(TrainingError, match=rf"recipe.{field}: cannot be \(got"):
        replace(RECIPE, **{field: value})


def test_more_blocks_than_there_are_cannot_freeze() -> None:
    """The error says how many blocks the network has."""
    with pytest.raises(TrainingError, match=r"recipe.freeze: too many \(got 4\). At most 2"):
        _learner(Recipe("train", 8, 16, 0.05, 0.0, net=NETS[0], freeze=(0.1,) * 4))
