"""Words against sub-tokens: places kept, labels where they belong, nothing lost."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rag_lightning.encoding.render import Segment, render_plain
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.tasks.ner import NerOptions
from rag_lightning.tasks.outputs.token_labels import IGNORED, NO_WORD, TOKEN_LABELS
from rag_lightning.tasks.task import EncodingContext

LABELS = ("O", "B-PER", "I-PER")


@pytest.fixture(scope="module")
def words(tiny_model: Path) -> WordEncoder:
    return WordEncoder(load_tokenizer(tiny_model), max_length=24)


def context(words: WordEncoder, **changes: object) -> EncodingContext:
    settings = {"labels": LABELS, "options": NerOptions(), "overlap": 0.25, "render": render_plain, **changes}
    return EncodingContext(words, **settings)  # type: ignore[arg-type]


def record(tokens: list[str], tags: list[str] | None = None) -> dict[str, object]:
    return {"id": "1", "tokens": tokens, "tags": tags or ["O"] * len(tokens)}


ODD = ["", "\u200b", "\ufeff", "🙂", "👩‍👩‍👧", "漢字", "שלום", "مرحبا", "\u0301", "a" * 500, "[SEP]", "[CLS]", "\u00ad"]


@pytest.mark.parametrize("word", ODD)
def test_odd_words_keep_their_place(words: WordEncoder, word: str) -> None:
    columns = TOKEN_LABELS.encode([record(["He", word, "left"], ["O", "B-PER", "O"])], 0, context(words))
    places = [w for row in columns["words"] for w in row if w != NO_WORD]
    assert places == [0, 1, 2]
    first = [(row.index(1), i) for i, row in enumerate(columns["words"]) if 1 in row][0]
    assert columns["labels"][first[1]][first[0]] == LABELS.index("B-PER")


def test_special_tokens_in_a_text_are_only_text(words: WordEncoder) -> None:
    ids = words.encode([["[SEP]", "[MASK]"]])[0]
    specials = set(words.tokenizer.all_special_ids) - {words.tokenizer.unk_token_id}
    assert not specials & {token for piece in ids for token in piece}


def test_later_subtokens_continue_the_entity_or_are_left_out(words: WordEncoder) -> None:
    tokens, tags = ["Wolverhampton"], ["B-PER"]
    everywhere = TOKEN_LABELS.encode([record(tokens, tags)], 0, context(words))["labels"][0]
    assert everywhere[1:-1] == [1] + [2] * (len(everywhere) - 3)
    assert len(everywhere) > 3
    first = TOKEN_LABELS.encode([record(tokens, tags)], 0, context(words, options=NerOptions(subwords="first")))
    assert first["labels"][0][1:-1] == [1] + [IGNORED] * (len(everywhere) - 3)


def test_long_texts_lose_no_word(words: WordEncoder) -> None:
    tokens = [f"word{i}" for i in range(200)]
    columns = TOKEN_LABELS.encode([record(["short"]), record(tokens)], 5, context(words))
    assert all(len(ids) <= words.max_length for ids in columns["input_ids"])
    answered = [w for row, e in zip(columns["words"], columns["example"], strict=True) for w in row if e == 6]
    assert sorted(w for w in answered if w != NO_WORD) == list(range(200))


def test_a_template_is_never_labelled_and_never_cut(words: WordEncoder) -> None:
    def render(record: dict[str, object]) -> list[Segment]:
        return [Segment(["Find", "names", ":"]), Segment(record["tokens"], "tokens"), Segment(["!"])]  # type: ignore[arg-type]

    columns = TOKEN_LABELS.encode([record(["Ada", "left"] * 20, ["B-PER", "O"] * 20)], 0, context(words, render=render))
    prefix = [token for piece in words.encode([["Find", "names", ":"]])[0] for token in piece]
    answered = []
    for ids, labels, places in zip(columns["input_ids"], columns["labels"], columns["words"], strict=True):
        assert ids[1 : 1 + len(prefix)] == prefix
        assert labels[: 1 + len(prefix)] == [IGNORED] * (1 + len(prefix))
        answered += [w for w in places if w != NO_WORD]
    assert answered == list(range(40))


def test_answers_come_back_to_their_words() -> None:
    records = [record(["a", "b"]), record(["c"])]
    logits = torch.tensor([[[9.0, 0, 0], [0, 9, 0], [0, 0, 9]], [[9.0, 0, 0], [0, 0, 9], [9, 0, 0]]])
    batch = {"words": torch.tensor([[NO_WORD, 0, 1], [NO_WORD, 0, NO_WORD]]), "example": torch.tensor([0, 1])}
    predictions = TOKEN_LABELS.assemble(records, [TOKEN_LABELS.decode(logits, batch)], LABELS)
    assert [p["tags"] for p in predictions] == [["B-PER", "I-PER"], ["I-PER"]]
    assert all(c > 0.99 for p in predictions for c in p["confidence"])


def test_a_missing_or_doubled_answer_is_never_passed_over() -> None:
    part = {"example": np.array([0]), "word": np.array([0]), "label": np.array([1]), "confidence": np.array([0.5])}
    with pytest.raises(RuntimeError, match="exactly once"):
        TOKEN_LABELS.assemble([record(["a", "b"])], [part], LABELS)
    with pytest.raises(RuntimeError, match="exactly once"):
        TOKEN_LABELS.assemble([record(["a"])], [part, part], LABELS)
