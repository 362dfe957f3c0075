"""From hits to labels: votes, vetoes, overlaps; and to bits per word."""

from typing import Any

import numpy as np
import pytest

from rag_lightning.errors import UserError
from rag_lightning.rules.hits import Hit, hit_to_json
from rag_lightning.rules.label_model import fit_label_model
from rag_lightning.rules.marks import FeatureIndex, hits_on_words, record_marks, split_columns
from rag_lightning.rules.weak_labels import WeakLabel, training_records, vote_matrix, weak_labels
from rag_lightning.tasks.tag_schemes import repair_iob2

TYPES = ("PER", "LOC", "ORG")
AGGREGATIONS = ("priority", "majority", "label_model")
Record = dict[str, Any]


def sentence(length: int, *hits: Hit) -> Record:
    return {"id": "s", "tokens": [f"w{i}" for i in range(length)], "hits": [hit_to_json(hit) for hit in hits]}


def text(words: str, *hits: Hit) -> Record:
    return {"id": "t", "text": words, "hits": [hit_to_json(hit) for hit in hits]}


def one(record: Record, aggregation: Any, labels: tuple[str, ...] = TYPES) -> WeakLabel:
    (answer,) = weak_labels([record], labels, aggregation)
    return answer


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_hit_becomes_an_entity(aggregation: str) -> None:
    answer = one(sentence(4, Hit(1, 3, "PER", "names"), Hit(3, 4, None, "mark")), aggregation)
    assert answer.labels == ["O", "B-PER", "I-PER", "O"]
    assert answer.spoke
    assert isinstance(answer.confidence, list)
    assert answer.confidence[0] == answer.confidence[3] == 1.0
    assert answer.confidence[1] == pytest.approx(0.8 if aggregation == "label_model" else 1.0)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_silence(aggregation: str) -> None:
    records = [
        sentence(2),
        sentence(1, Hit(0, 1, None, "mark")),
        sentence(0),
        sentence(1, Hit(0, 1, "PER", "r", 0, True)),
    ]
    answers = weak_labels(records, TYPES, aggregation, silent_confidence=0.3)  # type: ignore[arg-type]
    assert [answer.labels for answer in answers] == [["O", "O"], ["O"], [], ["O"]]
    assert [answer.confidence for answer in answers] == [[0.3, 0.3], [0.3], [], [0.3]]
    assert not any(answer.spoke for answer in answers)
    assert one(text("a b"), aggregation) == WeakLabel(None, 0.0, False)


def test_priority_then_length_then_place() -> None:
    by_priority = sentence(5, Hit(0, 4, "LOC", "long"), Hit(1, 2, "PER", "strong", 2))
    assert one(by_priority, "priority").labels == ["O", "B-PER", "O", "O", "O"]
    by_length = sentence(5, Hit(0, 2, "LOC", "short"), Hit(1, 4, "PER", "long"))
    assert one(by_length, "priority").labels == ["O", "B-PER", "I-PER", "I-PER", "O"]
    by_place = sentence(3, Hit(1, 3, "PER", "a"), Hit(0, 2, "LOC", "b"))
    assert one(by_place, "priority").labels == ["B-LOC", "I-LOC", "O"]
    touching = sentence(3, Hit(0, 2, "PER", "a"), Hit(2, 3, "PER", "a"))
    assert one(touching, "priority").labels == ["B-PER", "I-PER", "B-PER"]


def test_confidence_is_the_share_of_votes() -> None:
    answer = one(
        sentence(3, Hit(0, 2, "PER", "a", 1), Hit(0, 1, "PER", "b"), Hit(0, 1, "LOC", "c"), Hit(1, 3, "ORG", "d")),
        "priority",
    )
    assert answer.labels == ["B-PER", "I-PER", "O"]
    assert answer.confidence == pytest.approx([2 / 3, 1 / 2, 1 / 2])


def test_majority_by_token() -> None:
    record = sentence(4, Hit(0, 3, "LOC", "a", 9), Hit(1, 3, "PER", "b"), Hit(1, 2, "PER", "c"), Hit(2, 4, "PER", "c"))
    answer = one(record, "majority")
    assert answer.labels == ["B-LOC", "B-PER", "I-PER", "I-PER"]
    assert answer.confidence == pytest.approx([1, 2 / 3, 2 / 3, 1])


def test_majority_counts_rules_and_not_hits() -> None:
    twice = sentence(1, Hit(0, 1, "PER", "a"), Hit(0, 1, "PER", "a"), Hit(0, 1, "LOC", "b", 1))
    assert one(twice, "majority").labels == ["B-LOC"]  # one vote each: the higher priority decides


