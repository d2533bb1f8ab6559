"""A layer of many models at once: M matrices of their own, one call forwards, two backwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Stacked(torch.autograd.Function):
    """Not autograd's own way through baddbmm: with few outputs its products are five times slower.

    Weights lie as (M, out, in), so that every product here runs along `in` or over whole rows.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, rectified: bool) -> Tensor:
        told = torch.baddbmm(bias, rows, weight.transpose(1, 2))
        ctx.rectified = rectified
        if rectified:
            told.relu_()
        ctx.save_for_backward(rows, weight, told if rectified else None)
        return told

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        (gradient,), (rows, weight, told) = gradients, ctx.saved_tensors
        if ctx.rectified:
            gradient = torch.ops.aten.threshold_backward(gradient, told, 0)
        back = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        own = torch.bmm(gradient.transpose(1, 2), rows)
        return back, own, gradient.sum(1, keepdim=True), None


def stacked_linear(rows_MBI: Tensor, weight_MOI: Tensor, bias_M1O: Tensor) -> Tensor:
    """Return rows times weight plus bias of each of M models, (M, B, O).

    >>> rows, weight, bias = torch.ones(2, 3, 4), torch.ones(2, 5, 4), torch.zeros(2, 1, 5)
    >>> stacked_linear(rows, weight, bias).shape, stacked_linear(rows, weight, bias).max().item()
    (torch.Size([2, 3, 5]), 4.0)
    """
    made: Tensor = _Stacked.apply(rows_MBI, weight_MOI, bias_M1O, False)  # type: ignore[no-untyped-call]
    return made


def stacked_relu(rows_MBI: Tensor, weight_MOI: Tensor, bias_M1O: Tensor) -> Tensor:
    """Return `stacked_linear`, negative values set to 0."""
    made: Tensor = _Stacked.apply(rows_MBI, weight_MOI, bias_M1O, True)  # type: ignore[no-untyped-call]
    return made
