"""An exported model in use: rules, template, tokenizer, network, answers. Needs no torch with onnxruntime.

::

    from rag_lightning.export.runtime import load

    model = load("FOLDER")
    model.answer("Ada Lovelace lived in London.")
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rag_lightning.data.records import Record
from rag_lightning.encoding.budget import by_budget
from rag_lightning.encoding.context import Columns
from rag_lightning.encoding.padding import padded
from rag_lightning.errors import UserError
from rag_lightning.export.spec import Spec, read_spec
from rag_lightning.rules.marks import COLUMN, COLUMN_BITS

GROUP = 512  # records read, sorted into batches and answered at a time
ONNX_FILE, TORCH_FILE = "model.onnx", "model.pt2"
MARKS = "marks"  # an input: what the rules found, as numbers 0 and 1 (rows, tokens, marks)


class Session(Protocol):
    """A network: its inputs by name to its output."""

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray: ...


class ExportedModel:
    """Answers records as the run does that it was exported from.

    Args:
        spec: of the folder.
        session: the network.
        tokens: padded tokens in a batch.
    """

    def __init__(self, spec: Spec, session: Session, tokens: int = 4096) -> None:
        self.spec, self.session, self.tokens = spec, session, tokens

    def answer(self, given: str | dict[str, Any]) -> dict[str, Any]:
        """The answer to a text, or to an object with the task's fields."""
        return next(self.answers([self.record(given)]))

    def record(self, given: str | dict[str, Any]) -> Record:
        """What the user gave, as a record.

        Raises:
            UserError: if it is not what the task reads.
        """
        form = self.spec.form
        if isinstance(given, str):
            return form.read_text(given)
        if form.read_fields is not None:
            return form.read_fields(given, "the input")
        if isinstance(given.get("tokens"), list):
            return {"tokens": [str(token) for token in given["tokens"]]}
        if isinstance(given.get("text"), str):
            return form.read_text(given["text"])
        raise UserError("an input needs text or tokens", where="the input", remedy='As {"text": "…"}.')

    def answers(self, records: Iterable[Record]) -> Iterator[dict[str, Any]]:
        """One answer per record, in order."""
        stream = iter(records)
        while group := list(islice(stream, GROUP)):
            for record, prediction in zip(group, self.predict(group), strict=True):
                yield self.spec.form.answer(record, prediction)

    def predict(self, records: list[Record]) -> list[Any]:
        """The task's predictions, computed in batches of similar length."""
        shape, head = self.spec.shape, self.spec.head
        decoded = []
        for batch in self.batches(records):
            outputs = [self.session(part) for part in self.inputs(batch)]
            decoded.append(shape.decode(outputs, batch, head))
        return shape.assemble(records, decoded, head)

    def batches(self, records: list[Record]) -> Iterator[dict[str, np.ndarray]]:
        """The records' rows as padded arrays, those of similar length together."""
        columns = self.columns(records)
        lengths = np.array([len(ids) for ids in columns["input_ids"]], dtype=np.int64)
        names, pad = self.spec.guide.column_names, self.spec.context.words.tokenizer.pad_token_id
        padding = {**self.spec.shape.padding, **dict.fromkeys(names, 0), "input_ids": pad}
        for rows in by_budget(lengths, np.argsort(-lengths, kind="stable"), self.tokens):
            yield padded({name: [values[row] for row in rows] for name, values in columns.items()}, padding)

    def columns(self, records: list[Record]) -> Columns:
        """The records as rows of numbers."""
        return self.spec.shape.encode(self.spec.guide.annotate(records), 0, self.spec.context)

    def inputs(self, batch: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """What the network is given for each part of a batch."""
        for part in self.spec.shape.parts(batch):
            known = {name: part[name] for name in ("input_ids", "attention_mask")} | self.spec.shape.inputs(part)
            if MARKS in self.spec.inputs:
                known[MARKS] = _marks(part, self.spec.guide.index.size)
            yield {name: known[name] for name in self.spec.inputs}


def _marks(batch: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """The bits of the columns of marks, (rows, tokens, size)."""
    bits = np.arange(COLUMN_BITS)
    columns = [batch[COLUMN.format(i)] for i in range(-(-size // COLUMN_BITS))]
    unpacked = [(column[..., None] >> bits) & 1 for column in columns]
    return np.concatenate(unpacked, axis=-1)[..., :size].astype(np.float32)


class OnnxSession:
    """A network by onnxruntime, on the CPU.

    Args:
        threads: None: as many as onnxruntime chooses.
    """

    def __init__(self, file: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        output: np.ndarray = self._session.run(None, dict(inputs))[0]
        return output


def load(folder: str | Path, threads: int | None = None) -> ExportedModel:
    """The model of a folder that ``format=onnx`` or ``format=torch`` wrote.

    Raises:
        UserError: if it is no such folder, or what runs it is not installed.
    """
    folder = Path(folder).expanduser()
    spec = read_spec(folder)
    session: Session
    if (folder / ONNX_FILE).is_file():
        try:
            session = OnnxSession(folder / ONNX_FILE, threads)
        except ImportError:
            raise UserError(
                "onnxruntime is not installed", where=str(folder), remedy="pip install onnxruntime."
            ) from None
    else:
        from rag_lightning.export.program import TorchSession

        session = TorchSession(folder / TORCH_FILE, spec.inputs)
    return ExportedModel(spec, session)


def main(arguments: list[str]) -> None:
    """``python -m rag_lightning.export.runtime FOLDER < texts``: JSON lines out, one per line of text or JSON."""
    import sys

    model = load(arguments[0])
    for line in map(str.strip, sys.stdin):
        print(json.dumps(model.answer(_given(line)), ensure_ascii=False), flush=True)


def _given(line: str) -> Any:
    """An object where it is one; a text may begin with a brace too."""
    try:
        return json.loads(line) if line.startswith("{") else line
    except ValueError:
        return line


if __name__ == "__main__":
    import sys

    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m rag_lightning.export.runtime FOLDER < texts.txt")
    try:
        main(sys.argv[1:])
    except UserError as mistake:
        raise SystemExit(f"error: {mistake}") from None
