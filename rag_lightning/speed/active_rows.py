"""Word embeddings of which only the rows that occur in the training data are parameters during a fit.

A row whose word never occurs has a gradient of exactly zero, so AdamW's moments for it stay zero and only weight
decay moves it. Leaving those rows out of gradient, norm and optimizer changes nothing in the result and saves most of
the work: half of a small encoder's parameters are word embeddings, and a data set uses a fifth of them.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ActiveRowsEmbedding(nn.Embedding):
    """An embedding whose parameter ``weight`` holds the active rows; the others wait, without gradient, in ``table``.

    ``state_dict`` and ``load_state_dict`` speak of the full table under the usual name, so that checkpoints and saved
    models are plain. Made by :func:`keep_active_rows`, undone by :func:`restore_all_rows`.
    """

    table: Tensor  # (vocabulary, width): all rows; the active ones are out of date until synced
    row_of: Tensor  # (vocabulary,): a word's row in ``weight``, or -1
    active: Tensor  # (rows,): the word of each row
    padding_row: int | None  # the row without gradient, if padding occurs
    hooks: tuple[Any, Any]

    def forward(self, input: Tensor) -> Tensor:
        rows = F.embedding(input, self.row_of.unsqueeze(1)).squeeze(-1)
        known = bool((rows >= 0).all())
        if known:
            return F.embedding(rows, self.weight, self.padding_row)
        if self.training and self.weight.requires_grad:
            word = int(input[rows < 0][0])
            raise RuntimeError(
                f"Token id {word} was not announced as training data, so its embedding could not learn: "
                "set speed.active_embeddings=false or announce all ids."
            )
        seen = F.embedding(rows.clamp_min(0), self.weight)
        return torch.where((rows >= 0).unsqueeze(-1), seen, F.embedding(input, self.table))

    def full_weight(self) -> Tensor:
        """The whole table (vocabulary, width), with the active rows as they are now."""
        return self.table.index_copy(0, self.active, self.weight.detach().to(self.table.dtype))

    def decay_inactive(self, factor: float) -> None:
        """Multiply the rows that do not occur by ``factor``, as AdamW's decoupled weight decay does."""
        self.table.mul_(factor)


def _give_full(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    assert isinstance(module, ActiveRowsEmbedding)
    state[prefix + "weight"] = module.full_weight()


def _take_full(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    assert isinstance(module, ActiveRowsEmbedding)
    full = state.get(prefix + "weight")
    if full is not None and full.shape == module.table.shape:
        module.table.copy_(full)
        state[prefix + "weight"] = full[module.active]


def keep_active_rows(embedding: nn.Embedding, ids: Tensor) -> ActiveRowsEmbedding:
    """Turn ``embedding`` in place into one that learns only the rows ``ids``; same object, same name.

    Args:
        embedding: a plain, untied ``nn.Embedding`` (dense gradients, no ``max_norm``).
        ids: every token id that training will look up; any shape, repeats allowed.
    """
    full = embedding.weight.detach()
    active = torch.unique(ids.reshape(-1).to(full.device))
    embedding.register_buffer("table", full.clone(), persistent=False)
    embedding.register_buffer("active", active, persistent=False)
    row_of = torch.full((full.shape[0],), -1, dtype=torch.int64, device=full.device)
    row_of[active] = torch.arange(len(active), device=full.device)
    embedding.register_buffer("row_of", row_of, persistent=False)
    requires_grad = embedding.weight.requires_grad
    embedding.weight = nn.Parameter(full[active].clone(), requires_grad=requires_grad)
    embedding.__class__ = ActiveRowsEmbedding
    changed = cast(ActiveRowsEmbedding, embedding)
    row = -1 if embedding.padding_idx is None else int(row_of[embedding.padding_idx])
    changed.padding_row = row if row >= 0 else None
    changed.hooks = (
        changed.register_state_dict_post_hook(_give_full),
        changed.register_load_state_dict_pre_hook(_take_full),
    )
    return changed


def restore_all_rows(network: nn.Module) -> int:
    """Give every embedding that :func:`keep_active_rows` changed its full table back; returns how many."""
    changed = [module for module in network.modules() if isinstance(module, ActiveRowsEmbedding)]
    for module in changed:
        full = module.full_weight()
        for hook in module.hooks:
            hook.remove()
        requires_grad = module.weight.requires_grad
        for name in ("table", "active", "row_of"):
            delattr(module, name)
        del module.hooks, module.padding_row
        module.__class__ = nn.Embedding  # type: ignore[assignment]
        module.weight = nn.Parameter(full, requires_grad=requires_grad)
    return len(changed)
