"""Multi-head attention with dropout, and its derivative, written out in plain tensor operations."""

from typing import NamedTuple

import torch
from torch import Tensor

from rag_lightning.speed.dropout import MaskSource

# Up to this length fp32 is the faster arithmetic: bf16 softmax kernels mostly run their scalar remainder loops, and
# oneDNN spends milliseconds on generating code for each new shape of a bf16 batch product, where fp32 needs none.
_SHORT = 96


class AttentionTrace(NamedTuple):
    """What the backward pass needs: q, k, v of (batch * heads, length, width), the probabilities before and after
    dropout (not rescaled), and the keep mask."""

    query: Tensor
    key: Tensor
    value: Tensor
    probabilities: Tensor
    kept: Tensor
    keep: Tensor | None


def attend(
    qkv: Tensor,
    bias: Tensor | None,
    heads: int,
    scaling: float,
    rate: float,
    masks: MaskSource | None,
    out: Tensor,
) -> AttentionTrace:
    """Softmax attention over the fused projections.

    Args:
        qkv: (batch, length, 3 * heads * width), the projections one after another.
        bias: what is added to the scores, broadcastable to (batch, heads, length, length); None without padding.
        heads: number of heads.
        scaling: factor of the scores.
        rate: dropout rate of the probabilities.
        masks: where keep masks come from; None for no dropout.
        out: contiguous rows of heads * width, batch * length of them, that take the result.
    """
    batch, length, triple = qkv.shape
    width = triple // (3 * heads)
    dtype = torch.float32 if length <= _SHORT else qkv.dtype
    parts = torch.empty(3, batch, heads, length, width, dtype=dtype)
    parts.copy_(qkv.view(batch, length, 3, heads, width).permute(2, 0, 3, 1, 4))
    query, key, value = parts.view(3, batch * heads, length, width)
    scores = torch.baddbmm(query.new_empty(()), query, key.transpose(1, 2), beta=0.0, alpha=scaling)
    if bias is not None:
        scores.view(batch, heads, length, length).add_(bias)
    probabilities = torch.softmax(scores, -1)
    kept, keep, factor = probabilities, None, 1.0
    if masks is not None and rate > 0.0:
        keep = masks.keep(kept.shape, rate, dtype)
        kept, factor = probabilities * keep, 1.0 / (1.0 - rate)
    mixed = torch.bmm(kept, value).view(batch, heads, length, width).transpose(1, 2)
    out.view(batch, length, heads, width).copy_(mixed.mul_(factor) if keep is not None else mixed)
    return AttentionTrace(query, key, value, probabilities, kept, keep)


def attend_backward(grad: Tensor, trace: AttentionTrace, heads: int, scaling: float, rate: float, out: Tensor) -> None:
    """The gradient of :func:`attend` for ``qkv``, put into the rows of ``out``; ``grad`` is (batch, length, width)."""
    batch, length, full = grad.shape
    query, key, value, probabilities = trace.query, trace.key, trace.value, trace.probabilities
    shape = (batch, heads, length, full // heads)
    mixed_grad = torch.empty(shape, dtype=query.dtype)
    mixed_grad.copy_(grad.view(batch, length, heads, -1).transpose(1, 2))
    if trace.keep is not None:
        mixed_grad.mul_(1.0 / (1.0 - rate))
    mixed_grad = mixed_grad.view(batch * heads, length, -1)
    kept_grad = torch.bmm(mixed_grad, value.transpose(1, 2))
    if trace.keep is not None:
        kept_grad.mul_(trace.keep)
    scores_grad = torch._softmax_backward_data(kept_grad, probabilities, -1, query.dtype).mul_(scaling)
    result = out.view(batch, length, 3, heads, full // heads)
    parts = (
        torch.bmm(scores_grad, key),
        torch.bmm(scores_grad.transpose(1, 2), query),
        torch.bmm(trace.kept.transpose(1, 2), mixed_grad),
    )
    for index, part in enumerate(parts):
        result[:, :, index].copy_(part.view(shape).transpose(1, 2))
