"""A finished run, loaded from its folder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag_lightning.config.schema import TrainConfig
from rag_lightning.config.validate import validate_train
from rag_lightning.encoding.load import load_words
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.guidance.checks import for_mask, ways_for
from rag_lightning.guidance.embedder import embedder_of
from rag_lightning.guidance.equip import equip_network, equip_task
from rag_lightning.guidance.guide import Guide
from rag_lightning.guidance.saved import load_equipment, load_guide, load_rendering, load_verbalizer
from rag_lightning.model.files import fingerprint
from rag_lightning.model.interface import LABEL_HEADS
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.resolve import architecture, resolve
from rag_lightning.tasks.outputs.cloze import HEAD as CLOZE_HEAD
from rag_lightning.tasks.outputs.cloze import equip_cloze
from rag_lightning.tasks.registry import get_task
from rag_lightning.tasks.task import EncodingContext, Task
from rag_lightning.template.rendering import Rendering
from rag_lightning.training.folder import RunFolder
from rag_lightning.tuning.freeze import check_frozen_layers


@dataclass(frozen=True)
class SavedRun:
    """The model of a finished run with all that shapes its input."""

    folder: RunFolder
    config: TrainConfig
    plain: dict[str, Any]
    task: Task
    options: Any
    labels: tuple[str, ...]
    network: Any
    words: WordEncoder
    model: str
    guide: Guide
    rendering: Rendering


def load_run(path: str, generation: GenerationOptions | None = None) -> SavedRun:
    """Load ``FOLDER/model`` and the settings in ``FOLDER/config.yaml``.

    Args:
        path: the run's folder.
        generation: how to write, other than the run did.

    Raises:
        UserError: if the folder is none of a run, its run is not finished, or is to write and cannot.
    """
    folder = RunFolder(Path(path).expanduser())
    plain, _ = folder.read_config()
    if not folder.model.is_dir():
        state = folder.status().get("state", "unknown")
        raise UserError(
            f"the run has no model yet (its state: {state})",
            where=str(folder.path),
            remedy="Give the training command again: it goes on where it was.",
        )
    config = validate_train(plain)
    task = get_task(config.task)
    saved = ModelConfig(
        name=config.model.name, path=folder.model, max_length=config.model.max_length, pooling=config.model.pooling
    )
    resolve(saved)  # says what is missing or cut off, before anything is loaded
    shape = architecture(folder.model)
    options = task.options(**config.task)
    task = task.fit(task, options, shape.model_type)
    if generation is not None:
        config = _writing(config, task, generation)
    labels = tuple(shape.id2label[i] for i in range(len(shape.id2label))) if task.output.head in LABEL_HEADS else ()
    words_of_labels = load_verbalizer(folder.model)
    head = task.output.head if words_of_labels is None else CLOZE_HEAD
    words = load_words(folder.model, shape, head, config.model.max_length)
    network = load_network(folder.model, head, labels, saved, config.seed)
    ways = ways_for(task, config.guidance)
    ways = ways if words_of_labels is None else for_mask(ways, config.model.pooling)
    guide = load_guide(folder.model, ways, task.of_tokens)
    equip_network(
        network, guide, labels, words.tokenizer, check_frozen_layers(shape, config.tuning.frozen_layers, head)
    )
    task = equip_task(task, guide, network, labels)
    rendering = load_rendering(folder.model, embedder_of(_original(config), saved))
    context = EncodingContext(
        words, labels, options, config.encoding.overlap, rendering.render((), labels), generation=config.generation
    )
    if task.output.equip is not None:
        task = replace(task, output=task.output.equip(task.output, network, context))
    load_equipment(network, folder.model)
    if words_of_labels is not None:
        task = replace(task, output=equip_cloze(network, task.output, context, words_of_labels)[0], pipeline=None)
    return SavedRun(
        folder, config, plain, task, options, labels, network, words, fingerprint(folder.model, weights=False), guide,
        rendering,
    )  # fmt: skip


def _writing(config: TrainConfig, task: Task, generation: GenerationOptions) -> TrainConfig:
    if task.output.head != "text":
        raise UserError(f"task {task.name} writes no text", where="generation", remedy="Leave it out.")
    return config.model_copy(update={"generation": generation})


def _original(config: TrainConfig) -> Callable[[], Path]:
    """The backbone before training, by which nearest examples were chosen."""
    return lambda: resolve(config.model).folder
