"""Objects from ``_target_`` nodes, of trusted packages only."""

import os
from typing import Any

# What `_target_` may name; Hydra refuses the rest.
TRUSTED = ("torch.optim.*", "pytorch_lightning.*", "transformers.*", "rag_lightning.*")


def trusted_targets() -> tuple[str, ...]:
    """The packages above and those of ``RAG_LIGHTNING_TRUST`` (such as ``my_lab.callbacks.*``, comma-separated)."""
    own = os.environ.get("RAG_LIGHTNING_TRUST", "")
    return TRUSTED + tuple(pattern.strip() for pattern in own.split(",") if pattern.strip())


def instantiate(node: dict[str, Any], **arguments: Any) -> Any:
    """``node`` built, with plain containers as arguments (OmegaConf's would leak into checkpoints)."""
    import hydra.utils

    return hydra.utils.instantiate(node, _convert_="all", _execution_whitelist_=list(trusted_targets()), **arguments)
