"""The network of a run as a function of its inputs alone, and the specification of all else."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rag_lightning.decoding.answers import THRESHOLD
from rag_lightning.decoding.crf import LinearChainCRF
from rag_lightning.decoding.vectors import LINE
from rag_lightning.encoding.rows.texts import knows_pairs
from rag_lightning.errors import UserError
from rag_lightning.export.runtime import MARKS
from rag_lightning.export.shapes.shape import Head, Shape, shape_of
from rag_lightning.export.spec import Spec
from rag_lightning.export.tokenizer import IDS
from rag_lightning.guidance.features import NAME as FEATURES
from rag_lightning.guidance.features import RuleFeatures
from rag_lightning.guidance.saved import load_verbalizer
from rag_lightning.inference.predicting import encoding_context
from rag_lightning.inference.saved import SavedRun
from rag_lightning.model.interface import accepted_inputs
from rag_lightning.model.pair_head import PairHead
from rag_lightning.model.pooling import masked_mean, reads_entities
from rag_lightning.tasks.forms.form import form_of
from rag_lightning.template.build import needs_embedding
from rag_lightning.template.render import TemplateRender
from rag_lightning.template.verbalizer import Verbalizer, label_scores


class Graph(nn.Module):
    """Inputs in the order of their names to what the shape says, in float32.

    Args:
        network: in eval mode.
        inputs: names: ``input_ids`` and ``attention_mask`` (rows, tokens), ``token_type_ids``, ``places`` (rows, 2),
            ``marks`` (rows, tokens, marks).
        gives: as of :class:`Shape`.
        verbalizer: of a network that answers at a mask.
    """

    def __init__(self, network: nn.Module, inputs: tuple[str, ...], gives: str, verbalizer: Verbalizer | None) -> None:
        super().__init__()
        self.network, self.inputs, self.gives = network, inputs, gives
        self.verbalized = verbalizer is not None
        if verbalizer is not None:
            for name in ("ids", "weights", "prior"):
                self.register_buffer(name, torch.from_numpy(getattr(verbalizer, name)))

    def forward(self, *tensors: Tensor) -> Tensor:
        """Logits (rows, [tokens,] labels), ends (rows, tokens, 2) or means (rows, width)."""
        batch = dict(zip(self.inputs, tensors, strict=True))
        marks = batch.pop(MARKS, None)
        if marks is None:
            return self._outputs(self.network(**batch), batch)
        features: RuleFeatures = getattr(self.network, FEATURES)
        with features.given(marks):
            outputs = self._outputs(self.network(**batch), batch)
        return features.add_to_logits(outputs, marks)

    def _outputs(self, output: Any, batch: dict[str, Tensor]) -> Tensor:
        if self.gives == "ends":
            return torch.stack((output.start_logits, output.end_logits), dim=-1).float()
        if self.gives == "means":
            return masked_mean(output.last_hidden_state.float(), batch["attention_mask"])
        logits: Tensor = output.logits.float()
        if not self.verbalized:
            return logits
        scores: Tensor = label_scores(logits.flatten(0, -2), self.ids, self.weights, self.prior)
        return scores


def check_exportable(run: SavedRun) -> Shape:
    """The shape of a run's answers.

    Raises:
        UserError: for a run that has none, or whose input needs more than tokenizer, rules and template.
    """
    task, output = run.task, run.task.output
    if not output.shape or form_of(task.name, run.options) is None:
        writes = output.head == "text"
        raise UserError(
            f"a run of task={task.name} "
            + ("writes text step by step" if writes else "guesses words of a running text")
            + ", and only encoders with an answer in one pass are exported so",
            where="format",
            remedy="Choose format=hf, which transformers and the engines that read its folders take; or serve the run: "
            "python -m rag_lightning.serve.",
        )
    render = run.rendering.render((), run.labels)
    if isinstance(render, TemplateRender) and needs_embedding(render.recipe.config):
        raise UserError(
            "its template shows the examples nearest to each input, which the original backbone finds",
            where="run",
            remedy="Choose format=hf, or train with template.demonstrations.choice=fixed.",
        )
    return shape_of(output.shape)


def graph_of(run: SavedRun) -> Graph:
    """The run's network, in float32 and eval mode, as a function of its inputs."""
    shape, network = check_exportable(run), run.network
    inputs = ["input_ids", "attention_mask"]
    typed = "token_type_ids" in accepted_inputs(network) and int(getattr(network.config, "type_vocab_size", 0) or 0) > 1
    if typed and (shape.gives == "ends" or (_reads_pairs(run) and knows_pairs(run.words.tokenizer))):
        inputs.append("token_type_ids")
    if reads_entities(network):
        inputs.append("places")
    if isinstance(getattr(network, FEATURES, None), RuleFeatures) and shape.gives == "logits":
        inputs.append(MARKS)
    saved = load_verbalizer(run.folder.model)
    verbalizer = None if saved is None else Verbalizer.from_json(saved)
    return Graph(network.eval(), tuple(inputs), shape.gives, verbalizer).eval()


