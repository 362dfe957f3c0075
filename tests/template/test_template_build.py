"""Templates against tasks, data and rules: every variant renders or is refused in words."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from template_example import CLASSIFICATION, EXAMPLES, NER, TASKS, VARIANTS, embed, render_of, variant

from rag_lightning.encoding.render import MASK, render_plain
from rag_lightning.errors import UserError
from rag_lightning.rules.ruleset import RuleSet
from rag_lightning.template.build import (
    build_render,
    check_template,
    has_mask,
    load_render,
    needs_embedding,
    save_render,
)


def build(text: str, task: str = "ner", ruleset: RuleSet | None = None, **changes: Any) -> Any:
    given = TASKS[task] if ruleset is None else {**TASKS[task], "ruleset": ruleset}
    return build_render(variant("none", text=text, **changes), **given, embed=embed)[0]


def words(text: str, task: str = "ner", **changes: Any) -> list[list[str]]:
    return [list(segment.words) for segment in build(text, task, **changes)(EXAMPLES[task])]


# --- every variant ----------------------------------------------------------------------------------------------


def test_there_are_at_least_eight_variants() -> None:
    assert len(VARIANTS) >= 8
    assert all(variant(name).name == name for name in VARIANTS)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_fits_the_tasks_it_names_and_keeps_the_example(name: str, task: str, knowledge: Path) -> None:
    fits = variant(name).tasks
    if fits is not None and task not in fits:
        with pytest.raises(UserError, match=f"template={name} fits {fits[0]}, not {task}"):
            render_of(name, task, knowledge)
        return
    record, field = EXAMPLES[task], "tokens" if task == "ner" else "text"
    segments = render_of(name, task, knowledge)[0](record)
    own = [segment for segment in segments if segment.field == field]
    assert [list(segment.words) for segment in own] == [record["tokens"] if task == "ner" else record["text"].split()]
    assert own[0].rank == 0
    assert all(segment.rank > 0 for segment in segments if segment.field not in (None, field))
    masks = [word for segment in segments if segment.field is None for word in segment.words if word is MASK]
    assert len(masks) == has_mask(variant(name))


@pytest.mark.parametrize("name", VARIANTS)
def test_without_rules_a_variant_renders_or_says_what_to_give(name: str) -> None:
    for task, given in TASKS.items():
        fits = variant(name).tasks
        if fits is None or task in fits:
            try:
                build_render(variant(name), **{**given, "ruleset": RuleSet()}, embed=embed)
            except UserError as error:
                assert error.remedy and error.where and error.where.startswith("template.")


@pytest.mark.parametrize("rules", [True, False])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", VARIANTS)
def test_what_needs_no_example_is_refused_before_one_is_read(
    name: str, task: str, rules: bool, knowledge: Path
) -> None:
    config = variant(name, **({"context": {"path": str(knowledge)}} if name == "context" else {}))
    ruleset = TASKS[task]["ruleset"] if rules else RuleSet()
    try:
        build_render(config, **{**TASKS[task], "ruleset": ruleset}, embed=embed)
    except UserError as error:
        with pytest.raises(UserError, match=f"^{re.escape(str(error))}$"):
            check_template(config, ruleset, task)
    else:
        check_template(config, ruleset, task)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_saved_render_needs_neither_data_nor_rules_nor_files(name: str, knowledge: Path) -> None:
    task = (variant(name).tasks or ["ner"])[0]
    render, _ = render_of(name, task, knowledge)
    saved = json.loads(json.dumps(save_render(render)))
    knowledge.unlink()
    assert load_render(saved, embed)(EXAMPLES[task]) == render(EXAMPLES[task])


# --- names in the cache -----------------------------------------------------------------------------------------


def test_the_example_alone_is_the_plain_render_so_that_nothing_is_encoded_anew() -> None:
    for text in ("{text}", " {tokens} "):
        assert build_render(variant("none", text=text), **NER) == (render_plain, "plain")
    assert build_render(variant("none"), **CLASSIFICATION) == (render_plain, "plain")


def test_the_fingerprint_is_that_of_the_content(knowledge: Path, tmp_path: Path) -> None:
    def print_of(name: str = "hints", **given: Any) -> str:
        return build_render(variant(name), **{**NER, **given}, embed=embed)[1]

    rules = NER["ruleset"]
    other = dataclasses.replace(rules, fingerprint="e" * 64)
    assert print_of() == print_of()
    assert print_of() != print_of("hints_after")
    assert build_render(variant("hints").model_copy(update={"name": "mine"}), **NER)[1] == print_of(), (
        "how it is called does not count"
    )
    assert print_of() != print_of(ruleset=other), "other rules find other hints"
    assert print_of("labels") == print_of("labels", ruleset=other), "rules that are not shown do not count"
    assert print_of() == print_of(train_records=NER["train_records"][:2])
    assert print_of("examples") != print_of("examples", train_records=NER["train_records"][:2])

    elsewhere = tmp_path / "copy.csv"
    elsewhere.write_text(knowledge.read_text(encoding="utf-8"), encoding="utf-8")
    same = [render_of("context", "ner", file)[1] for file in (knowledge, elsewhere)]
    assert same[0] == same[1], "the content counts, not where the file lies"
    elsewhere.write_text("term,text\nIBM,a company\n", encoding="utf-8")
    assert render_of("context", "ner", elsewhere)[1] != same[0]


def test_what_a_template_needs_is_known_beforehand() -> None:
    assert [name for name in VARIANTS if has_mask(variant(name))] == ["cloze", "cloze_hints", "cloze_topic"]
    assert [name for name in VARIANTS if needs_embedding(variant(name))] == ["nearest_examples"]


# --- slots ------------------------------------------------------------------------------------------------------


def test_template_words_are_never_a_field() -> None:
    segments = build("Find {labels} : {tokens} !")(EXAMPLES["ner"])
    assert [segment.field for segment in segments] == [None, "tokens", None]
    assert segments[0].words == ["Find", "place,", "organisation,", "person", ":"]


def test_text_means_the_tokens_where_words_are_labelled_and_tokens_the_text_where_not() -> None:
    assert words("a {text}") == words("a {tokens}") == [["a"], EXAMPLES["ner"]["tokens"]]
    assert words("a {text}", "classification") == words("a {tokens}", "classification")


@pytest.mark.parametrize("task", TASKS)
def test_with_no_example_to_learn_from_the_labels_say_what_the_task_is_about(task: str) -> None:
    given = {**TASKS[task], "train_records": []}
    assert build_render(variant("none"), **given) == (render_plain, "plain")
    segments = build_render(variant("labels"), **given)[0](EXAMPLES[task])
    assert segments[-1].field == ("tokens" if task == "ner" else "text")
    with pytest.raises(UserError, match="no training example has a label"):
        build_render(variant("examples"), **given)


def test_other_fields_of_the_example() -> None:
    records = [{**record, "title": "News"} for record in NER["train_records"]]
    given = {**NER, "train_records": records}
    render, _ = build_render(variant("none", text="{title} : {text}"), **given)
    segments = render({**EXAMPLES["ner"], "title": "From  the\tpaper"})
    assert [(list(s.words), s.field, s.rank) for s in segments[:2]] == [
        (["From", "the", "paper"], "title", 1), ([":"], None, 0),
    ]  # fmt: skip
    with pytest.raises(UserError, match="test:1: this example has no field 'title'"):
        render(EXAMPLES["ner"])


def test_pairs_of_fields_have_no_main_one() -> None:
    pair = {"id": "1", "premise": "It rains.", "hypothesis": "It is wet.", "label": "yes"}
    given = {"ruleset": RuleSet(), "task_name": "pairs", "labels": ("yes", "no"), "train_records": [pair]}
    render, _ = build_render(variant("none", text="{premise} {sep} {hypothesis}"), **given)
    assert [(s.field, s.rank) for s in render(pair)] == [("premise", 0), (None, 0), ("hypothesis", 0)]
    with pytest.raises(UserError, match=r"no slot \{text\}.*\{hypothesis\}"):
        build_render(variant("none"), **given)


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("{tags} {text}", "ner", "would show the model the answer"),
        ("{label} {text}", "classification", "would show the model the answer"),
        ("{txt}", "ner", r"no slot \{txt\}\. Did you mean \{text\}\?"),
        ("{description}", "ner", "does not show the example"),
        ("only words", "ner", "does not show the example"),
        ("{text} {tokens}", "ner", "once, not 2 times"),
        ("{text} {mask}", "ner", "one answer for a whole text"),
        ("{mask} {text} {mask}", "classification", r"can have one \{mask\}"),
        ("{id} {text}", "ner", r"no slot \{id\}"),
    ],
)
def test_templates_that_cannot_work_are_refused(text: str, task: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(text, task)


def test_a_field_named_as_a_slot_is_refused_only_where_it_is_shown() -> None:
    given = {**CLASSIFICATION, "train_records": [{**CLASSIFICATION["train_records"][0], "context": "x"}]}
    build_render(variant("none", text="{labels} {text}"), **given)
    with pytest.raises(UserError, match="could mean"):
        build_render(variant("none", text="{context} {text}"), **given)


def test_a_description_of_ones_own_needs_no_rules() -> None:
    own = words("{description} {text}", ruleset=RuleSet(), description="Mark names.")
    assert own[0] == ["Mark", "names."]
    with pytest.raises(UserError, match="the task is not described"):
        build("{description} {text}", ruleset=RuleSet())


def test_labels_without_rules_are_called_by_their_names() -> None:
    given = {**CLASSIFICATION, "ruleset": RuleSet(), "labels": ("card_arrival", "lost-card")}
    segments = build_render(variant("none", text="{labels} : {text}"), **given)[0](EXAMPLES["classification"])
    assert segments[0].words == ["card", "arrival,", "lost", "card", ":"]
