"""Output kind: one label for two entities of a text, read off the states at the entities.

Baldini Soares et al. 2019, "Matching the Blanks": of six ways to represent a relation, the states at the marks before
the two mentions, put beside each other, did best. Labels, loss and answers are those of a text with one label; what is
added is where the entities stand in the input, and that a long text is cut around them.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from rag_lightning.encoding.rows.entity_pairs import PLACES, encode
from rag_lightning.guidance.features import guided_logits
from rag_lightning.model.pooling import reads_entities
from rag_lightning.tasks.outputs.sequence_label import SEQUENCE_LABEL
from rag_lightning.tasks.task import Batch, OutputKind


def forward(network: nn.Module, batch: Batch) -> Tensor:
    """Logits (rows, labels); a head that reads the entities is told their places (rows, 2)."""
    if not reads_entities(network):
        return guided_logits(network, batch)
    return guided_logits(network, batch, places=torch.stack([batch[name] for name in PLACES], dim=1))


ENTITY_PAIR: OutputKind = replace(
    SEQUENCE_LABEL, encode=encode, forward=forward, head="entity_pair", shape="entities.LABEL"
)
