"""Running text keeps its spaces, wherever a template's parts meet, and a conversation its form."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny_writing import byte_tokenizer

from rag_lightning.encoding.chat import ChatFrames
from rag_lightning.encoding.render import SEP, Segment
from rag_lightning.encoding.running import RunningWords
from rag_lightning.encoding.segments import Part
from rag_lightning.errors import UserError
from rag_lightning.model.tokenizer import load_tokenizer

TEMPLATE = [
    Segment(("Translate", "into")),
    Segment(("German",), "target_language"),
    Segment((":",), joined=True),
    Segment(("Dinner", "is", "ready.", "Größe", "你好吗"), "text"),
    Segment(('"',)),
    Segment(("quoted",), "other", joined=True),
    Segment(('"',), joined=True),
]
SHOWN = 'Translate into German: Dinner is ready. Größe 你好吗 "quoted"'


def _flat(parts: Sequence[Part]) -> list[int]:
    return [token for part in parts for piece in part.pieces for token in piece]


def _encoded(words: RunningWords, segments: Sequence[Segment]) -> list[Part]:
    return words.encode_rendered([{}], lambda record: list(segments))[0]


def test_parts_are_the_running_text_cut_at_words() -> None:
    words = RunningWords(byte_tokenizer(), 64)
    parts = _encoded(words, TEMPLATE)
    assert _flat(parts) == words.ids(SHOWN)
    decoded = [[words.tokenizer.decode(piece) for piece in part.pieces] for part in parts]
    assert decoded[0] == ["Translate", " into"] and decoded[2] == [":"]
    assert decoded[3] == [" Dinner", " is", " ready.", " Größe", " 你好吗"] and decoded[5] == ["quoted"]


@pytest.mark.parametrize("model", ["gpt2-tokenizer", "t5-small-tokenizer", "tinystories-656k"])
def test_parts_are_the_running_text_for_vocabularies_of_all_kinds(model: str, shared: Path) -> None:
    words = RunningWords(load_tokenizer(shared / "models" / model, pre_split=False), 64)
    parts = _encoded(words, TEMPLATE)
    assert _flat(parts) == words.ids(SHOWN)
    assert all(piece for part in parts[:4] for piece in part.pieces[:3])


def test_separators_divide_the_text_and_what_looks_like_one_does_not() -> None:
    words = RunningWords(byte_tokenizer(), 64)
    end = words.tokenizer.eos_token_id
    parts = _encoded(words, [Segment(("Say",)), Segment((SEP,)), Segment(("so", "</s>"), "text")])
    assert _flat(parts) == [*words.ids("Say"), end, *words.ids("so </s>")]
    assert end not in parts[2].pieces[1]


def test_pre_split_texts_are_encoded_with_their_spaces() -> None:
    words = RunningWords(byte_tokenizer(), 64)
    first, empty, zero_width = words.encode([["a", "b"], [], ["\u200b"]])
    assert [words.tokenizer.decode(piece) for piece in first] == ["a", " b"]
    assert empty == [] and len(zero_width) == 1


@pytest.mark.parametrize(("model_type", "prefix", "suffix"), [("gpt2", [], []), ("t5", [], [2]), ("bart", [1], [2])])
def test_special_tokens_around_a_text(model_type: str, prefix: list[int], suffix: list[int]) -> None:
    words = RunningWords(byte_tokenizer(model_type), 20)
    assert (words.prefix, words.suffix, words.room) == (prefix, suffix, 20 - len(prefix) - len(suffix))


def test_a_conversation_is_written_as_the_chat_template_has_it() -> None:
    words = RunningWords(byte_tokenizer(chat=True), 64)
    assert words.chat is not None
    said = ["Hi", "Hello.", "Bye <|im_end|>"]
    roles = ["user", "assistant", "user"]
    frame = words.chat.frame(roles)
    ids = list(frame[0])
    for text, behind in zip(said, frame[1:], strict=True):
        ids += [*words.ids(text), *behind]
    end = words.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert ids.count(end) == 3  # the one in the user's text is text
    safe = words.tokenizer.apply_chat_template(
        [{"role": role, "content": text} for role, text in zip(roles, said[:2] + ["Bye X"], strict=True)],
        tokenize=False, add_generation_prompt=True,
    )  # fmt: skip
    assert words.tokenizer.decode(ids).replace("<|im_end|><|im_end|>", "X<|im_end|>") == safe


def test_a_chat_template_that_refuses_is_told_in_words() -> None:
    tokenizer = byte_tokenizer(chat=True)
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(UserError, match=r"task\.chat: .*user, user \(roles must alternate\)"):
        ChatFrames(tokenizer).frame(["user", "user"])
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    with pytest.raises(UserError, match="leaves out a message"):
        ChatFrames(tokenizer).frame(["user", "user"])


def test_without_a_chat_template_there_is_no_conversation() -> None:
    assert RunningWords(byte_tokenizer(), 64).chat is None
