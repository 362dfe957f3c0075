"""What a writing network is given to go on from: a record rendered, put into a conversation, and made to fit."""

from collections.abc import Sequence
from typing import NamedTuple

from rag_lightning.data.records import Record
from rag_lightning.encoding.chat import USER, ChatFrames
from rag_lightning.encoding.render import SEP
from rag_lightning.encoding.running import RunningWords
from rag_lightning.encoding.segments import LEAST, Part, shorten, special_id
from rag_lightning.errors import UserError
from rag_lightning.tasks.task import EncodingContext

_SYSTEM = "system"
_LAST_RANK = 1  # parts of a higher rank make room before earlier turns do


class Prompt(NamedTuple):
    """Ids with all special tokens, and how many tokens of the example found no room."""

    ids: list[int]
    cut: int


def encode_prompts(records: Sequence[Record], context: EncodingContext, *, continued: bool) -> list[Prompt]:
    """A prompt for each record.

    With a chat template (option ``chat`` of the task) the rendered record is the user's last message, behind the
    record's ``turns`` ([{role, text}]); else a line end stands between it and what is to be written. Where it is too
    long, what the template adds makes room first, then the earliest turns, then the example itself; words of the
    template, and messages of the system, are never cut.

    Args:
        records: in the task's form.
        context: its ``words`` are those of running text.
        continued: the text is written into the same window, behind the prompt; else the prompt has one for itself.

    Raises:
        UserError: no chat template although one was asked for, or no room.
    """
    words = context.words
    assert isinstance(words, RunningWords), "a writing task is given the encoder of running text"
    room = words.max_length - (_kept_free(context) if continued else 0)
    rendered = words.encode_rendered(records, context.render)
    frames = _frames(words, context) if continued else None
    if frames is not None:
        turns = [record.get("turns", ()) for record in records]
        return [_in_chat(parts, each, frames, words, room) for parts, each in zip(rendered, turns, strict=True)]
    before, behind = (words.prefix, _separator(words)) if continued else (words.prefix, words.suffix)
    return [_alone(parts, before, behind, room) for parts in rendered]


def uses_chat(words: RunningWords, context: EncodingContext) -> bool:
    """Whether causal prompts are written as a conversation."""
    return _frames(words, context) is not None


def _kept_free(context: EncodingContext) -> int:
    """Tokens of the window that are kept for what is written."""
    kept, window = context.generation.max_new_tokens, context.words.max_length
    if window - kept < LEAST:
        raise UserError(
            f"max_new_tokens={kept} leaves {max(0, window - kept)} of the window's {window} tokens for the input",
            where="generation.max_new_tokens",
            remedy="Lower it, or raise model.max_length as far as the model can read.",
        )
    return kept


def _frames(words: RunningWords, context: EncodingContext) -> ChatFrames | None:
    wanted = context.options.chat
    if wanted is True and words.chat is None:
        raise UserError(
            "the tokenizer of this backbone has no chat template",
            where="task.chat",
            remedy="Set task.chat=auto, or choose a backbone that was trained to chat, such as model=smollm2.",
        )
    return words.chat if wanted in (True, "auto") else None


def _separator(words: RunningWords) -> list[int]:
    """What stands between prompt and text without a conversation: a line end, where the tokenizer knows it."""
    line_end = words.ids("\n")
    return line_end if line_end and words.tokenizer.unk_token_id not in line_end else [special_id(SEP, words)]


def _alone(parts: list[Part], before: list[int], behind: list[int], room: int) -> Prompt:
    kept, cut = _shortened(parts, room - len(before) - len(behind))
    return Prompt([*before, *kept, *behind], cut)


def _in_chat(
    parts: list[Part], turns: Sequence[dict[str, str]], frames: ChatFrames, words: RunningWords, room: int
) -> Prompt:
    messages = [(turn["role"], words.ids(turn["text"])) for turn in turns]
    wanted = sum(part.size for part in parts if part.segment.rank <= _LAST_RANK)
    lost = 0
    while True:
        frame = frames.frame([*(role for role, _ in messages), USER])
        around = sum(map(len, frame)) + sum(len(ids) for _, ids in messages)
        earliest = next((place for place, (role, _) in enumerate(messages) if role != _SYSTEM), None)
        if earliest is None or around + wanted <= room:
            break
        lost += len(messages.pop(earliest)[1])
    if room - around < min(LEAST, wanted):
        raise UserError(
            f"the chat template takes {around} of the {max(0, room)} tokens that a prompt holds",
            where="model.max_length",
            remedy="Raise it, lower generation.max_new_tokens, or set task.chat=false.",
        )
    own, cut = _shortened(parts, room - around)
    contents = [*(ids for _, ids in messages), own]
    ids = list(frame[0])
    for content, behind in zip(contents, frame[1:], strict=True):
        ids += [*content, *behind]
    return Prompt(ids, lost + cut)


def _shortened(parts: list[Part], room: int) -> tuple[list[int], int]:
    """The tokens that fit, and how many of the example's do not."""
    kept, cut = shorten(parts, max(0, room))
    own = {part.segment.field for part in parts if part.segment.rank == 0}
    tokens = [token for part in kept for piece in part.pieces for token in piece]
    return tokens, sum(lost for field, lost in cut.items() if field in own)
