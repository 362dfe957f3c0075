"""Gradient clipping that costs one pass less: the fused AdamW kernel scales the gradients while it reads them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW


def clip_in_optimizer(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Clip the gradients to the norm ``limit`` within the next ``optimizer.step()``, as ``clip_grad_norm_`` does.

    With fused Adam or AdamW on a CPU the gradients themselves stay as they are until the step; any other optimizer gets
    them clipped at once. Call it before every step: the factor of the last call stays in force.

    Returns:
        The norm before clipping.
    """
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = total_norm(grads)
    scale = ((norm + 1e-6) / limit).clamp_min(1.0)
    fused = isinstance(optimizer, Adam | AdamW) and optimizer.defaults.get("fused") is True
    if fused and all(grad.device.type == "cpu" for grad in grads):
        optimizer.grad_scale = scale.float()  # type: ignore[attr-defined]
    else:
        torch._foreach_mul_(grads, 1.0 / scale)
    return norm


def total_norm(grads: list[Tensor]) -> Tensor:
    """The norm of all gradients together.

    On a CPU a matrix is taken row by row: the reduction of a whole tensor to one number runs on a single thread.
    """
    if not grads or any(grad.device.type != "cpu" or grad.dtype != torch.float32 for grad in grads):
        return torch.nn.utils.get_total_norm(grads)
    rows = [torch.linalg.vector_norm(grad, dim=-1) if grad.ndim > 1 else grad for grad in grads]
    return torch.linalg.vector_norm(torch.cat([row.reshape(-1) for row in rows]))
