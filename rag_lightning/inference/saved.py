"""A finished run, loaded from its folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_lightning.config.schema import TrainConfig
from rag_lightning.config.validate import validate_train
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.model.files import fingerprint
from rag_lightning.model.interface import padding_side
from rag_lightning.model.load import load_network, window_length
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.resolve import architecture, resolve
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.tasks.registry import get_task
from rag_lightning.tasks.task import Task
from rag_lightning.training.folder import RunFolder


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


def load_run(path: str) -> SavedRun:
    """Load ``FOLDER/model`` and the settings in ``FOLDER/config.yaml``.

    Raises:
        UserError: if the folder is none of a run, or its run is not finished.
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
    saved = ModelConfig(name=config.model.name, path=folder.model, max_length=config.model.max_length)
    resolve(saved)  # says what is missing or cut off, before anything is loaded
    shape = architecture(folder.model)
    labels = tuple(shape.id2label[i] for i in range(len(shape.id2label)))
    tokenizer = load_tokenizer(folder.model, padding_side=padding_side(shape.model_type, task.output.name))
    network = load_network(folder.model, task.output.name, labels, saved, config.seed)
    return SavedRun(
        folder, config, plain, task, task.options(**config.task), labels, network,
        WordEncoder(tokenizer, window_length(shape, config.model.max_length)),
        fingerprint(folder.model, weights=False),
    )  # fmt: skip
