"""Texts as rows: what is cut, what is labelled, and that every text is answered once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rag_lightning.data.records import Record
from rag_lightning.encoding.render import Segment, render_plain
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.tasks.classification import ClassificationOptions
from rag_lightning.tasks.outputs.sequence_label import IGNORED, SEQUENCE_LABEL
from rag_lightning.tasks.task import EncodingContext

LABELS = ("no", "yes")


@pytest.fixture(scope="module")
def words(tiny_model: Path) -> WordEncoder:
    return WordEncoder(load_tokenizer(tiny_model), max_length=24)


def context(words: WordEncoder, **changes: object) -> EncodingContext:
    settings = {
        "labels": LABELS, "options": ClassificationOptions(), "overlap": 0.25, "render": render_plain, **changes,
    }  # fmt: skip
    return EncodingContext(words, **settings)  # type: ignore[arg-type]


def record(text: str, label: str | None = None) -> Record:
    return {"id": "1", "text": text} | ({} if label is None else {"label": label})


@pytest.mark.parametrize(
    "text", ["", "  ", "Ada lived in London.", "漢字かな交じり文", "a" * 900, "word " * 300, "🙂 \u200b x"]
)
def test_one_row_a_text(words: WordEncoder, text: str) -> None:
    columns = SEQUENCE_LABEL.encode([record("first", "no"), record(text, "yes")], 7, context(words))
    ids = columns["input_ids"][1]
    assert ids[:1] == words.prefix and ids[-1:] == words.suffix and len(ids) <= 24
    assert (columns["labels"], columns["example"], columns["n_labels"]) == ([0, 1], [7, 8], [1, 1])
    whole = sum(map(len, words.encode([text.split()])[0]))
    assert len(ids) - 2 + columns["cut"][1] == whole
    assert columns["cut"][0] == 0


def test_rows_are_what_the_tokenizer_itself_gives(words: WordEncoder) -> None:
    """Transformers' pipeline reads texts so."""
    texts = ["Ada Lovelace lived in London.", "won't — 漢字!", "  two  spaces\tand a tab\n", "long " * 90]
    columns = SEQUENCE_LABEL.encode([record(text) for text in texts], 0, context(words))
    assert columns["input_ids"] == words.tokenizer(texts, truncation=True, max_length=24)["input_ids"]


def test_unlabelled_texts_have_no_loss(words: WordEncoder) -> None:
    columns = SEQUENCE_LABEL.encode([record("a"), record("b", "yes")], 0, context(words))
    assert (columns["labels"], columns["n_labels"]) == ([IGNORED, 1], [0, 1])
    logits = torch.tensor([[3.0, -1.0], [0.5, 0.25]])
    batch = {"labels": torch.tensor(columns["labels"])}
    expected = F.cross_entropy(logits[1:], torch.tensor([1]))
    assert torch.allclose(SEQUENCE_LABEL.loss(logits, batch), expected)


def test_weights_of_rows() -> None:
    logits = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, IGNORED])
    one_by_one = [F.cross_entropy(logits[i : i + 1], labels[i : i + 1]) for i in (0, 1)]
    weighted = SEQUENCE_LABEL.loss(logits, {"labels": labels, "weight": torch.tensor([1.0, 0.25, 1.0])})
    assert torch.allclose(weighted, one_by_one[0] + 0.25 * one_by_one[1])
    assert torch.allclose(SEQUENCE_LABEL.loss(logits, {"labels": labels}), one_by_one[0] + one_by_one[1])


def test_a_template_is_never_cut(words: WordEncoder) -> None:
    def render(record: Record) -> list[Segment]:
        return [Segment(["Is", "it", ":"]), Segment(record["text"].split(), "text"), Segment(["?"])]

    plain, short = (words.encode([each])[0] for each in (["Is", "it", ":", "?"], ["Is", "it", ":"]))
    columns = SEQUENCE_LABEL.encode([record("word " * 300)], 0, context(words, render=render))
    ids = columns["input_ids"][0]
    flat = [token for piece in short for token in piece]
    assert ids[1 : 1 + len(flat)] == flat and ids[-2:] == [*plain[-1], *words.suffix] and len(ids) == 24
    with pytest.raises(UserError, match="template"):
        long = context(words, render=lambda record: [Segment(["word"] * 60), *render_plain(record)])
        SEQUENCE_LABEL.encode([record("a text")], 0, long)


def test_columns_of_words_reach_their_tokens(words: WordEncoder) -> None:
    def render(record: Record) -> list[Segment]:
        return [Segment(["Topic", ":"]), Segment(record["text"].split(), "text"), Segment(["hint"], "hints", rank=1)]

    def marks(record: Record) -> dict[str, Sequence[int]]:
        return {"marks_0": [5, 0, 9]}

    given = context(words, render=render, word_columns=marks, word_column_names=["marks_0"])
    columns = SEQUENCE_LABEL.encode([record("Wolverhampton is far")], 0, given)
    sizes = [len(piece) for piece in words.encode([["Topic", ":", "Wolverhampton", "is", "far", "hint"]])[0]]
    values = [0, 0, 5, 0, 9, 0]
    spread = [value for value, size in zip(values, sizes, strict=True) for _ in range(size)]
    assert columns["marks_0"] == [[0, *spread, 0]]
    cut = SEQUENCE_LABEL.encode([record("Wolverhampton is far" + " more" * 50)], 0, context(
        words, word_columns=lambda r: {"marks_0": list(range(53))}, word_column_names=["marks_0"]))  # fmt: skip
    assert len(cut["marks_0"][0]) == len(cut["input_ids"][0]) == 24


def test_answers_come_back_in_order_and_none_is_passed_over() -> None:
    records = [record("a"), record("b")]
    batch = {"example": torch.tensor([1, 0]), "cut": torch.tensor([3, 0])}
    decoded = SEQUENCE_LABEL.decode(torch.tensor([[0.0, 2.0], [1.0, 0.0]]), batch)
    first, second = SEQUENCE_LABEL.assemble(records, [decoded], LABELS)
    assert (first["label"], first["cut"], second["label"], second["cut"]) == ("no", 0, "yes", 3)
    assert second["scores"] == {"yes": 0.8808, "no": 0.1192} and second["confidence"] == 0.8808
    part = {name: values[:1] for name, values in decoded.items()}
    with pytest.raises(RuntimeError, match="1 texts were not answered exactly once"):
        SEQUENCE_LABEL.assemble(records, [part], LABELS)
    with pytest.raises(RuntimeError, match="exactly once"):
        SEQUENCE_LABEL.assemble(records, [decoded, {k: np.asarray(v)[:1] for k, v in decoded.items()}], LABELS)
