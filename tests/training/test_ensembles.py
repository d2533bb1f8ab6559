from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.test_heads_batched import CPU, RECIPE, clouds
from training.arms import Arm, raw_arm
from training.ensemble import Ensemble, mean_logits
from training.heads import Rows, train_heads

MANY = replace(RECIPE, members=4, embedding=2)


def test_heads_of_an_ensemble_do_not_touch_each_other() -> None:
    """A head trained among others ends where it ends alone, and paired arms start alike."""
    torch.set_num_threads(1)
    data = clouds()
    raw = raw_arm(data)
    cleaned = Arm("cleaned", np.arange(raw.keep.size) % 3 > 0, raw.weights, raw.labels, raw.rows)
    rows = Rows(data, CPU)
    together = train_heads(rows, [(raw, 0), (cleaned, 0), (raw, 1)], MANY)
    alone = train_heads(rows, [(cleaned, 0)], MANY)
    assert np.allclose(together[1].val_nll, alone[0].val_nll, atol=1e-5)
    assert together[0].val_nll[0] == pytest.approx(together[1].val_nll[0], abs=1e-6)
    assert together[0].val_nll[-1] != together[2].val_nll[-1]
    assert together[0].val_acc[-1] > 0.75
    assert together[0].dynamics is not None
    again = train_heads(rows, [(raw, 0), (cleaned, 0), (raw, 1)], MANY)
    assert all(np.array_equal(a.val_nll, b.val_nll) for a, b in zip(together, again, strict=True))


def test_one_member_with_signs_of_one_is_a_plain_head() -> None:
    """With all its scales at one a member computes what a perceptron of its weights does."""
    ensemble = Ensemble([3], 5, replace(RECIPE, members=2), 3).train()
    torch.nn.init.ones_(ensemble.ins[0])
    rows = torch.randn(1, 7, 5)
    told = ensemble(rows)
    assert told.shape == (1, 2, 7, 3)
    hidden = torch.relu(torch.relu(rows[0] @ ensemble.weights[0][0]) @ ensemble.weights[1][0])
    assert torch.allclose(told[0, 1], hidden @ ensemble.last[0, 1], atol=1e-5)


def test_members_differ_from_the_start_and_average_in_evaluation() -> None:
    """Members answer differently; in evaluation their probabilities are averaged, not logits."""
    ensemble = Ensemble([1, 2], 5, replace(RECIPE, members=3), 2)
    rows = torch.randn(1, 6, 5)
    each = ensemble.train()(rows)
    assert not torch.allclose(each[:, 0], each[:, 1])
    told = ensemble.eval()(rows)
    assert torch.allclose(told.exp(), each.softmax(-1).mean(1), atol=1e-6)
    assert torch.allclose(told, mean_logits(each))
    assert torch.allclose(ensemble(rows, members=[1]), told[1:], atol=1e-6)


def test_a_head_is_a_function_of_its_seed_alone() -> None:
    """A head's start does not depend on who else is in the batch."""
    first, second = (Ensemble(seeds, 5, MANY, 2, (3,)) for seeds in ([3, 9], [9]))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        rows = one.shape[0] // 2
        assert torch.equal(one[rows:], other)
