"""Pairs of texts as a task: records, labels and scales, losses of vectors, and what an evaluation holds."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from rag_lightning.data.records import Record
from rag_lightning.decoding.vectors import LINE
from rag_lightning.encoding.loader import pad_columns
from rag_lightning.encoding.render import Segment, render_plain
from rag_lightning.encoding.rows.separate_texts import encode_sides, sides
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.load import load_rules
from rag_lightning.rules.marks import FeatureIndex, record_marks
from rag_lightning.tasks.matching import TASK, MatchingOptions
from rag_lightning.tasks.outputs.pair_retrieval import PAIR_RELATED, PAIR_RELATED_AMONG_ALL, in_batch_loss
from rag_lightning.tasks.outputs.pair_vectors import (
    PAIR_COSENT,
    Vectors,
    choose_line,
    cosent_loss,
    cosine_loss,
    vectors,
)
from rag_lightning.tasks.outputs.sequence_label import PAIR_LABEL
from rag_lightning.tasks.outputs.value import VALUE
from rag_lightning.tasks.positive import check_positive, positive_label
from rag_lightning.tasks.task import EncodingContext


def pair(first: str, second: str, **more: Any) -> Record:
    return {"id": f"{first}-{second}", "source": "f:1", "first": first, "second": second, **more}


def prepare(records: list[Record], **options: Any) -> Any:
    return TASK.prepare({"train": records}, MatchingOptions(**options))


@pytest.fixture(scope="module")
def words(tiny_model: Path) -> WordEncoder:
    return WordEncoder(load_tokenizer(tiny_model), max_length=64)


def context(words: WordEncoder, labels: tuple[str, ...], **more: Any) -> EncodingContext:
    return EncodingContext(words, labels, MatchingOptions(), 0.25, more.pop("render", render_plain), **more)


# --- records -----------------------------------------------------------------------------------------------------


def test_labels_or_the_ends_of_the_scale() -> None:
    labelled = [pair("a", "b", label="yes", score=1.5), pair("c", "d", label="no", score=3.25)]
    assert prepare(labelled).labels == ("no", "yes")
    assert prepare(labelled).splits["train"][0]["text"] == "a\nb"
    assert prepare(labelled, answer="score").labels == ("1", "4")
    assert prepare(labelled, answer="score", scale=(0, 12345.678)).labels == ("0", "12345.678")
    assert prepare([pair("a", "b", score=0.1), pair("a", "c", score=0.9)]).labels == ("0", "1")
    for given, message in (
        ([pair("a", "b", score=2.0)], "the scores of the training data are all the same"),
        ([pair("a", "b")], "no training example has a score"),
    ):
        with pytest.raises(UserError, match=message):
            prepare(given, answer="score")


def test_pairs_that_belong_together_have_the_last_label() -> None:
    related = {"encoder": "bi", "loss": "in_batch"}
    without = prepare([pair("a", "b")], **related)
    assert without.labels == ("related",) and without.notes == []  # no label is missed where none is needed
    two = [pair("a", "b", label="duplicate"), pair("a", "c", label="not_duplicate")]
    assert prepare(two, **related).labels == ("not_duplicate", "duplicate")
    assert prepare(two, **related, positive="not_duplicate").labels == ("duplicate", "not_duplicate")
    with pytest.raises(UserError, match="there is no label 'duplicat'. Did you mean 'duplicate'"):
        prepare(two, **related, positive="duplicat")


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (("equivalent", "not_equivalent"), "equivalent"), (("0", "1"), "1"), (("a", "not a"), "a"),
        (("no", "yes"), "yes"), (("a", "b"), None), (("no", "false"), None), (("no", "yes", "maybe"), None),
    ],
)  # fmt: skip
def test_the_label_that_is_looked_for(labels: tuple[str, ...], positive: str | None) -> None:
    assert positive_label(labels) == positive
    if positive is None:
        with pytest.raises(UserError, match="Name one of: "):
            check_positive(labels, None)


def test_a_pair_in_a_line() -> None:
    expected = {"first": "a b", "second": "c", "text": "a b\nc"}
    assert TASK.read_text("a b ||| c") == TASK.read_text('{"first": "a b", "second": "c"}') == expected
    for line in ("one text", "a ||| b ||| c", '{"first": "a"}', '{"first": "a", "second": 3}', "{not JSON"):
        with pytest.raises(UserError, match="two texts are needed.*FIRST"):
            TASK.read_text(line)


# --- rules -------------------------------------------------------------------------------------------------------

RULES = {
    "lexicons": {"places": ["New York", "York City"]},
    "rules": {
        "place": {"lexicon": "places", "label": "x"},
        "denial": {"pattern": "not", "label": "y", "min_hits": 2},
        "long": {"pattern": r"go\s+home", "label": "x"},
    },
}


def test_rules_find_nothing_that_reaches_from_one_text_into_the_other() -> None:
    engine = RuleEngine(load_rules(RULES))

    def found(first: str, second: str) -> list[tuple[str, str]]:
        record = prepare([pair(first, second, label="a"), pair("q", "r", label="b")]).splits["train"][0]
        return [(hit.rule, record["text"][hit.start : hit.end]) for hit in engine.apply(record)]

    assert found("I like New", "York City is fine") == [("place", "York City")]
    assert found("we go", "home in New York") == [("place", "New York")]
    assert found("not here", "and not there") == [("denial", "not"), ("denial", "not")]  # together they are two
    assert found("not here", "there") == []


def test_hits_reach_the_tokens_of_their_words_in_both_texts(words: WordEncoder) -> None:
    ruleset = load_rules({"rules": {"city": {"pattern": "London", "label": "x"}}})
    index = FeatureIndex.of(ruleset)
    record = {**pair("Ada lived  in London .", "London is large"), "text": "Ada lived  in London .\nLondon is large"}
    record = next(iter(RuleEngine(ruleset).annotate([record])))
    marks = record_marks(record, index)
    assert [bool(mark) for mark in marks] == [False] * 3 + [True, False, True, False, False]

    def row(render: Any) -> list[str]:
        given = context(words, ("a", "b"), render=render, word_columns=lambda r: {"marks_0": marks},
                        word_column_names=["marks_0"])  # fmt: skip
        columns = PAIR_LABEL.encode([record], 0, given)
        ids = zip(columns["input_ids"][0], columns["marks_0"][0], strict=True)
        return words.tokenizer.convert_ids_to_tokens([token for token, mark in ids if mark])

    one = [piece for pieces in words.encode([["London"]])[0] for piece in pieces]
    london = words.tokenizer.convert_ids_to_tokens(one)
    assert row(render_plain) == london * 2

    def swapped(record: Record) -> list[Segment]:
        return [Segment(record[side].split(), side) for side in ("second", "first")]

    assert row(swapped) == london * 2


def test_each_text_of_a_bi_encoder_has_its_own_hits(words: WordEncoder) -> None:
    record = {**pair("in London", "London too"), "text": "in London\nLondon too"}
    engine = RuleEngine(load_rules({"rules": {"city": {"pattern": "London", "label": "x"}}}))
    for side in sides(next(iter(engine.annotate([record])))):
        assert [side["text"][hit[0] : hit[1]] for hit in side["hits"]] == ["London"]
        assert "first" not in side and "second" not in side


# --- input -------------------------------------------------------------------------------------------------------


def test_rows_are_what_the_tokenizer_gives_for_pairs(words: WordEncoder) -> None:
    records = [pair("Ada lived in London.", "She did not.", label="a"), pair("x", "", label="b")]
    columns = PAIR_LABEL.encode(records, 0, context(words, ("a", "b")))
    expected = words.tokenizer([r["first"] for r in records], [r["second"] for r in records])
    assert columns["input_ids"] == expected["input_ids"]
    assert columns["token_type_ids"] == expected["token_type_ids"]
    assert columns["labels"] == [0, 1]


def test_scores_as_shares_of_the_scale(words: WordEncoder) -> None:
    records = [pair("a", "b", score=1.0), pair("c", "d"), pair("e", "f", score=5.0)]
    columns = VALUE.encode(records, 0, context(words, ("0", "5")))
    assert columns["labels"] == [0.2, -100.0, 1.0] and columns["n_labels"] == [1, 0, 1]
    logits = torch.tensor([[1.0, 0.0], [3.0, -3.0], [0.0, 2.0]])
    batch = {"labels": torch.tensor(columns["labels"])}
    p = torch.softmax(logits, -1)
    expected = -(0.8 * p[0, 0].log() + 0.2 * p[0, 1].log()) - p[2, 1].log()
    assert torch.allclose(VALUE.loss(logits, batch), expected)
    decoded = VALUE.decode(logits, {"example": torch.arange(3), "cut": torch.zeros(3)})
    answers = VALUE.assemble(records, [decoded], ("0", "5"))
    assert answers[2] == {"score": pytest.approx(5 * float(p[2, 1]), abs=1e-4), "cut": 0}


class Embeds(torch.nn.Module):
    """A backbone whose hidden states are the tokens themselves, which counts the rows of each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.passes: list[tuple[int, ...]] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        self.passes.append(tuple(input_ids.shape))
        state = torch.stack([input_ids, input_ids * 0 + 1], dim=-1).float()
        return type("Output", (), {"last_hidden_state": state})