@pytest.mark.parametrize("aggregation", ["majority", "label_model"])
def test_votes_part_neighbouring_entities(aggregation: str) -> None:
    parted = sentence(4, Hit(0, 2, "PER", "a"), Hit(2, 4, "PER", "a"))
    assert one(parted, aggregation).labels == ["B-PER", "I-PER", "B-PER", "I-PER"]
    joined = sentence(4, Hit(0, 2, "PER", "a"), Hit(2, 4, "PER", "a"), Hit(0, 4, "PER", "b"))
    assert one(joined, aggregation).labels == ["B-PER", "I-PER", "I-PER", "I-PER"]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_veto_takes_votes_for_its_label_away(aggregation: str) -> None:
    record = sentence(3, Hit(0, 2, "ORG", "a", 5), Hit(1, 2, "ORG", "no", 0, True), Hit(2, 3, "ORG", "a"))
    answer = one(record, aggregation)
    assert answer.labels == ["O", "O", "B-ORG"]
    assert answer.spoke
    other = sentence(2, Hit(0, 2, "ORG", "a", 5), Hit(0, 2, "PER", "b"), Hit(1, 2, "ORG", "no", 0, True))
    assert one(other, aggregation).labels == ["B-PER", "I-PER"]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_texts(aggregation: str) -> None:
    labels = ("spam", "ham", "O")
    votes = (Hit(0, 3, "spam", "a"), Hit(4, 6, "ham", "b"), Hit(8, 9, "ham", "c"), Hit(0, 9, "ham", "c"))
    assert one(text("win a prize", *votes), aggregation, labels).labels == "ham"
    veto = Hit(10, 11, "ham", "no", 0, True)  # somewhere else in the text: it is about the text
    answer = one(text("win a prize", *votes, veto), aggregation, labels)
    assert answer.labels == "spam"
    assert answer.confidence == pytest.approx(1.0) or aggregation == "label_model"
    gone = one(text("win", votes[1], veto), aggregation, labels)
    assert gone == WeakLabel(None, 0.0, True)
    assert one(text("win", Hit(0, 1, "O", "a")), aggregation, labels).labels == "O"  # a label like any other here


def test_texts_by_priority_and_share() -> None:
    answer = one(text("a b c", Hit(0, 1, "PER", "a", 1), Hit(0, 1, "LOC", "b"), Hit(2, 3, "LOC", "c")), "priority")
    assert (answer.labels, answer.confidence) == ("PER", pytest.approx(1 / 3))


@pytest.mark.parametrize("aggregation", ["priority", "majority"])
def test_a_tie_between_texts_gives_no_label(aggregation: str) -> None:
    tie = text("abc d", Hit(4, 5, "PER", "a"), Hit(0, 3, "LOC", "b"))
    assert one(tie, aggregation) == WeakLabel(None, 0.0, True)


def test_label_model_trusts_what_agrees() -> None:
    """A rule that contradicts two agreeing ones all over the data loses, though its priority is the highest."""
    good = [
        sentence(1, Hit(0, 1, kind, "a"), Hit(0, 1, kind, "b"), Hit(0, 1, "ORG", "odd", 9)) for kind in ("PER", "LOC")
    ]
    split = sentence(1, Hit(0, 1, "PER", "a"), Hit(0, 1, "ORG", "odd", 9))
    answers = weak_labels([*(good * 30), split], TYPES, "label_model")
    assert answers[-1].labels == ["B-PER"]
    assert isinstance(answers[-1].confidence, list)
    assert answers[-1].confidence[0] > 0.7
    assert weak_labels([split], TYPES, "majority")[0].labels == ["B-ORG"]


def test_label_model_leaves_nothing_to_a_vetoed_label() -> None:
    vote, veto = Hit(0, 1, "PER", "a"), Hit(0, 1, "ORG", "no", 0, True)
    for record in (sentence(1, vote), text("x", vote)):
        wrong = 0.2 / (len(TYPES) if "tokens" in record else len(TYPES) - 1)  # of each other class, by assumption
        assert np.ravel(one(record, "label_model").confidence)[0] == pytest.approx(0.8)
        vetoed = {**record, "hits": [hit_to_json(vote), hit_to_json(veto)]}
        assert np.ravel(one(vetoed, "label_model").confidence)[0] == pytest.approx(0.8 / (1 - wrong))


def test_of_a_rule_that_contradicts_itself_the_weightiest_vote_counts() -> None:
    record = sentence(2, Hit(0, 1, "PER", "a"), Hit(0, 2, "LOC", "a"))
    assert one(record, "label_model").labels == ["B-LOC", "I-LOC"]
    votes, _ = vote_matrix([record], TYPES)
    assert votes.tolist() == [[1], [1]]


