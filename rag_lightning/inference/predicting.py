"""Apply a finished run to text, JSONL or CoNLL input: JSON lines out, in order, in batches, of any length."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import torch
from omegaconf import DictConfig

from rag_lightning.config.schema import PredictConfig
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.data.records import Record
from rag_lightning.data.shots import without_labels
from rag_lightning.encoding.budget import by_budget
from rag_lightning.encoding.loader import pad_columns
from rag_lightning.errors import UserError
from rag_lightning.inference.saved import SavedRun, load_run
from rag_lightning.speed.accelerate import accelerate
from rag_lightning.tasks.task import EncodingContext, Task
from rag_lightning.template.wording import ANSWERS

if TYPE_CHECKING:
    from rag_lightning.inference.joint import JointPredictor

GROUP = 512  # inputs read, sorted into batches and answered at a time: a stream needs no end
ENDINGS = (".txt", ".jsonl", ".conll")


def predict_run(raw: DictConfig) -> int:
    """Answer every input and write one JSON line each.

    Raises:
        UserError: if the run or the input cannot be read.
    """
    config = parse(PredictConfig, to_plain(raw))
    predictor = _predictor(config)
    count = 0
    with _writer(config.output) as out:
        for answer in predictor.answers(_inputs(config, predictor.task)):
            out.write(json.dumps(answer, ensure_ascii=False) + "\n")
            count += 1
            if config.output == "-" and count % GROUP == 0:
                out.flush()
    if config.output != "-":
        print(f"{count:,} {'input' if count == 1 else 'inputs'} answered: {config.output}", file=sys.stderr)
    return count


def _predictor(config: PredictConfig) -> "Predictor | JointPredictor":
    """The run that answers; with ``ner`` two runs in a row."""
    predictor = Predictor(load_run(config.run, config.generation), config.tokens, config.device)
    if config.ner is None:
        return predictor
    from rag_lightning.inference.joint import JointPredictor

    return JointPredictor(predictor, Predictor(load_run(config.ner), config.tokens, config.device), config.pairs)


class Predictor:
    """A finished run that answers records.

    Args:
        run: the loaded run; its network is accelerated in place.
        tokens: padded tokens in a batch.
        device: auto, cpu, cuda …
        accelerated: False leaves the network in float32, layer by layer, as transformers computes it.
    """

    def __init__(self, run: SavedRun, tokens: int = 4096, device: str = "auto", *, accelerated: bool = True) -> None:
        self.run, self.task, self.tokens = run, run.task, tokens
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        try:
            self.device = torch.device(chosen)
            run.network.to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            raise UserError(
                f"the device cannot be used ({str(error).splitlines()[0]})", where="device", remedy="Use device=cpu."
            ) from None
        if accelerated:
            precision = str(run.config.trainer.get("precision", "auto"))
            accelerate(run.network, run.config.speed, accelerator=self.device.type, precision=precision)
        self.context = encoding_context(run)

    def answers(self, records: Iterable[Record]) -> Iterator[dict[str, Any]]:
        """One answer per record, in order."""
        stream = iter(records)
        while group := list(islice(stream, GROUP)):
            for record, prediction in zip(group, self.predict(group), strict=True):
                answer = self.run.task.answer(record, prediction)
                yield {"id": record["id"], **answer} if "id" in record else answer

    @torch.inference_mode()
    def predict(self, records: list[Record]) -> list[Any]:
        """The task's predictions of some records, computed in batches of similar length."""
        import numpy as np

        bare = self.run.guide.annotate([without_labels(record, self.run.task.reading) for record in records])
        output = self.run.task.output
        columns = output.encode(bare, 0, self.context)
        lengths = np.array(columns.get("cost") or [len(ids) for ids in columns["input_ids"]], dtype=np.int64)
        marks = dict.fromkeys(self.run.guide.column_names, 0)
        padding = {**output.padding, **marks, "input_ids": self.run.words.tokenizer.pad_token_id}
        decoded = []
        for rows in by_budget(lengths, np.argsort(-lengths, kind="stable"), self.tokens):
            chosen = {name: [values[row] for row in rows] for name, values in columns.items()}
            batch = {name: tensor.to(self.device) for name, tensor in pad_columns(chosen, padding).items()}
            decoded.append(output.decode(output.forward(self.run.network, batch), batch))
        return output.assemble(records, decoded, self.run.labels)


