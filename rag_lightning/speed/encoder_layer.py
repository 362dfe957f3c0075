"""One post-norm transformer layer (Vaswani et al. 2017; Devlin et al. 2019) as one operation with its own derivative.

The weights stay fp32 parameters; each forward pass makes a working copy in the layer's dtype. Against autocast this
saves the dtype copies around every operation, the random numbers of ``bernoulli_``, two of three projections and
most passes over the activations. LayerNorm's statistics and the softmax of short sequences are fp32.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rag_lightning.speed.attention import AttentionTrace, attend, attend_backward
from rag_lightning.speed.dropout import MaskSource
from rag_lightning.speed.products import Matrix


@dataclass(frozen=True)
class LayerShape:
    """The numbers of a layer that are not parameters."""

    heads: int
    scaling: float
    attention_dropout: float
    projection_dropout: float
    output_dropout: float
    epsilon: float
    dtype: torch.dtype
    final: bool  # the last layer returns fp32, for heads that know nothing of the layers' dtype

    @property
    def drops(self) -> bool:
        return max(self.attention_dropout, self.projection_dropout, self.output_dropout) > 0.0


class WorkingCopy:
    """A layer's matrices in its dtype."""

    def __init__(self, width: int, inner: int, dtype: torch.dtype) -> None:
        self.qkv = Matrix(3 * width, width, dtype)
        self.qkv_bias = torch.empty(3 * width, dtype=dtype)
        self.out = Matrix(width, width, dtype)
        self.up = Matrix(inner, width, dtype)
        self.down = Matrix(width, inner, dtype)

    def refresh(self, p: tuple[Tensor, ...]) -> None:
        """Copy the parameters (in the order of PARAMETERS); always, since nothing tells reliably that they changed."""
        self.qkv.refresh(p[:3])
        torch._foreach_copy_(self.qkv_bias.chunk(3), p[3:6])
        self.out.refresh(p[6:7])
        self.up.refresh(p[10:11])
        self.down.refresh(p[12:13])


