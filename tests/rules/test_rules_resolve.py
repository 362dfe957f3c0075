"""One answer out of hits that disagree, and how good rules are."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lightning.rules.analysis import joint_table, labelled, marked, rule_table, worst_table
from rag_lightning.rules.hits import Hit, hit_to_json
from rag_lightning.rules.resolve import aggregate_label, aggregate_spans
from rag_lightning.rules.ruleset import Rule, RuleSet

CONFLICTS = ["priority", "longest", "majority", "abstain"]


def by(conflict: str) -> RuleSet:
    return RuleSet(conflict=conflict)  # type: ignore[arg-type]


LOW = Hit(0, 3, "LOC", "a", 1)
HIGH = Hit(1, 2, "PER", "b", 5)
OTHER = Hit(0, 3, "ORG", "c", 1)
SAME = Hit(0, 3, "ORG", "d", 0)


@pytest.mark.parametrize(
    ("conflict", "spans"),
    [
        ("priority", [(1, 2, "PER")]),
        ("longest", [(0, 3, "LOC")]),
        ("majority", [(0, 3, "ORG")]),
        ("abstain", []),
    ],
)
def test_where_hits_touch_the_conflict_decides(conflict: str, spans: list[tuple[int, int, str]]) -> None:
    assert aggregate_spans([LOW, HIGH, OTHER, SAME], by(conflict)) == spans


@pytest.mark.parametrize("conflict", CONFLICTS)
def test_a_veto_takes_its_label_away_where_it_stands(conflict: str) -> None:
    elsewhere = Hit(5, 6, "LOC", "a")
    assert aggregate_spans([LOW, elsewhere, Hit(2, 4, "LOC", "v", -9, True)], by(conflict)) == [(5, 6, "LOC")]
    assert aggregate_spans([LOW, Hit(3, 4, "LOC", "v", 9, True)], by(conflict)) == [(0, 3, "LOC")]
    assert aggregate_spans([LOW, Hit(0, 3, "PER", "v", 9, True)], by(conflict)) == [(0, 3, "LOC")]


@pytest.mark.parametrize(
    ("conflict", "label"), [("priority", "PER"), ("longest", "ORG"), ("majority", "ORG"), ("abstain", None)]
)
def test_a_text_gets_one_label(conflict: str, label: str | None) -> None:
    assert aggregate_label([LOW, HIGH, OTHER, SAME], by(conflict)) == label


@pytest.mark.parametrize("conflict", CONFLICTS)
def test_a_tie_marks_and_vetoes_are_no_label(conflict: str) -> None:
    assert aggregate_label([], by(conflict)) is None
    assert aggregate_label([LOW, OTHER], by(conflict)) is None
    assert aggregate_label([Hit(0, 1, None, "m")], by(conflict)) is None
    assert aggregate_label([LOW, Hit(7, 8, "LOC", "v", 0, True)], by(conflict)) is None
    assert aggregate_label([LOW, OTHER, Hit(7, 8, "LOC", "v", 0, True)], by(conflict)) == "ORG"


HITS = st.builds(
    lambda start, length, label, rule, priority, veto: Hit(start, start + length, label, rule, priority, veto),
    st.integers(0, 12), st.integers(1, 5), st.sampled_from([None, "A", "B"]), st.sampled_from("pqr"),
    st.integers(0, 2), st.booleans(),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(HITS, max_size=10), st.sampled_from(CONFLICTS), st.randoms())
def test_answers_come_from_hits_do_not_overlap_and_do_not_depend_on_the_order(
    hits: list[Hit], conflict: str, random: object
) -> None:
    spans = aggregate_spans(hits, by(conflict))
    votes = [hit for hit in hits if hit.label is not None and not hit.veto]
    vetoes = [hit for hit in hits if hit.veto]
    assert all(one[1] <= other[0] for one, other in zip(spans, spans[1:], strict=False))
    for start, end, label in spans:
        assert any((hit.start, hit.end, hit.label) == (start, end, label) for hit in votes)
        assert not any(hit.label == label and hit.start < end and start < hit.end for hit in vetoes)
    if conflict != "abstain":  # what is left out touches something that is in, or a veto
        for hit in votes:
            touched = any(hit.start < end and start < hit.end for start, end, _ in spans)
            assert touched or any(v.label == hit.label and v.start < hit.end and hit.start < v.end for v in vetoes)
    shuffled = list(hits)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert aggregate_spans(shuffled, by(conflict)) == spans
    assert aggregate_label(shuffled, by(conflict)) == aggregate_label(hits, by(conflict))


# --- analysis ---------------------------------------------------------------------------------------------------

RULES = RuleSet(
    rules=(Rule("a", "PER"), Rule("b", "LOC"), Rule("v", "PER", veto=True), Rule("m", None), Rule("s", "ORG"))
)


def tokens(tags: str, *hits: Hit) -> dict[str, object]:
    words = [f"w{number}" for number in range(len(tags.split()))]
    return {"tokens": words, "tags": tags.split(), "hits": [hit_to_json(hit) for hit in hits]}


def test_rules_are_measured_on_entities() -> None:
    records = [
        tokens("B-PER I-PER O B-LOC", Hit(0, 2, "PER", "a"), Hit(3, 4, "PER", "a"), Hit(3, 4, "LOC", "b")),
        tokens("B-PER O", Hit(0, 1, "PER", "v", 0, True), Hit(1, 2, "PER", "v", 0, True), Hit(0, 1, None, "m")),
        tokens("B-PER I-PER", Hit(0, 1, "PER", "a"), Hit(1, 2, "LOC", "b")),
        tokens("O"),
    ]
    rows = {row[0]: row[1:] for row in rule_table([labelled(r, "tags") for r in records], RULES).rows}
    assert rows["a"] == ("PER", 3, 0.5, 0.25, 0.25, pytest.approx(1 / 3), pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert rows["b"] == ("LOC", 2, 0.5, 0.25, 0.25, 0.5, 1.0, pytest.approx(2 / 3))
    assert rows["v"][:6] == ("never PER", 2, 0.25, 0.0, 0.0, 0.5)
    assert rows["m"][:4] == ("—", 1, 0.25, 0.25)
    assert all(math.isnan(score) for score in (*rows["v"][6:], *rows["m"][5:]))
    assert rows["s"][:5] == ("ORG", 0, 0.0, 0.0, 0.0)


def test_rules_are_measured_on_labels_of_texts() -> None:
    def text(label: str, *hits: Hit) -> dict[str, object]:
        return {"text": "some text", "label": label, "hits": [hit_to_json(hit) for hit in hits]}

    records = [
        text("PER", Hit(0, 4, "PER", "a"), Hit(5, 9, "PER", "a"), Hit(5, 9, "LOC", "b")),
        text("LOC", Hit(0, 4, "LOC", "b"), Hit(0, 4, "PER", "v", 0, True)),
        text("PER", Hit(0, 4, "PER", "v", 0, True)),
        text("PER"),
    ]
    examples = [labelled(record, "label") for record in records]
    rows = {row[0]: row[1:] for row in rule_table(examples, RULES).rows}
    assert rows["a"] == ("PER", 2, 0.25, 0.25, 0.25, 1.0, pytest.approx(1 / 3), 0.5)
    assert rows["b"] == ("LOC", 2, 0.5, 0.5, 0.25, 0.5, 1.0, pytest.approx(2 / 3))
    assert rows["v"][5] == 0.5
    joint = {row[0]: row[1:] for row in joint_table(examples, RULES).rows}
    assert joint["all"] == (1.0, 0.5, pytest.approx(2 / 3), 4)
    assert "nothing about 2 of 4 examples" in joint_table(examples, RULES).note


def test_all_rules_together_are_scored_strictly() -> None:
    records = [
        tokens("B-PER I-PER O", Hit(0, 2, "PER", "a")),
        tokens("B-PER I-PER O", Hit(0, 1, "PER", "a"), Hit(2, 3, "LOC", "b")),
    ]
    joint = {row[0]: row[1:] for row in joint_table([labelled(r, "tags") for r in records], RULES).rows}
    assert joint["PER"] == (0.5, 0.5, 0.5, 2)
    assert joint["LOC"][0] == 0.0 and math.isnan(joint["LOC"][1])
    assert joint["all"] == (pytest.approx(1 / 3), 0.5, 0.4, 2)


def test_the_wrong_hits_are_shown_most_wrong_rule_first() -> None:
    records = [
        tokens("B-LOC O O", Hit(0, 1, "PER", "a"), Hit(1, 2, "LOC", "b"), Hit(2, 3, "PER", "a")),
        tokens("O O", Hit(1, 2, "PER", "a")),
        tokens("B-PER", Hit(0, 1, "PER", "v", 0, True)),
    ]
    rows = worst_table([labelled(r, "tags") for r in records], RULES, most=5).rows
    assert rows == (
        ("a", "PER", "w0: LOC", "[w0] w1 w2"),
        ("a", "PER", "—", "w0 [w1]"),
        ("b", "LOC", "—", "w0 [w1] w2"),
        ("v", "never PER", "w0: PER", "[w0]"),
    )


def test_a_long_text_is_shown_around_the_hit() -> None:
    text = "x" * 200 + " hit " + "y" * 200
    assert marked({"text": text}, Hit(201, 204, "L", "r"), around=5) == "…xxxx [hit] yyyy…"
