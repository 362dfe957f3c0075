"""Segments as sub-tokens: words keep their labels wherever the template puts them, and what is cut, in which order."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from template_example import EXAMPLES, NER, VARIANTS, build_render, render_of, variant

from rag_lightning.data.records import Record
from rag_lightning.encoding.render import MASK, SEP, Render, Segment, render_plain
from rag_lightning.encoding.segments import LEAST, Part, encode_segments, shorten
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.tasks.ner import NerOptions
from rag_lightning.tasks.outputs.token_labels import IGNORED, NO_WORD, TOKEN_LABELS
from rag_lightning.tasks.task import EncodingContext


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


def encode(tokenizer: Any, records: list[Record], render: Render, max_length: int = 512) -> dict[str, list[Any]]:
    words = WordEncoder(tokenizer, max_length)
    return TOKEN_LABELS.encode(records, 0, EncodingContext(words, NER["labels"], NerOptions(), 0.25, render))


def read_off(columns: dict[str, list[Any]], example: int = 0) -> dict[int, tuple[int, int]]:
    """Word -> its first sub-token and label, where it is read; every word once."""
    found: dict[int, tuple[int, int]] = {}
    for row, number in enumerate(columns["example"]):
        for token, label, word in zip(*(columns[c][row] for c in ("input_ids", "labels", "words")), strict=True):
            if number == example and word != NO_WORD:
                assert word not in found, "a word is answered once"
                found[word] = (token, label)
    return found


# --- token labels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in VARIANTS if variant(name).tasks is None])
@pytest.mark.parametrize("max_length", [512, 64])
def test_in_every_variant_the_words_keep_their_labels(
    name: str, max_length: int, tokenizer: Any, knowledge: Path
) -> None:
    tags = ["B-PER", "I-PER", "O", "B-ORG", "O", "B-LOC", "O"]
    record = {**EXAMPLES["ner"], "tags": tags}
    render, _ = render_of(name, "ner", knowledge)
    plain = encode(tokenizer, [record], render_plain)
    columns = encode(tokenizer, [record], render, max_length)
    assert read_off(columns) == read_off(plain)
    n_labels = sum(label != IGNORED for row in plain["labels"] for label in row)
    assert sum(columns["n_labels"]) == n_labels, "no word of the template is labelled"


def test_a_long_text_keeps_the_template_in_every_window(tokenizer: Any) -> None:
    config = variant("none", text="Find {labels} {sep} {text} {sep}")
    render, _ = build_render(config, **NER)
    record = {"tokens": ["Ada", "left"] * 60, "tags": ["B-PER", "O"] * 60, "hits": []}
    columns = encode(tokenizer, [record], render, 64)
    assert len(columns["input_ids"]) > 1
    assert sorted(read_off(columns)) == list(range(120))
    sep = tokenizer.sep_token_id
    assert all(row.count(sep) == 3 and len(row) <= 64 for row in columns["input_ids"])
    first = encode(tokenizer, [{"tokens": ["x"], "hits": []}], render)["input_ids"][0]
    before = first[: first.index(sep) + 1]
    assert all(row[: len(before)] == before for row in columns["input_ids"])


def test_hints_make_room_before_the_example_is_divided(tokenizer: Any) -> None:
    render, _ = build_render(variant("none", text="{hints} {sep} {text}"), **NER)
    record = {"tokens": [f"word{i}" for i in range(8)], "tags": ["O"] * 8, "hits": [[0, 8, "PER", "r", 0, False]]}
    whole = encode(tokenizer, [record], render)
    assert whole["left_out"] == [0]
    plain = len(encode(tokenizer, [record], render_plain)["input_ids"][0])
    tight = encode(tokenizer, [record], render, plain + 6)
    assert len(tight["input_ids"]) == 1 and len(tight["input_ids"][0]) == plain + 6
    assert tight["left_out"] == [len(whole["input_ids"][0]) - plain - 6]
    assert sorted(read_off(tight)) == list(range(8))


def test_without_a_template_there_is_no_further_column(tokenizer: Any) -> None:
    assert "left_out" not in encode(tokenizer, [EXAMPLES["ner"]], render_plain)


def test_special_words_become_special_tokens_only_in_the_template(tokenizer: Any) -> None:
    words = WordEncoder(tokenizer, 64)

    def render(record: Record) -> list[Segment]:
        return [Segment([SEP, "in", MASK]), Segment(record["tokens"], "tokens")]

    (parts,) = encode_segments([{"tokens": ["[SEP]", "[MASK]"]}], render, words)
    assert [parts[0].pieces[0], parts[0].pieces[2]] == [[tokenizer.sep_token_id], [tokenizer.mask_token_id]]
    own = {token for piece in parts[1].pieces for token in piece}
    assert not own & {tokenizer.sep_token_id, tokenizer.mask_token_id}


@pytest.mark.parametrize(("word", "slot"), [(SEP, "sep"), (MASK, "mask")])
def test_a_tokenizer_without_the_special_token_is_told(
    word: str, slot: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = WordEncoder(tokenizer, 64)
    monkeypatch.setattr(type(tokenizer), f"{slot}_token_id", None, raising=False)
    with pytest.raises(UserError, match=rf"has no token for {{{slot}}}"):
        encode_segments([{}], lambda _: [Segment([word])], words)


def test_words_that_many_inputs_share_are_encoded_once(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = WordEncoder.encode

    def counted(self: WordEncoder, texts: Any) -> Any:
        seen.append(len(texts))
        return original(self, texts)

    render, _ = build_render(variant("none", text="Find {labels} in {text} now"), **NER)
    monkeypatch.setattr(WordEncoder, "encode", counted)
    encode(tokenizer, [EXAMPLES["ner"]] * 10, render)
    assert seen == [12], "ten examples, and the words before and after them"


# --- what is cut ------------------------------------------------------------------------------------------------

FIELDS = {None: 0, "tokens": 0, "text": 0, "title": 1, "hints": 2, "context": 3, "examples": 4}


@st.composite
def inputs(draw: st.DrawFn) -> list[Part]:
    fields = draw(st.lists(st.sampled_from(list(FIELDS)), min_size=1, max_size=6))
    parts = []
    for field in fields:
        pieces = draw(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), max_size=8))
        words = ["w"] * len(pieces)
        parts.append(Part(Segment(words, field, FIELDS[field], whole=field == "examples"), pieces))
    return parts


def flat(part: Part) -> list[int]:
    return [token for piece in part.pieces for token in piece]


@given(inputs(), st.integers(1, 60), st.sampled_from([None, "tokens"]))
def test_an_input_fits_and_only_what_may_be_is_cut(parts: list[Part], room: int, windowed: str | None) -> None:
    before = [flat(part) for part in parts]
    try:
        kept, cut = shorten(parts, room, windowed)
    except UserError as error:
        assert "template's own words take" in str(error)
        fixed = sum(part.size for part in parts if part.segment.field is None)
        assert fixed and room - fixed < LEAST
        return
    after = [flat(part) for part in kept]
    assert [flat(part) for part in parts] == before, "what is shared is not changed"
    for part, old, new in zip(parts, before, after, strict=True):
        assert new == old[: len(new)], "the end is cut"
        if part.segment.field in (None, windowed):
            assert new == old
        if part.segment.whole:
            assert new in (old, [])
    lost = [len(old) - len(new) for old, new in zip(before, after, strict=True)]
    assert sum(cut.values()) == sum(lost)
    assert all(cut.values())
    held = sum(map(len, after))
    untouched = sum(part.size for part in parts if part.segment.field in (None, windowed))
    assert held <= max(room, untouched)
    for part, gone in zip(parts, lost, strict=True):  # who ranks higher has nothing left where a lower one is cut
        if gone and held <= room:
            higher = [n for p, n in zip(parts, after, strict=True) if p.segment.rank > part.segment.rank]
            assert not any(higher)
    if sum(map(len, before)) <= room:
        assert after == before
    elif held < room:
        assert any(part.segment.whole and gone for part, gone in zip(parts, lost, strict=True)), "room is left unused"


def test_the_longer_of_two_fields_is_cut_first() -> None:
    parts = [Part(Segment(["a"], "premise"), [[1] * 10]), Part(Segment(["b"], "hypothesis"), [[2] * 4])]
    kept, cut = shorten(parts, 9)
    assert [part.size for part in kept] == [5, 4] and cut == {"premise": 5}
    kept, cut = shorten(parts, 6)
    assert [part.size for part in kept] == [3, 3] and cut == {"premise": 7, "hypothesis": 1}


def test_demonstrations_go_whole_the_last_first() -> None:
    shown = [Part(Segment(["d"], "examples", 4, whole=True), [[i] * 5]) for i in range(3)]
    kept, cut = shorten([*shown, Part(Segment(["x"], "text"), [[9] * 6])], 14)
    assert [part.size for part in kept] == [5, 0, 0, 6] and cut == {"examples": 10}


def test_a_template_that_leaves_no_room_is_refused(tokenizer: Any) -> None:
    render, _ = build_render(variant("none", text="word " * 30 + "{text}"), **NER)
    with pytest.raises(UserError, match=r"template\.text: the template's own words take .* Shorten the template"):
        encode(tokenizer, [EXAMPLES["ner"]], render, 32)


@pytest.mark.parametrize("left", [LEAST - 1, LEAST])
def test_a_template_leaves_some_tokens_for_the_example(left: int) -> None:
    parts = [Part(Segment(["t"]), [[1] * 10]), Part(Segment(["x"], "text"), [[2] * 30])]
    if left == LEAST:
        assert [part.size for part in shorten(parts, 10 + left)[0]] == [10, LEAST]
    else:
        with pytest.raises(UserError, match="template's own words take 10 of the 17 tokens"):
            shorten(parts, 10 + left)


def test_special_words_of_demonstrations_are_special_tokens(tokenizer: Any) -> None:
    config = variant("none", text="{examples} {text}", demonstrations={"k": 2, "text": "{text} {sep}"})
    (row,) = encode(tokenizer, [EXAMPLES["ner"]], build_render(config, **NER)[0])["input_ids"]
    assert row.count(tokenizer.sep_token_id) == 3
