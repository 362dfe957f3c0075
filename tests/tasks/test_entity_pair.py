"""The output kind of two entities: where they stand in a row, what is cut, and what the head reads."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rag_lightning.data.records import Record
from rag_lightning.encoding.render import Render, Segment, render_plain
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.pooling import HEAD_FILE
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.tasks.entity_marks import read_tagged
from rag_lightning.tasks.outputs.entity_pair import ENTITY_PAIR, PLACES
from rag_lightning.tasks.relation import RelationOptions, complete
from rag_lightning.tasks.task import EncodingContext

LABELS = ("In(e1,e2)", "Other")
OPTIONS = RelationOptions(types={"PER": "person"})
Encode = Callable[..., dict[str, Any]]


def slot(name: str, *around: str) -> Render:
    """A template of one slot with words before it."""
    return lambda record: [*([Segment(around)] if around else []), Segment(record[name].split(), name)]


MARKED = slot("marked")


@pytest.fixture(scope="module")
def words(tiny_model: Path) -> WordEncoder:
    return WordEncoder(load_tokenizer(tiny_model), 60)


@pytest.fixture
def encode(words: WordEncoder) -> Encode:
    """One text as a row of at most ``longest`` tokens."""

    def encoded(
        marked: str | Record, render: Render = MARKED, longest: int = 60, numbers: list[int] | None = None
    ) -> dict[str, Any]:
        record = complete(read_tagged(marked), OPTIONS) if isinstance(marked, str) else marked
        encoder = WordEncoder(words.tokenizer, longest)
        context = EncodingContext(encoder, LABELS, OPTIONS, 0.0, render)
        if numbers is not None:
            context = replace(context, word_columns=lambda _: {"marks_0": numbers}, word_column_names=("marks_0",))
        columns = ENTITY_PAIR.encode([record], 5, context)
        assert all(len(values) == 1 for values in columns.values()) and columns["example"] == [5]
        return {name: values[0] for name, values in columns.items()}

    return encoded


def tokens(row: dict[str, Any], words: WordEncoder) -> list[str]:
    shown: list[str] = words.tokenizer.convert_ids_to_tokens(row["input_ids"])
    return shown


def text_of(row: dict[str, Any], words: WordEncoder) -> str:
    return " ".join(tokens(row, words)[1:-1]).replace(" ##", "")


def sign(words: WordEncoder, text: str) -> list[int]:
    [[ids]] = words.encode([[text]])
    return ids


@pytest.mark.parametrize("form", ["marked", "typed"])
def test_the_places_are_those_of_the_opening_marks(encode: Encode, words: WordEncoder, form: str) -> None:
    row = encode("In <e2>Oslo</e2> <e1:PER>Ada</e1> is", slot(form, "so", ":"))
    first, second = (row[place] for place in PLACES)
    assert second < first
    assert row["input_ids"][first] == sign(words, "@")[0] and row["input_ids"][second] == sign(words, "#")[0]
    assert row["labels"] == -100 and row["n_labels"] == row["cut"] == 0
    own = words.encode([complete(read_tagged("In <e2>Oslo</e2> <e1:PER>Ada</e1> is"), OPTIONS)[form].split()])[0]
    assert row["input_ids"][-1 - sum(map(len, own)) : -1] == [token for piece in own for token in piece]


def test_without_marks_the_first_token_of_a_mention_is_read(encode: Encode, words: WordEncoder) -> None:
    row = encode("In <e1>Oslo</e1> is <e2>London</e2>.", render_plain)
    pieces = words.encode([["In", "Oslo", "is", "London."]])[0]
    assert row["first_place"] == 1 + len(pieces[0])
    assert row["second_place"] == 1 + sum(map(len, pieces[:3]))
    assert row["input_ids"][row["second_place"]] == pieces[3][0]


@pytest.mark.parametrize(
    "text",
    [
        "a " * 60 + "<e1>Oslo</e1> is in <e2>London</e2>" + " b" * 60,
        "<e1>Oslo</e1>" + " c" * 90 + " <e2>London</e2>",
        "a " * 40 + "<e2>London</e2>" + " c" * 40 + " <e1>Oslo</e1>",
        "<e1>" + "Oslo " * 40 + "</e1> <e2>" + "London " * 40 + "</e2>",
        "a" * 90 + "<e1>Oslo</e1>" + "b" * 90 + "<e2>London</e2>" + "c" * 90,
    ],
)
def test_a_long_text_is_cut_around_its_entities(encode: Encode, words: WordEncoder, text: str) -> None:
    row = encode(text, longest=24)
    assert len(row["input_ids"]) == 24
    whole = words.encode([complete(read_tagged(text), OPTIONS)["marked"].split()])[0]
    assert row["cut"] == sum(map(len, whole)) - 22
    at, hash_ = sign(words, "@")[0], sign(words, "#")[0]
    first, second = row["first_place"], row["second_place"]
    oslo, london = sign(words, "Oslo"), sign(words, "London")
    assert row["input_ids"][first : first + 1 + len(oslo)] == [at, *oslo]
    assert row["input_ids"][second : second + 1 + len(london)] == [hash_, *london]
    for place, mark in ((first, at), (second, hash_)):
        assert mark in row["input_ids"][place + 1 :]


def test_what_is_near_stays_and_what_is_between_is_twice_as_near(encode: Encode, words: WordEncoder) -> None:
    row = encode("a " * 30 + "<e1>Oslo</e1> " + "b " * 30 + "<e2>Oslo</e2> " + "c " * 30, longest=30)
    shown = text_of(row, words).split()
    left = {letter: shown.count(letter) for letter in "abc"}
    assert left["b"] > left["a"] + left["c"] and min(left.values()) > 0


def test_what_a_template_adds_makes_room_first(encode: Encode) -> None:
    def hinted(record: Record) -> list[Segment]:
        return [Segment(["hint"] * 20, "hints", 2), Segment(record["marked"].split(), "marked")]

    row = encode("<e1>Oslo</e1> is in <e2>London</e2>", hinted, 24)
    assert row["cut"] == 0 and len(row["input_ids"]) == 24
    with pytest.raises(UserError, match="template's own words take 20 of the 22 tokens"):
        encode("<e1>Oslo</e1> is in <e2>London</e2>", slot("marked", *["a"] * 20), 24)


def test_a_mention_beside_the_sentence_is_not_cut_for_it(encode: Encode, words: WordEncoder) -> None:
    def beside(record: Record) -> list[Segment]:
        return [Segment(record["first_text"].split(), "first_text"), Segment(record["marked"].split(), "marked")]

    row = encode("a " * 50 + "<e1>Oslo</e1> is in <e2>London</e2>", beside, 24)
    oslo = sign(words, "Oslo")
    assert len(row["input_ids"]) == 24 and row["input_ids"][1 : 1 + len(oslo)] == oslo
    assert row["input_ids"][row["first_place"]] == sign(words, "@")[0]


def test_both_opening_marks_stay_in_the_narrowest_window(encode: Encode, words: WordEncoder) -> None:
    row = encode("<e1:Some_Long_Type>Oslo</e1> is in <e2:Another_Long_Type>London</e2>", slot("typed"), 8)
    first, second = (row["input_ids"][row[place]] for place in PLACES)
    assert (first, second) == (sign(words, "@")[0], sign(words, "#")[0])


def test_a_template_has_to_show_the_sentence(encode: Encode) -> None:
    with pytest.raises(UserError, match=r"does not show the sentence with its two entities.*\{marked\}"):
        encode("<e1>Oslo</e1> in <e2>London</e2>", slot("first_text"))


def test_a_record_without_entities_is_a_text(encode: Encode) -> None:
    row = encode({"marked": "N/A", "hits": []})
    assert [row[place] for place in PLACES] == [0, 0]


@pytest.mark.parametrize("render", [slot("marked"), slot("typed", "x"), render_plain])
def test_numbers_of_words_reach_their_tokens(encode: Encode, words: WordEncoder, render: Render) -> None:
    record = complete(read_tagged("Of (<e1:PER>Oslo</e1>) in <e2>London</e2>."), OPTIONS)
    assert record["text"].split() == ["Of", "(Oslo)", "in", "London."]
    row = encode(record, render, numbers=[7, 8, 9, 10])
    assert len(row["marks_0"]) == len(row["input_ids"])
    seen = {value: [t for t, n in zip(row["input_ids"], row["marks_0"], strict=True) if n == value] for value in (7, 9)}
    assert seen == {7: sign(words, "Of"), 9: sign(words, "in")}
    assert row["marks_0"][0] == row["marks_0"][-1] == 0
    if render is not render_plain:
        assert row["marks_0"][row["first_place"]] == 0 == row["marks_0"][row["second_place"]]
        assert row["marks_0"][row["first_place"] - 1] == 8  # the bracket before the mark


def test_the_head_reads_the_states_at_the_places(tiny_model: Path, tmp_path: Path) -> None:
    network: Any = load_network(tiny_model, "entity_pair", LABELS, ModelConfig(name="t", path=tiny_model), 1)
    assert network.pooling == "entities"
    ids = torch.tensor([[2, 9, 8, 7, 3], [2, 30, 31, 3, 0]])
    batch = {"input_ids": ids, "attention_mask": (ids > 0).long(), "first_place": torch.tensor([3, 1]),
             "second_place": torch.tensor([1, 2])}  # fmt: skip
    with torch.inference_mode():
        logits = ENTITY_PAIR.forward(network, batch)
        hidden = network.backbone(input_ids=ids, attention_mask=batch["attention_mask"]).last_hidden_state
        expected = network.classifier(torch.stack([hidden[0, [3, 1]].flatten(), hidden[1, [1, 2]].flatten()]))
        turned = ENTITY_PAIR.forward(network, {**batch, "first_place": batch["second_place"]})
    assert torch.allclose(logits, expected, atol=1e-6)
    assert not torch.allclose(logits, turned, atol=1e-3)
    network.save_pretrained(tmp_path)
    load_tokenizer(tiny_model).save_pretrained(tmp_path)
    assert (tmp_path / HEAD_FILE).is_file()
    again: Any = load_network(tmp_path, "entity_pair", LABELS, ModelConfig(name="t", path=tmp_path), 2)
    assert torch.equal(again.classifier.weight, network.classifier.weight)
    other: Any = load_network(tmp_path, "sequence_label", LABELS, ModelConfig(name="t", path=tmp_path), 2)
    assert not hasattr(other, "pooling")  # as a backbone of another task its head is that task's own