@pytest.mark.parametrize(("seconds", "passes"), [(["London is large", "no"], 1), (["a b " * 12, "c"], 2)])
def test_each_text_is_the_mean_of_its_own_tokens(words: WordEncoder, seconds: list[str], passes: int) -> None:
    records = [pair("Ada lived", seconds[0]), pair("in London again", seconds[1])]
    columns = encode_sides(records, 0, context(words, ()))
    batch = pad_columns(columns, {"input_ids": 0})
    network = Embeds()
    found = vectors(network, batch)
    assert len(network.passes) == passes
    for row, record in enumerate(records):
        for side, vector in zip(("first", "second"), (found.first[row], found.second[row]), strict=True):
            alone = words.tokenizer(record[side])["input_ids"]
            assert vector.tolist() == pytest.approx([sum(alone) / len(alone), 1.0])


# --- losses of vectors -------------------------------------------------------------------------------------------


def test_cosent_wants_the_order_of_the_scores_only() -> None:
    labels = torch.tensor([0.0, 0.5, 1.0])
    right = cosent_loss(torch.tensor([-0.5, 0.0, 0.9]), {"labels": labels})
    wrong = cosent_loss(torch.tensor([0.9, 0.0, -0.5]), {"labels": labels})
    assert right < 0.01 < 50 < wrong
    two = cosent_loss(torch.tensor([0.1, 0.3]), {"labels": torch.tensor([1.0, 0.0])})
    assert float(two) == pytest.approx(2 * math.log(1 + math.exp(20 * 0.2)), rel=1e-5)
    equal = cosent_loss(torch.tensor([0.1, 0.3]), {"labels": torch.tensor([1.0, 1.0])})
    unlabelled = cosent_loss(torch.tensor([0.1, 0.3]), {"labels": torch.tensor([1.0, -100.0])})
    assert float(equal) == float(unlabelled) == 0.0


