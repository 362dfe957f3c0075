"""The one entry: what of ``speed.*`` fits this network and machine is applied, and said in words."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from rag_lightning.speed.active_rows import ActiveRowsEmbedding, keep_active_rows, restore_all_rows
from rag_lightning.speed.dropout import FastDropout, replace_dropout
from rag_lightning.speed.layer_patch import fuse_layers, unfuse_layers
from rag_lightning.speed.memory import set_threads, tune_allocator
from rag_lightning.speed.options import SpeedConfig
from rag_lightning.speed.precision import layer_dtype


@dataclass
class AppliedSpeed:
    """What was done, and how to undo it."""

    notes: list[str] = field(default_factory=list)
    fused_layers: int = 0
    embedding: ActiveRowsEmbedding | None = None

    def __str__(self) -> str:
        return "; ".join(self.notes) or "nothing"


def accelerate(
    network: nn.Module,
    options: SpeedConfig,
    training_ids: Tensor | None = None,
    accelerator: str = "cpu",
    precision: str = "auto",
    many_processes: bool = False,
) -> AppliedSpeed:
    """Apply what pays, in place, once: after loading, freezing and adapters, before the optimizer is built.

    Args:
        network: the model; anything but BERT-like encoders is left as it is.
        options: the switches.
        training_ids: every token id that training may look up (any shape); None keeps all embedding rows.
        accelerator: Lightning's name of the device. Elsewhere than on a CPU only the active rows apply.
        precision: Lightning's precision flag, or ``auto``; on a CPU it decides the dtype of the encoder's layers.
        many_processes: several ranks share the fit; then the embedding stays whole, because ranks see different data.
    """
    applied = AppliedSpeed()
    if accelerator == "cpu":
        _apply_on_cpu(network, options, layer_dtype(precision), applied)
    elif accelerator == "cuda":
        # What stays in fp32 beside mixed precision, or all of it with 32-true, at a tenth of fp32's time.
        torch.set_float32_matmul_precision("high")
        applied.notes.append("TF32 for products of fp32")
    if SpeedConfig.wants(options.active_embeddings) and training_ids is not None and not many_processes:
        embedding = _free_embedding(network)
        if embedding is not None:
            rows = embedding.num_embeddings
            applied.embedding = keep_active_rows(embedding, training_ids)
            applied.notes.append(f"{len(applied.embedding.active):,} of {rows:,} word embeddings are in the optimizer")
    return applied


def _apply_on_cpu(network: nn.Module, options: SpeedConfig, dtype: torch.dtype | None, applied: AppliedSpeed) -> None:
    if SpeedConfig.wants(options.allocator) and tune_allocator():
        applied.notes.append("freed memory stays in the process")
    if options.threads != "auto":
        applied.notes.append(f"{set_threads(options.threads)} threads")
    if SpeedConfig.wants(options.fused_layers) and dtype is not None:
        applied.fused_layers = fuse_layers(network, dtype)
        if applied.fused_layers:
            applied.notes.append(f"{applied.fused_layers} fused encoder layers in {str(dtype).removeprefix('torch.')}")
    # Other architectures stay exactly as their authors wrote them.
    if applied.fused_layers and SpeedConfig.wants(options.fast_dropout):
        applied.notes.append(f"fast random numbers in {replace_dropout(network)} dropouts")


def undo(network: nn.Module) -> None:
    """Make ``network`` the plain Hugging Face model again, with the weights as they are now."""
    unfuse_layers(network)
    restore_all_rows(network)
    for module in network.modules():
        if type(module) is FastDropout:
            module.__class__ = nn.Dropout  # type: ignore[assignment]


def _free_embedding(network: nn.Module) -> nn.Embedding | None:
    """The word embedding, if its weight is used nowhere else (a tied language-model head reads every row)."""
    getter = getattr(network, "get_input_embeddings", None)
    if getter is None:
        return None
    try:
        embedding = getter()
    except NotImplementedError:
        return None
    if (
        type(embedding) is not nn.Embedding
        or embedding.max_norm is not None
        or embedding.sparse
        or embedding.scale_grad_by_freq
    ):
        return None
    if not embedding.weight.requires_grad:
        return None
    users = [m for m in network.modules() if any(p is embedding.weight for p in m.parameters(recurse=False))]
    return embedding if len(users) == 1 else None


def optimizer_hook(applied: AppliedSpeed, optimizer: torch.optim.Optimizer) -> None:
    """Let weight decay reach the embedding rows outside the optimizer, as AdamW's decoupled decay would.

    Needed once per optimizer, and only if the embedding's group has a weight decay; otherwise it costs nothing.
    """
    embedding = applied.embedding
    if embedding is None:
        return

    def decay(optimizer: torch.optim.Optimizer, *_: object) -> None:
        if embedding.weight.grad is None:  # it does not learn yet
            return
        for group in optimizer.param_groups:
            if group.get("weight_decay") and any(p is embedding.weight for p in group["params"]):
                embedding.decay_inactive(1.0 - float(group["lr"]) * float(group["weight_decay"]))

    optimizer.register_step_post_hook(decay)