def encoding_context(run: SavedRun) -> EncodingContext:
    """How a run's records are encoded in use."""
    return EncodingContext(
        run.words, run.labels, run.options, run.config.encoding.overlap, run.rendering.render((), run.labels),
        lambda record: run.guide.columns(record, run.labels), run.guide.column_names, run.config.generation,
    )  # fmt: skip


def _inputs(config: PredictConfig, task: Task) -> Iterator[Record]:
    if config.text is not None:
        yield task.read_text(config.text)
        return
    if config.input == "-":
        yield from _lines(sys.stdin, "standard input", task)
        return
    path = Path(config.input).expanduser()
    files = sorted(p for p in path.rglob("*") if p.suffix in ENDINGS) if path.is_dir() else [path]
    if not files or not path.exists():
        raise UserError(
            "there is nothing to read" if path.is_dir() else "the file does not exist",
            where=str(path), remedy=f"Give a file, a folder with {', '.join(ENDINGS)} files, or - for standard input.",
        )  # fmt: skip
    for file in files:
        if file.suffix == ".conll":
            yield from _conll(file)
            continue
        try:
            with open(file, encoding="utf-8-sig") as lines:
                yield from _lines(lines, str(file), task)
        except UnicodeDecodeError as error:
            raise UserError(
                f"not UTF-8 (byte {error.start})",
                where=str(file),
                remedy="Convert it, as with iconv -f latin1 -t utf8.",
            ) from None


def _conll(file: Path) -> Iterator[Record]:
    from rag_lightning.data.options import DataConfig
    from rag_lightning.data.readers.conll import read

    yield from read(file, DataConfig(name=file.stem, format="conll", fields={"tokens": 0}), "test")


def _lines(lines: Iterable[str], name: str, task: Task) -> Iterator[Record]:
    """Each line a text, or a JSON object with ``text``, ``tokens`` or what else the task reads (and an ``id``)."""
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r\n")
        if not (name.endswith(".jsonl") or line.startswith("{")):
            yield _text(line, f"{name}:{number}", task)
            continue
        if not line.strip():
            continue
        try:
            given = json.loads(line)
        except ValueError as error:
            if not name.endswith(".jsonl"):  # a text that happens to begin with a brace
                yield _text(line, f"{name}:{number}", task)
                continue
            raise UserError(f"not JSON ({error})", where=f"{name}:{number}", remedy="One object a line.") from None
        yield read_record(given, f"{name}:{number}", task)


def _text(line: str, where: str, task: Task) -> Record:
    try:
        return task.read_text(line)
    except UserError as error:
        raise UserError(error.reason, where=where, remedy=error.remedy) from None


def read_record(given: Any, where: str, task: Task) -> Record:
    """An object with what the task reads (and an ``id``, and what a template may show) as a record.

    Raises:
        UserError: if something is missing.
    """
    if task.read_fields is not None and isinstance(given, dict):
        record: Record = task.read_fields(given, where)
    elif isinstance(given, dict) and isinstance(given.get("tokens"), list):
        record = {"tokens": [str(token) for token in given["tokens"]]}
    elif isinstance(given, dict) and isinstance(given.get("text"), str):
        record = task.read_text(given["text"])
    else:
        raise UserError("an input needs text or tokens", where=where, remedy='As {"id": 1, "text": "…"}.')
    own = ("text", "tokens", *ANSWERS)
    plain = (str, int, float)
    kept = {k: v for k, v in given.items() if k == "id" or (k not in own and isinstance(v, plain))}
    return {**kept, **record}  # a template may show further fields


@contextmanager
def _writer(output: str) -> Iterator[TextIO]:
    if output == "-":
        yield sys.stdout
        return
    path = Path(output).expanduser()
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "w", encoding="utf-8") as file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