def test_cosine_regression_leaves_unlabelled_pairs_out() -> None:
    given = torch.tensor([0.5, 0.9, -0.1]), {"labels": torch.tensor([1.0, -100.0, 0.0])}
    assert float(cosine_loss(*given)) == pytest.approx(0.25 + 0.01)


def test_scores_lie_on_the_line_that_validation_chooses() -> None:
    records = [pair("a", "b", score=1.0), pair("c", "d", score=3.0), pair("e", "f", score=5.0)]
    cosines = torch.tensor([0.7, 0.8, 0.9])  # in order, and all of them high
    batch = {"example": torch.arange(3), "cut": torch.zeros(3)}
    network = torch.nn.Linear(1, 1)
    network.config = type("Config", (), {"id2label": {0: "0", 1: "5"}})()  # type: ignore[assignment]
    kind = PAIR_COSENT.equip(PAIR_COSENT, network, None)  # type: ignore[misc, arg-type]
    decoded = [kind.decode(cosines, batch)]
    before = kind.assemble(records, decoded, ("0", "5"))
    assert [each["score"] for each in before] == pytest.approx([3.5, 4.0, 4.5])
    choose_line(network, records, before)
    assert getattr(network.config, LINE) == pytest.approx([4.0, -2.6])
    assert [each["score"] for each in kind.assemble(records, decoded, ("0", "5"))] == pytest.approx([1.0, 3.0, 5.0])
    for useless in (records[::-1], records[:1]):  # a falling line, and none
        choose_line(network, useless, before[: len(useless)])
        assert getattr(network.config, LINE) == [1.0, 0.0]


def test_in_batch_negatives_leave_out_what_is_right_too() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(4, 6), torch.randn(4, 6)
    batch = {
        "labels": torch.tensor([1, 1, 1, 0]), "first_key": torch.tensor([7, 8, 7, 9]),
        "second_key": torch.tensor([1, 2, 3, 2]),
    }  # fmt: skip
    scores = 20 * F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).T
    expected = torch.tensor(0.0)
    for row, candidates in ((0, [0, 1, 3]), (1, [1, 0, 2]), (2, [2, 1, 3])):
        expected = expected - torch.log_softmax(scores[row, candidates], dim=0)[0]
    assert torch.allclose(in_batch_loss(Vectors(first, second), batch), expected)
    none = in_batch_loss(Vectors(first.requires_grad_(), second), {**batch, "labels": torch.tensor([0, 0, -100, 0])})
    none.backward()  # a batch of wrong pairs alone still has a gradient
    assert none.item() == 0.0


