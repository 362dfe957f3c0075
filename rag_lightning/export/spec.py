"""All of a run but its network, in a folder: settings as JSON, weights that are applied outside as arrays.

Reading needs no torch. Beside :data:`FILE` lie the tokenizer, the rules and the template, as with any saved model.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from rag_lightning.encoding.context import EncodingContext
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.export.shapes.shape import Head, Shape, shape_of
from rag_lightning.export.tokenizer import PlainTokenizer
from rag_lightning.guidance.guide import Guide
from rag_lightning.guidance.options import GuidanceConfig
from rag_lightning.guidance.saved import load_guide, load_rendering
from rag_lightning.tasks.forms.form import Form, form_of

FILE = "rag_lightning.json"
ARRAYS = "head.npz"
VERSION = 1


@dataclass(frozen=True)
class Spec:
    """What an exported folder says of itself.

    Attributes:
        plain: :data:`FILE`, as it was written.
        shape, head: what stands before and behind the network.
        form: what the task reads and answers.
        guide: the rules.
        context: how records are encoded.
        inputs: the network's inputs, in order.
    """

    plain: dict[str, Any]
    shape: Shape
    head: Head
    form: Form
    guide: Guide
    context: EncodingContext
    inputs: tuple[str, ...]


def write_spec(folder: Path, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write :data:`FILE`, and :data:`ARRAYS` if there are any."""
    text = json.dumps({"version": VERSION, **plain}, ensure_ascii=False, indent=2)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
    if arrays:
        np.savez(folder / ARRAYS, allow_pickle=False, **arrays)


def read_spec(folder: Path) -> Spec:
    """What :func:`write_spec` wrote, with all that lies beside it.

    Raises:
        UserError: if the folder is no export that this version reads.
    """
    try:
        plain = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"not an exported model ({error})", where=str(folder), remedy="Make one: python -m rag_lightning.export."
        ) from None
    if plain.get("version") != VERSION or plain.get("shape") is None:
        raise UserError(
            "this export is for transformers, or of another version of rag_lightning",
            where=str(folder / FILE),
            remedy="Export the run again with format=onnx or format=torch.",
        )
    arrays = {}
    if (folder / ARRAYS).is_file():
        with np.load(folder / ARRAYS, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    labels, options = tuple(plain["labels"]), SimpleNamespace(**plain["options"])
    form = form_of(plain["task"], options)
    assert form is not None, "an exported task has a form"
    tokenizer = PlainTokenizer(folder, plain["token_ids"], plain["token_types"])
    guide = load_guide(folder, GuidanceConfig(**plain["guidance"]), plain["of_tokens"])
    context = EncodingContext(
        WordEncoder(tokenizer, plain["max_length"]), labels, options, plain["overlap"],
        load_rendering(folder, None).render((), labels), lambda record: guide.columns(record, labels),
        guide.column_names,
    )  # fmt: skip
    head = Head(labels, options, plain["config"], arrays, guide.transitions)
    return Spec(plain, shape_of(plain["shape"]), head, form, guide, context, tuple(plain["inputs"]))