def _reads_pairs(run: SavedRun) -> bool:
    return "token_type_ids" in run.task.output.padding


def spec_of(run: SavedRun, inputs: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What :func:`rag_lightning.export.spec.write_spec` takes."""
    tokenizer, network = run.words.tokenizer, run.network
    plain = {
        "task": run.task.name,
        "shape": run.task.output.shape,
        "inputs": list(inputs),
        "labels": list(run.labels),
        "options": run.options.model_dump(mode="json"),
        "guidance": run.guide.config.model_dump(mode="json"),
        "of_tokens": run.guide.of_tokens,
        "overlap": run.config.encoding.overlap,
        "max_length": run.words.max_length,
        "token_ids": {name: getattr(tokenizer, name, None) for name in IDS},
        "token_types": "token_type_ids" in tokenizer.model_input_names,
        "config": {name: getattr(network.config, name) for name in (THRESHOLD, LINE) if hasattr(network.config, name)},
        "model": run.config.model.name,
        "run": run.folder.path.name,
    }
    arrays: dict[str, np.ndarray] = {}
    for name, module in network.named_modules():
        if isinstance(module, LinearChainCRF | PairHead):
            arrays |= {f"{name}.{key}": tensor.numpy() for key, tensor in module.state_dict().items()}
    return plain, arrays


def live_spec(run: SavedRun, inputs: tuple[str, ...]) -> Spec:
    """The specification of a run in memory, with its own tokenizer."""
    plain, arrays = spec_of(run, inputs)
    form = form_of(run.task.name, run.options)
    assert form is not None
    head = Head(run.labels, run.options, plain["config"], arrays, run.guide.transitions)
    return Spec(plain, shape_of(run.task.output.shape), head, form, run.guide, encoding_context(run), inputs)


def example_inputs(graph: Graph, marks: int) -> tuple[Tensor, ...]:
    """Inputs of three rows and eleven tokens, to trace the network with."""
    rows, tokens = 3, 11
    known = {
        "input_ids": torch.ones(rows, tokens, dtype=torch.long),
        "attention_mask": (torch.arange(tokens) < torch.tensor([[tokens], [7], [5]])).long(),
        "token_type_ids": torch.zeros(rows, tokens, dtype=torch.long),
        "places": torch.tensor([[1, 3], [2, 4], [3, 1]]),
        MARKS: torch.zeros(rows, tokens, marks),
    }
    return tuple(known[name] for name in graph.inputs)


def traced(graph: Graph, marks: int) -> torch.export.ExportedProgram:
    """The network as a program for any number of rows and tokens.

    Raises:
        UserError: if torch cannot follow this backbone's code.
    """
    free = torch.export.Dim.DYNAMIC
    axes = tuple({0: free} if name == "places" else {0: free, 1: free} for name in graph.inputs)
    try:
        return torch.export.export(graph, example_inputs(graph, marks), dynamic_shapes=(axes,), strict=False)
    except Exception as error:  # what torch raises here is not documented
        raise UserError(
            f"torch cannot follow the code of a {type(graph.network).__name__} ({str(error).strip().splitlines()[0]})",
            where="format",
            remedy="Choose format=hf.",
        ) from error