def test_a_second_text_among_all() -> None:
    records = [pair("a", "x"), pair("a", "y"), pair("b", "z"), pair("c", "x")]
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    second = torch.tensor([[0.8, 0.6], [1.0, 0.0], [0.9, 0.1], [0.8, 0.6]])
    batch = {"example": torch.arange(4), "cut": torch.zeros(4), "labels": torch.ones(4)}
    decoded = [PAIR_RELATED.decode(Vectors(first, second), batch)]
    plain = PAIR_RELATED.assemble(records, decoded, ("related",))
    assert plain[0] == {"score": 0.8, "cut": 0}
    found = PAIR_RELATED_AMONG_ALL.assemble(records, decoded, ("related",))
    ranks = [(each["better"], each["equal"], each["of"]) for each in found]
    # a has x and y, so that only z is another one; for b both are, and x is more alike than z
    assert ranks == [(1, 0, 1), (0, 0, 1), (1, 0, 2), (0, 0, 2)]


# --- evaluation --------------------------------------------------------------------------------------------------


def labelled(label: str, **scores: float) -> dict[str, Any]:
    return {"label": label, "confidence": scores[label], "scores": scores, "cut": 0}


def test_two_labels_have_the_f1_of_the_positive_one() -> None:
    records = [pair("a", "b", label=label) for label in ("1", "1", "1", "0")]
    predictions = [labelled("1", **{"1": 0.9, "0": 0.1})] * 2 + [labelled("0", **{"0": 0.6, "1": 0.4})] * 2
    found = TASK.evaluate("test", records, predictions, ("0", "1"))
    assert found.metrics["f1"] == found.metrics["1/f1"] == pytest.approx(0.8)
    assert found.metrics["accuracy"] == 0.75
    table = next(table for table in found.tables if table.title == "Baseline")
    assert table.rows[1] == ("always 1", 0.75, pytest.approx(3 / 7), 0.0, pytest.approx(6 / 7))
    assert found.predictions[0]["first"] == "a" and found.mistakes[0]["text"] == "a | b"


def test_scores_agree_or_not() -> None:
    records = [pair("a b", "a c", score=2.0), pair("a", "a", score=5.0), pair("a", "b", score=0.0)]
    found = TASK.evaluate("test", records, [{"score": s, "cut": 0} for s in (2.5, 4.0, 0.2)], ("0", "5"))
    assert found.headline == "spearman" and found.metrics["spearman"] == 1.0
    assert found.metrics["mae"] == pytest.approx(1.7 / 3)
    assert found.tables[0].rows[1][2] == 1.0  # words in common order these three just as well
    assert [mistake["predicted"] for mistake in found.mistakes] == ["4.00"]


def test_rankings_stand_beside_popularity() -> None:
    rows = [
        ("a", "x", "1", 0.9, 1), ("a", "y", "0", 0.1, 5), ("b", "x", "0", 0.2, 1), ("b", "y", "1", 0.4, 5),
        ("c", "x", "0", 1, 1),
    ]  # fmt: skip
    records = [pair(first, second, label=label, popularity=popular) for first, second, label, _, popular in rows]
    predictions = [labelled("1" if s > 0.5 else "0", **{"1": s, "0": 1 - s}) for *_, s, _ in rows]
    found = TASK.evaluate("test", records, predictions, ("0", "1"), ranked="given")  # type: ignore[call-arg]
    assert found.metrics["map"] == 1.0 and found.metrics["queries"] == 2
    assert found.metrics["popularity/ndcg@10"] == pytest.approx((1 + 1 / math.log2(3)) / 2)
    assert found.notes == ["1 of 3 first texts have no right candidate and are not ranked."]
    assert "1/f1" in found.metrics  # the labels are scored too


def test_popularity_is_counted_in_train_unless_the_data_give_it() -> None:
    train = [pair("a", "x", label="1"), pair("b", "x", label="1"), pair("b", "y", label="0")]
    test = [pair("c", "x", label="1"), pair("c", "y", label="0", popularity=7), pair("c", "z", label="0")]
    prepared = TASK.prepare({"train": train, "test": test}, MatchingOptions(ranking="given"))
    assert [record["popularity"] for record in prepared.splits["test"]] == [2, 7, 0]
    alone = TASK.prepare({"test": test[:1]}, MatchingOptions(ranking="given", labels=["0", "1"]))
    assert "popularity" not in alone.splits["test"][0]