def test_label_model_texts_match_the_model() -> None:
    rng = np.random.default_rng(3)
    records = [
        text("x", *(Hit(0, 1, TYPES[rng.integers(3)], rule) for rule in ("a", "b", "c") if rng.random() < 0.7))
        for _ in range(200)
    ]
    votes, rules = vote_matrix(records, TYPES)
    assert rules == ("a", "b", "c")
    assert votes.shape == (200, 3)
    posteriors = fit_label_model(votes, 3).posteriors(votes)
    for answer, row, cast in zip(weak_labels(records, TYPES, "label_model"), posteriors, votes, strict=True):
        if (cast == -1).all():
            assert answer.labels is None
        else:
            assert answer.labels == TYPES[row.argmax()]
            assert answer.confidence == pytest.approx(row.max())


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("seed", range(20))
def test_any_hits_give_valid_tags(aggregation: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    records = []
    for _ in range(20):
        length = int(rng.integers(1, 9))
        hits = []
        for _ in range(rng.integers(0, 6)):
            start = int(rng.integers(length))
            end = int(rng.integers(start, length)) + 1
            label = [*TYPES, None][rng.integers(4)]
            veto = bool(label and rng.random() < 0.2)
            hits.append(Hit(start, end, label, f"r{rng.integers(3)}", int(rng.integers(3)), veto))
        records.append(sentence(length, *hits))
    for record, answer in zip(records, weak_labels(records, TYPES, aggregation), strict=True):  # type: ignore[arg-type]
        assert isinstance(answer.labels, list) and isinstance(answer.confidence, list)
        assert len(answer.labels) == len(answer.confidence) == len(record["tokens"])
        assert repair_iob2(answer.labels) == (answer.labels, 0)
        assert all(0 < share <= 1 for share in answer.confidence)
        for start, end, label, _, _, veto in record["hits"]:
            if veto:
                assert label not in {tag[2:] for tag in answer.labels[start:end]}


def test_empty_matches_are_passed_over() -> None:
    record = sentence(2, Hit(1, 1, "PER", "a"), Hit(0, 1, "LOC", "b"))
    for aggregation in AGGREGATIONS:
        assert one(record, aggregation).labels == ["B-LOC", "O"]


def test_mistakes() -> None:
    record = sentence(1, Hit(0, 1, "PERS", "names"))
    with pytest.raises(UserError, match="the rule 'names' votes for 'PERS'.*Did you mean 'PER'"):
        weak_labels([record], TYPES)
    with pytest.raises(UserError, match="did you mean majority"):
        weak_labels([record], TYPES, "majorty")  # type: ignore[arg-type]


def test_training_records() -> None:
    spoken, silent = sentence(1, Hit(0, 1, "PER", "a")), sentence(1)
    records = [spoken] + [silent] * 1000
    weak = weak_labels(records, TYPES)
    chosen = training_records(records, weak, keep_silent=0.2, seed=1)
    assert chosen[0]["tags"] == ["B-PER"] and chosen[0]["confidence"] == [1.0]
    assert 150 < len(chosen) < 250
    assert chosen == training_records(records, weak, keep_silent=0.2, seed=1)
    assert len(training_records(records, weak, keep_silent=0.0)) == 1
    assert len(training_records(records, weak, keep_silent=1.0)) == 1001
    texts = [text("a", Hit(0, 1, "PER", "r")), text("b")]
    assert [r["label"] for r in training_records(texts, weak_labels(texts, TYPES), keep_silent=1.0)] == ["PER"]
    assert "tags" not in spoken  # the records stay as they are


# --- marks ----------------------------------------------------------------------------------------------------


def features(record: Record, index: FeatureIndex) -> list[set[str]]:
    masks = record_marks(record, index)
    return [{name for bit, name in enumerate(index.names) if mask >> bit & 1} for mask in masks]


def test_marks_of_tokens() -> None:
    index = FeatureIndex(("a", "no"), ("PER", "LOC"))
    assert index.size == len(index.names) == 8
    record = sentence(4, Hit(0, 2, "PER", "a"), Hit(1, 2, "LOC", "no", 0, True), Hit(3, 4, None, "a"))
    assert features(record, index) == [
        {"rule a: begins", "label PER: begins"},
        {"rule a: inside", "label PER: inside", "rule no: begins"},
        set(),
        {"rule a: begins"},
    ]


def test_marks_of_texts_are_per_word() -> None:
    index = FeatureIndex(("a",), ("PER",))
    record = text("  Dear Ada\u00a0Lovelace,\n hello ", Hit(7, 19, "PER", "a"))
    assert record["text"].split() == ["Dear", "Ada", "Lovelace,", "hello"]
    begins, inside = {"rule a: begins", "label PER: begins"}, {"rule a: inside", "label PER: inside"}
    assert features(record, index) == [set(), begins, inside, set()]


def test_hits_on_words() -> None:
    spans = [(0, 2), (3, 5), (6, 9)]
    places = [(0, 1), (1, 4), (2, 3), (2, 6), (5, 7), (0, 9), (9, 9), (8, 9)]
    moved = [[(hit.start, hit.end) for hit in hits_on_words([Hit(*place, "PER", "a")], spans)] for place in places]
    assert moved == [[(0, 1)], [(0, 2)], [], [(1, 2)], [(2, 3)], [(0, 3)], [], [(2, 3)]]


@pytest.mark.parametrize("n_rules", [1, 29, 30, 31, 100])
def test_columns_hold_every_bit(n_rules: int) -> None:
    index = FeatureIndex(tuple(f"r{i}" for i in range(n_rules)), ("PER",))
    record = sentence(2, *(Hit(0, 2, "PER", name) for name in index.rules))
    masks = record_marks(record, index)
    columns = split_columns(masks, index)
    assert len(columns) == index.columns
    assert np.array(columns, dtype=np.int64).min() >= 0
    assert [sum(column[word] << 62 * i for i, column in enumerate(columns)) for word in range(2)] == masks
    assert bin(masks[0] | masks[1]).count("1") == index.size
