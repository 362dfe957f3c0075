"""A finished run as the server uses it: read, answered in one of its ways, explained, written piece by piece."""

import copy
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag_lightning.data.checking import sound
from rag_lightning.data.records import Record
from rag_lightning.encoding.render import render_plain, words_of
from rag_lightning.errors import UserError
from rag_lightning.generation.generate import Overlong
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.generation.stream import stream
from rag_lightning.guidance.guide import Guide
from rag_lightning.inference.chatting import TASK as DIALOGUE
from rag_lightning.inference.chatting import prompt_of
from rag_lightning.inference.predicting import Predictor, read_record
from rag_lightning.inference.saved import load_run
from rag_lightning.tasks.forms.form import described
from rag_lightning.template.parse import parse, slots_of
from rag_lightning.template.render import TemplateRender


@dataclass(frozen=True)
class Way:
    """How a record is answered: as the run was trained, or with a part of its input left out."""

    rules: bool = True
    template: bool = True
    explain: bool = False


class SilentGuide(Guide):
    """A run's guide whose rules find nothing."""

    def annotate(self, records: Any) -> list[Record]:
        return [{**record, "hits": []} for record in records] if self.has_rules else list(records)


class ServedRun:
    """A run in use.

    Args:
        name: as requests call it.
        path: its folder.
        tokens: padded tokens in a batch.
        device: auto, cpu, cuda …
    """

    def __init__(self, name: str, path: str, tokens: int, device: str) -> None:
        self.name = name
        self.predictor = Predictor(load_run(path), tokens, device)
        self.run, self.task = self.predictor.run, self.predictor.run.task
        self.writes = self.task.output.head == "text"
        render = self.predictor.context.render
        self.recipe = render.recipe if isinstance(render, TemplateRender) else None
        slots = [] if self.recipe is None else slots_of(parse(self.recipe.config.text))
        self.has_rules = self.run.guide.has_rules
        self.may_go_without_template = self.recipe is not None and "mask" not in slots
        self.input, self.answer = described(self.task.name)
        self._read = {*self.input["properties"], "id", *slots} - {"hits"}
        self._ways: dict[tuple[bool, bool], Predictor] = {(True, True): self.predictor}

    def read(self, given: Any, where: str) -> Record:
        """What a client sent, as a record; fields that nothing reads are left out.

        Raises:
            UserError: if it is not what the task reads.
        """
        if isinstance(given, str):
            return self.task.read_text(sound(given, where))
        if not isinstance(given, dict):
            raise UserError("a record is an object or a text", where=where, remedy='As {"text": "…"}.')
        check_sound(given, where)
        return read_record({name: value for name, value in given.items() if name in self._read}, where, self.task)

    def check_way(self, way: Way) -> None:
        """Raise a UserError where the run has no other way."""
        if not way.template and not self.may_go_without_template:
            reason = "its template asks for the word at the mask" if self.recipe else "it has no template"
            raise UserError(f"{self.name} cannot go without a template: {reason}", where="template")

    def answers(self, records: list[Record], way: Way) -> list[dict[str, Any]]:
        """One answer per record; with ``explain`` what the rules found and what the model read."""
        predictor = self._in(way)
        answers = list(predictor.answers(records))
        if not way.explain:
            return answers
        return [
            {**answer, "explained": self._explained(record, predictor)}
            for record, answer in zip(records, answers, strict=True)
        ]

    def pieces(self, record: Record, way: Way) -> Generator[str, None, dict[str, Any]]:
        """The pieces of a text as it is written; its value is what ended it."""
        options = self.run.config.generation
        if options.num_beams > 1:  # known at its end only
            [answer] = self.answers([record], replace(way, explain=False))
            written = [value for name, value in answer.items() if name in self.answer["properties"] and name != "text"]
            yield next((value for value in written if isinstance(value, str)), "")
            return {"ended": "eos"}
        predictor, shown = self._in(way), ""
        for piece in self._stream(predictor, record, options):
            piece = piece if shown else piece.lstrip()
            shown += piece
            if piece:
                yield piece
        return {"text": shown.strip()}

    def _stream(self, predictor: Predictor, record: Record, options: GenerationOptions) -> Generator[str, None, Any]:
        words = self.run.words
        overlong: Overlong = "cut_start" if self.task.name == DIALOGUE else "cut_end"
        prompt = prompt_of(predictor, record)
        return stream(self.run.network, words.tokenizer, prompt, options, overlong=overlong, window=words.max_length)

    def _in(self, way: Way) -> Predictor:
        key = (way.rules or not self.has_rules, way.template or self.recipe is None)
        if key not in self._ways:
            changed = copy.copy(self.predictor)
            guide = self.run.guide
            if not key[0]:
                guide = SilentGuide(guide.ruleset, guide.config, guide.of_tokens)
            changed.run = replace(self.run, guide=guide)
            context = replace(changed.context, word_columns=lambda record: guide.columns(record, self.run.labels))
            changed.context = context if key[1] else replace(context, render=render_plain)
            self._ways[key] = changed
        return self._ways[key]

    def _explained(self, record: Record, predictor: Predictor) -> dict[str, Any]:
        [seen] = predictor.run.guide.annotate([record])
        return {"hits": hits_in_text(seen), "input": words_of(predictor.context.render(seen))}

    def about(self) -> dict[str, Any]:
        """What a client, and the page, should know of the run."""
        ruleset = self.run.guide.ruleset
        return {
            "name": self.name,
            "task": self.task.name,
            "model": self.run.config.model.name,
            "labels": self.task.rule_labels(self.run.labels),
            "example": self.task.example,
            "input": self.input,
            "answer": self.answer,
            "streams": self.writes,
            "rules": None if not self.has_rules else {"rules": [rule.name for rule in ruleset.rules],
                                                      "description": ruleset.description},
            "template": None if self.recipe is None else {"text": self.recipe.config.text,
                                                          "optional": self.may_go_without_template},
            "scores": self.run.folder.metrics(),
        }  # fmt: skip


def hits_in_text(record: Record) -> list[dict[str, Any]]:
    """A record's hits with places in its text (in its tokens, where it has no text)."""
    found, offsets, text = [], record.get("offsets"), record.get("text")
    in_tokens = record.get("tokens") is not None
    for start, end, label, rule, _, veto in record.get("hits", ()):
        shown = " ".join(record["tokens"][start:end]) if in_tokens else str(text)[start:end]
        if in_tokens and offsets is not None:
            start, end = offsets[start][0], offsets[end - 1][1]
            shown = str(text)[start:end]
        found.append({"start": start, "end": end, "text": shown, "label": label, "rule": rule, "veto": veto})
    return found


def strings_in(value: Any) -> list[str]:
    """All texts in what a client sent, keys of objects included."""
    found, left = [], [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, dict):
            left += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            left += one
    return found


def check_sound(given: Any, where: str) -> None:
    """Raise a UserError for half a character or a NUL in any text."""
    for text in strings_in(given):
        sound(text, where)


def load_runs(paths: list[str], tokens: int, device: str) -> dict[str, ServedRun]:
    """The runs by name: their folders' names, numbered where two are the same.

    Raises:
        UserError: if one of them is no finished run, or there is none.
    """
    if not paths:
        raise UserError("there is no run", where="run", remedy="Give a folder: run=FOLDER, or run=[A,B].")
    served: dict[str, ServedRun] = {}
    for path in paths:
        name = base = Path(path).expanduser().resolve().name
        number = 2
        while name in served:
            name, number = f"{base}-{number}", number + 1
        served[name] = ServedRun(name, path, tokens, device)
    return served
