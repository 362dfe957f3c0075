"""A short answer that a chatting model writes from past questions with their answers, without being trained for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from rag_lightning.encoding.load import load_words
from rag_lightning.encoding.running import RunningWords
from rag_lightning.errors import UserError
from rag_lightning.generation.generate import generate
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.resolve import architecture, resolve
from rag_lightning.template.parse import Parts, check_slots, parse
from rag_lightning.template.retrieval import Entry

SLOTS = ("context", "text")


@dataclass(frozen=True)
class Writer:
    """A model that chats, and how it is asked.

    Attributes:
        network: a decoder, on its device.
        words: its tokenizer, with a chat template.
        system: what it is told to be.
        line: a template with the slots {context} and {text}, which makes one message of what was found and the
            question; None: what was found are earlier turns of the conversation, the nearest last, which small models
            follow better (experiments/applications/customer_service).
        options: how it writes.
    """

    network: PreTrainedModel
    words: RunningWords
    system: str
    line: Parts | None
    options: GenerationOptions

    def write(self, questions: Sequence[str], known: Sequence[Sequence[Entry]]) -> list[str]:
        """An answer to each question, in one line.

        Args:
            questions: as they were asked.
            known: for each what was found, the nearest first: past questions with their answers; may be none.
        """
        prompts = [self._prompt(text, entries) for text, entries in zip(questions, known, strict=True)]
        written = generate(
            self.network, self.words.tokenizer, prompts, self.options,
            tokens_per_batch=4096, overlong="cut_start", window=self.words.max_length,
        )  # fmt: skip
        return [" ".join(each.text.split()) for each in written]

    def _prompt(self, question: str, entries: Sequence[Entry]) -> list[int]:
        messages = [("system", self.system)]
        if self.line is None:
            messages += [
                turn for each in reversed(entries) for turn in (("user", each.title), ("assistant", each.text))
            ]
        messages.append(("user", self._asked(question, entries)))
        assert self.words.chat is not None, "checked when it was loaded"
        first, *frames = self.words.chat.frame([role for role, _ in messages])
        ids = list(first)
        for (_, text), frame in zip(messages, frames, strict=True):
            ids += [*self.words.ids(text), *frame]
        return ids

    def _asked(self, question: str, entries: Sequence[Entry]) -> str:
        if self.line is None or not entries:
            return question
        values = {"text": question, "context": as_context(entries)}
        return "".join(part if isinstance(part, str) else values[part.name] for part in self.line)


def as_context(entries: Sequence[Entry]) -> str:
    """``Where is my card? It takes five days. …``"""
    return " ".join(entry.shown for entry in entries)


def load_writer(config: ModelConfig, options: GenerationOptions, *, system: str, line: str | None = None) -> Writer:
    """The writer of a model that chats.

    Args:
        config: such as that of ``model=smollm2``.
        options: how it writes.
        system, line: as of :class:`Writer`, in words.

    Raises:
        UserError: a slot that does not exist; the model is missing, or is none that chats.
    """
    template = None if line is None else parse(line, "line")
    check_slots(template or (), SLOTS, "line")
    folder = resolve(config).folder
    shape = architecture(folder)
    words = load_words(folder, shape, "next_tokens", config.max_length)
    if not isinstance(words, RunningWords) or words.chat is None:
        raise UserError(
            "the tokenizer of this backbone has no chat template",
            where="model",
            remedy="Choose a backbone that was trained to chat, such as model=smollm2.",
        )
    network = load_network(folder, "next_tokens", (), config, 0)
    return Writer(network, words, system, template, options)
