"""How far hidden states and weights have moved from the pretrained model's, layer by layer.

Linear centred kernel alignment (Kornblith et al. 2019) compares what two layers tell of the tokens of a text, whatever
the directions in which they tell it; the mean cosine compares the directions too. Both are 1 for the pretrained model.
The distance of weights is relative: ||w - w0|| / ||w0||, shared weights counted once.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedModel

from rag_lightning.errors import UserError
from rag_lightning.general_text.passages import general_passages
from rag_lightning.model.interface import base_model_of, embeddings_of, layers_of
from rag_lightning.probe.examples import content_of
from rag_lightning.probe.probe import Prepared, Probe, ProbeOptions, Scores, Setting
from rag_lightning.probe.states import Batch, batches, encode_texts, layer_states


class DriftOptions(ProbeOptions):
    """How much general text is read."""

    limit: int | None = Field(200, ge=1, description="passages of general text; null: all")
    words: int = Field(40, ge=4, description="words of a passage at most")
    tokens: int = Field(2000, ge=2, description="tokens whose states are compared, drawn from all passages")


def linear_cka(left: Tensor, right: Tensor) -> float:
    """Linear centred kernel alignment of two sets of states of the same tokens, from 0 to 1.

    Args:
        left: (tokens, width); ``right``: (tokens, another width or the same).
    """
    left, right = (each.double() - each.double().mean(0) for each in (left, right))
    own = torch.linalg.matrix_norm(left.T @ left) * torch.linalg.matrix_norm(right.T @ right)
    return float(torch.linalg.matrix_norm(left.T @ right) ** 2 / own.clamp_min(1e-30))


def mean_cosine(left: Tensor, right: Tensor) -> float:
    """The mean over tokens of the cosine of two states (tokens, width)."""
    return float(F.cosine_similarity(left.double(), right.double(), dim=-1).mean())


def prepare(setting: Setting, options: DriftOptions) -> Prepared:
    """The general text, and the pretrained model's states on it (float32, (layers + 1) x tokens x width numbers)."""
    texts = general_passages(
        setting.general_text, "validation", words=options.words, limit=options.limit, seed=options.seed
    )
    inputs = encode_texts(setting.tokenizer, texts, setting.window)
    padding = int(setting.tokenizer.pad_token_id or 0)
    chosen = _drawn([len(each) for each in inputs], options.tokens, options.seed)

    def read(network: PreTrainedModel) -> list[Tensor]:
        parts = [_states(network, batch, chosen) for batch in batches(inputs, padding, setting.device)]
        return [torch.cat(layer) for layer in zip(*parts, strict=True)]

    before = read(setting.network)
    weights = {name: each.clone() for name, each in base_model_of(setting.network).named_parameters()}

    def measure(network: PreTrainedModel) -> Scores:
        return _of_states(before, read(network)) | distances(network, weights)

    return Prepared(measure, content_of(texts, options.tokens))


def _drawn(lengths: Sequence[int], tokens: int, seed: int) -> list[Tensor]:
    """For each input the places of the tokens that are compared, ``tokens`` in all."""
    order = np.random.default_rng(seed).permutation(sum(lengths))
    kept = np.zeros(sum(lengths), dtype=np.bool_)
    kept[order[:tokens]] = True
    return [torch.from_numpy(np.flatnonzero(part)) for part in np.split(kept, np.cumsum(lengths)[:-1])]


def _states(network: PreTrainedModel, batch: Batch, chosen: Sequence[Tensor]) -> list[Tensor]:
    """Of each layer the states of the chosen tokens, (tokens, width), on the CPU."""
    rows = torch.cat([torch.full_like(chosen[place], row) for row, place in enumerate(batch.places)])
    columns = torch.cat([chosen[place] for place in batch.places])
    return [states[rows.to(states.device), columns.to(states.device)].cpu() for states in layer_states(network, batch)]


def _of_states(before: Sequence[Tensor], now: Sequence[Tensor]) -> Scores:
    scores: Scores = {}
    for name, compare in (("cka", linear_cka), ("cosine", mean_cosine)):
        values = [compare(old, new) for old, new in zip(before, now, strict=True)]
        scores |= {f"layer/{layer}/{name}": value for layer, value in enumerate(values)}
        scores |= {name: values[-1], f"{name}_mean": sum(values) / len(values)}
    return scores


@torch.no_grad()
def distances(network: PreTrainedModel, before: dict[str, Tensor]) -> Scores:
    """Relative distance of the backbone's weights from those of before: of all, and by layer (0: the embeddings)."""
    base = base_model_of(network)
    square: dict[int, tuple[float, float]] = {}
    for name, weight in base.named_parameters():
        moved = float((weight - before[name]).double().square().sum())
        square[id(weight)] = (moved, float(before[name].double().square().sum()))
    scores = {"distance": _ratio(square.values())}
    for layer, modules in enumerate(_by_layer(network)):
        inside = dict.fromkeys(id(weight) for module in modules for weight in module.parameters())
        scores[f"layer/{layer}/distance"] = _ratio([square[each] for each in inside])
    return scores


def _by_layer(network: PreTrainedModel) -> list[list[nn.Module]]:
    """The embeddings, then each layer; empty for a family whose layers are not known."""
    try:
        return [embeddings_of(network), *([layer] for layer in layers_of(network))]
    except UserError:
        return []


def _ratio(squares: Iterable[tuple[float, float]]) -> float:
    pairs = list(squares)
    size = sum(own for _, own in pairs)
    return float((sum(moved for moved, _ in pairs) / size) ** 0.5) if size else 0.0


PROBE = Probe(
    name="drift", options=DriftOptions, prepare=prepare, of_general_text=True, cheap=True, of_knowledge=False,
    higher_is_better=lambda metric: not metric.endswith("distance"),
)  # fmt: skip
