"""Which labelled examples are shown: chosen as asked, reproducibly, never the example itself."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from template_example import CLASSIFICATION, NER, build_render, embed, variant

from rag_lightning.encoding.render import SEP, words_of
from rag_lightning.errors import UserError
from rag_lightning.template.demonstrations import Chooser, Demonstration, fixed_order, nearest_order


def pool(n: int) -> list[Demonstration]:
    return [Demonstration({"text": f"text {i}"}, "yes", f"text {i}") for i in range(n)]


def shown(record: Any, given: Any = CLASSIFICATION, embedding: Any = embed, **demonstrations: Any) -> list[str]:
    config = variant("none", text="{examples} {text}", demonstrations=demonstrations)
    segments = build_render(config, **given, embed=embedding)[0](record)
    return [words_of([segment]) for segment in segments if segment.field == "examples"]


@given(st.lists(st.lists(st.sampled_from("ABC"), max_size=2, unique=True).map(tuple), max_size=30), st.integers(0, 9))
def test_a_fixed_order_goes_label_by_label(groups: list[tuple[str, ...]], seed: int) -> None:
    order = fixed_order(groups, seed)
    assert sorted(order) == list(range(len(groups)))
    assert order == fixed_order(groups, seed)
    labels = {label for group in groups for label in group}
    first = {label for index in order[: len(labels)] for label in groups[index]}
    assert labels == first, "each label is shown before one is shown twice"


def test_other_seeds_choose_others() -> None:
    groups = [("A",), ("B",)] * 20
    assert len({tuple(fixed_order(groups, seed)[:4]) for seed in range(5)}) > 1


@pytest.mark.parametrize("choice", ["fixed", "random", "nearest"])
@pytest.mark.parametrize("k", [1, 3, 10])
def test_an_example_is_never_shown_to_itself(choice: str, k: int) -> None:
    chooser = Chooser(pool(6), k, choice, 0, embed)
    for own in [f"text {i}" for i in range(6)] + ["another"]:
        chosen = chooser.choose(own)
        assert own not in [each.own for each in chosen]
        assert len(chosen) == min(k, 6 - (own != "another"))
        assert len({each.own for each in chosen}) == len(chosen)
        assert chosen == Chooser(pool(6), k, choice, 0, embed).choose(own), "whatever was chosen before"


def test_a_random_choice_differs_between_examples_and_seeds() -> None:
    first = Chooser(pool(50), 2, "random", 0)
    assert len({tuple(each.own for each in first.choose(f"own {i}")) for i in range(10)}) > 5
    assert first.choose("own") != Chooser(pool(50), 2, "random", 1).choose("own")


def test_the_most_similar_come_first() -> None:
    record = {"text": "What a waste from start to end.", "hits": []}
    assert shown(record, k=2, choice="nearest", text="{text}") == ["Dull from start to end.", "What a waste."]


def test_neighbours_are_searched_for_many_at_once() -> None:
    calls: list[int] = []

    def counted(texts: list[str]) -> np.ndarray:
        calls.append(len(texts))
        return embed(texts)

    config = variant("none", text="{examples} {text}", demonstrations={"choice": "nearest"})
    render, _ = build_render(config, **CLASSIFICATION, embed=counted)
    records = [{"text": f"text {i}"} for i in range(20)]
    render.prepare(records)  # type: ignore[attr-defined]
    render.prepare([])  # type: ignore[attr-defined]
    one_by_one = [render(record) for record in records]
    assert calls == [4, 20], "the pool once, the examples together"
    alone, _ = build_render(config, **CLASSIFICATION, embed=embed)
    assert [alone(record) for record in records] == one_by_one


@given(st.lists(st.integers(-3, 3), max_size=12), st.integers(1, 5))
def test_the_nearest_are_the_largest(values: list[int], k: int) -> None:
    order = nearest_order(np.array(values, dtype=np.float32), k)
    assert [values[i] for i in order] == sorted(values, reverse=True)[:k]


def test_each_is_shown_k_of_the_fixed_also_who_is_one_of_them() -> None:
    for record in [*CLASSIFICATION["train_records"], {"text": "New"}]:
        found = shown(record, k=2, text="{text}")
        assert len(found) == 2 and record["text"] not in found


def test_a_text_that_stands_twice_in_the_data_is_shown_once() -> None:
    records = CLASSIFICATION["train_records"][:2] * 3
    assert len(shown({"text": "New"}, {**CLASSIFICATION, "train_records": records}, k=4)) == 2


def test_how_a_demonstration_reads() -> None:
    record = {"text": "New", "hits": []}
    assert shown(record, k=1, text="Q: {text} A: {answer} {sep}")[0].endswith(" [SEP]")
    config = variant("none", text="{examples} {text}", demonstrations={"k": 1, "text": "{text} {sep}"})
    segment = build_render(config, **CLASSIFICATION)[0](record)[0]
    assert segment.words[-1] is SEP and segment.whole
    named = {"tokens": ["New"], "hits": []}
    assert shown(named, NER, k=4, text="{tokens} = {answer}")[3] == "Nothing happened . = nothing"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{answr}", r"template\.demonstrations\.text:column 1: .*Did you mean \{answer\}"),
        ("{mask}", "no slot"),
        ("{", "partner"),
    ],
)
def test_a_wrong_line_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        shown({"text": "a"}, text=text)


def test_without_labelled_examples_there_is_nothing_to_show() -> None:
    bare = {**CLASSIFICATION, "train_records": [{"id": "1", "text": "a"}]}
    with pytest.raises(UserError, match="no training example has a label"):
        shown({"text": "b"}, bare)


def test_nearest_without_an_embedding_is_a_defect_of_the_caller() -> None:
    with pytest.raises(ValueError, match="embedding"):
        shown({"text": "a"}, embedding=None, choice="nearest")