class EncoderLayerFunction(torch.autograd.Function):
    """``apply(hidden, bias, shape, copy, *parameters)`` with the parameters in the order of PARAMETERS.

    ``hidden`` is (batch, length, width); ``bias`` is added to the attention's scores.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        bias: Tensor | None,
        shape: LayerShape,
        copy: WorkingCopy,
        *parameters: Tensor,
    ) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return _forward(ctx, hidden, bias, shape, copy, parameters)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast("cpu", enabled=False):
            return _backward(ctx, grads[0])


PARAMETERS = (
    "query.weight", "key.weight", "value.weight", "query.bias", "key.bias", "value.bias",
    "projection.weight", "projection.bias", "attention_norm.weight", "attention_norm.bias",
    "up.weight", "up.bias", "down.weight", "down.bias", "output_norm.weight", "output_norm.bias",
)  # fmt: skip


def _forward(
    ctx: Any, hidden: Tensor, bias: Tensor | None, shape: LayerShape, copy: WorkingCopy, p: tuple[Tensor, ...]
) -> Tensor:
    batch, length, width = hidden.shape
    dtype, tokens = shape.dtype, batch * length
    copy.refresh(p)
    entry = _rows(tokens, width, dtype)
    entry[:tokens].copy_(hidden.reshape(tokens, width))
    masks = MaskSource() if shape.drops else None

    qkv = copy.qkv.apply(entry, copy.qkv_bias)[:tokens].view(batch, length, -1)
    mixed = _rows(tokens, width, dtype)
    trace = attend(qkv, bias, shape.heads, shape.scaling, shape.attention_dropout, masks, out=mixed[:tokens])
    branch = copy.out.apply(mixed, p[7].to(dtype))
    sum_1, keep_1 = _add_dropped(entry, branch, shape.projection_dropout, masks)
    norm_1, mean_1, rstd_1 = torch.native_layer_norm(sum_1, [width], p[8], p[9], shape.epsilon)
    inner = copy.up.apply(norm_1, p[11].to(dtype))
    active = F.gelu(inner)
    branch = copy.down.apply(active, p[13].to(dtype))
    sum_2, keep_2 = _add_dropped(norm_1, branch, shape.output_dropout, masks)
    norm_2, mean_2, rstd_2 = torch.native_layer_norm(sum_2, [width], p[14], p[15], shape.epsilon)

    if any(ctx.needs_input_grad):
        ctx.shape, ctx.input_dtype, ctx.copy = shape, hidden.dtype, copy
        ctx.save_for_backward(
            p[8], p[9], p[14], p[15], entry, mixed, sum_1, keep_1, mean_1, rstd_1,
            norm_1, inner, active, sum_2, keep_2, mean_2, rstd_2, *trace,
        )  # fmt: skip
    output = norm_2[:tokens].view(batch, length, width)
    return output.float() if shape.final else output


def _rows(count: int, width: int, dtype: torch.dtype) -> Tensor:
    """``count`` rows to fill, and zero rows up to a round number: for each new number oneDNN spends milliseconds on
    generating code."""
    step = 32 if count <= 1024 else 128
    full = torch.empty(-(-count // step) * step, width, dtype=dtype)
    full[count:].zero_()
    return full


def _add_dropped(
    residual: Tensor, branch: Tensor, rate: float, masks: MaskSource | None
) -> tuple[Tensor, Tensor | None]:
    """``residual + dropout(branch)`` and the keep mask."""
    if masks is None or rate == 0.0:
        return branch.add_(residual), None
    keep = masks.keep(branch.shape, rate, branch.dtype)
    return torch.addcmul(residual, branch, keep, value=1.0 / (1.0 - rate)), keep


def _drop_grad(grad: Tensor, keep: Tensor | None, rate: float) -> Tensor:
    if keep is None:
        return grad
    return torch.addcmul(grad.new_zeros(()), grad, keep, value=1.0 / (1.0 - rate))


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    shape: LayerShape = ctx.shape
    copy: WorkingCopy = ctx.copy
    (
        g_1, b_1, g_2, b_2, entry, mixed, sum_1, keep_1, mean_1, rstd_1,
        norm_1, inner, active, sum_2, keep_2, mean_2, rstd_2, *trace,
    ) = ctx.saved_tensors  # fmt: skip
    batch, length, width = grad.shape
    tokens = batch * length
    needs = ctx.needs_input_grad
    wanted = needs[4:]  # the first four inputs are hidden, bias, shape, copy
    out: list[Tensor | None] = [None] * len(PARAMETERS)
    given, grad = grad, _rows(tokens, width, shape.dtype)
    grad[:tokens].copy_(given.reshape(tokens, width))

    layer_norm_backward = torch.ops.aten.native_layer_norm_backward
    sum_grad, out[14], out[15] = layer_norm_backward(
        grad, sum_2, [width], mean_2, rstd_2, g_2, b_2, [True, wanted[14], wanted[15]]
    )
    branch_grad = _drop_grad(sum_grad, keep_2, shape.output_dropout)
    out[12], out[13] = _linear_grads(branch_grad, active, wanted[12], wanted[13])
    inner_grad = torch.ops.aten.gelu_backward(copy.down.pull_back(branch_grad), inner)
    out[10], out[11] = _linear_grads(inner_grad, norm_1, wanted[10], wanted[11])
    grad = copy.up.pull_back(inner_grad).add_(sum_grad)

    sum_grad, out[8], out[9] = layer_norm_backward(
        grad, sum_1, [width], mean_1, rstd_1, g_1, b_1, [True, wanted[8], wanted[9]]
    )
    branch_grad = _drop_grad(sum_grad, keep_1, shape.projection_dropout)
    out[6], out[7] = _linear_grads(branch_grad, mixed, wanted[6], wanted[7])
    if needs[0] or any(wanted[:6]):
        qkv_grad = _rows(tokens, 3 * width, shape.dtype)
        attend_backward(
            copy.out.pull_back(branch_grad)[:tokens].view(batch, length, width),
            AttentionTrace(*trace), shape.heads, shape.scaling, shape.attention_dropout, out=qkv_grad[:tokens],
        )  # fmt: skip
        weight_grad, bias_grad = _linear_grads(qkv_grad, entry, any(wanted[:3]), any(wanted[3:6]))
        for index in range(3):
            part = slice(index * width, (index + 1) * width)
            out[index] = weight_grad[part] if weight_grad is not None and wanted[index] else None
            out[3 + index] = bias_grad[part] if bias_grad is not None and wanted[3 + index] else None
    hidden_grad = None
    if needs[0]:
        entry_grad = copy.qkv.pull_back(qkv_grad).add_(sum_grad)
        hidden_grad = entry_grad[:tokens].view(batch, length, width).to(ctx.input_dtype)
    return hidden_grad, None, None, None, *out


def _linear_grads(grad: Tensor, entry: Tensor, weight: bool, bias: bool) -> tuple[Tensor | None, Tensor | None]:
    """fp32 gradients of a linear layer's weight and bias, each only if it learns."""
    return (
        torch.mm(grad.t(), entry).float() if weight else None,
        grad.sum(0).float() if bias else None,
    )
