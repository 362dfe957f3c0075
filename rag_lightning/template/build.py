"""From the settings of a template to a render, everything checked that can be checked before an example is read."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rag_lightning.data.records import Record
from rag_lightning.encoding.render import Render, render_plain
from rag_lightning.errors import UserError
from rag_lightning.tasks.entity_marks import MARKED, TYPED, without_types
from rag_lightning.template.context import read_terms
from rag_lightning.template.demonstrations import Demonstration, Embed, fixed_order
from rag_lightning.template.options import TemplateConfig
from rag_lightning.template.pairs import file_of
from rag_lightning.template.parse import Parts, Slot, check_slots, parse, slots_of
from rag_lightning.template.recipe import Recipe
from rag_lightning.template.render import ANSWER, BUILT_IN, MAIN, TemplateRender
from rag_lightning.template.retrieval import read_entries
from rag_lightning.template.wording import (
    ANSWERS,
    LabelWords,
    answer_in_words,
    entity_types,
    groups_of,
    label_words,
    own_words,
)

if TYPE_CHECKING:
    from rag_lightning.rules.ruleset import RuleSet

PLAIN = "plain"  # the name of an input with nothing around the example
_BOOKKEEPING = ("id", "source", "offsets", "hits", "weight", "confidence", "candidates", "most_frequent")
_WHERE = "template.text"
_READS = "template.demonstrations.text"
_SAMPLE = 200  # examples that are looked at for the fields there are


def build_render(
    config: TemplateConfig,
    ruleset: "RuleSet",
    task_name: str,
    labels: Sequence[str],
    train_records: Sequence[Record],
    embed: Embed | None = None,
) -> tuple[Render, str]:
    """The render of a template, and the name under which encoded data are kept.

    Args:
        config: the template.
        ruleset: gives description, label names and descriptions; an empty one where there are no rules.
        task_name: as in ``task=…``.
        labels: as the task prepared them (for NER the tags).
        train_records: training examples in the task's form; the labelled ones may become demonstrations.
        embed: texts -> (texts, width), the backbone's mean-pooled embedding; needed for the nearest demonstrations.

    Returns:
        ``render_plain`` and ``"plain"`` for a template that shows the example alone, so that nothing is encoded anew.

    Raises:
        UserError: for a template that does not fit the task, the data or the rules.
    """
    parts = parse(config.text)
    main = main_field(train_records, labels)
    names = slots_of(parts)
    _check_task(config, task_name)
    _check_names(parts, fields_of(train_records, main))
    _check_shape(names, main)
    visible = [part for part in parts if isinstance(part, Slot) or part.strip()]
    if main and len(visible) == 1 and names[0] in MAIN:
        return render_plain, PLAIN
    words = label_words(labels, ruleset.labels)
    if "label_descriptions" in names:
        _check_described(each.description for each in words.values())
    recipe = Recipe(
        config=config,
        main=main,
        description=_description(config, ruleset) if "description" in names else "",
        labels=words,
        rules=_rules(ruleset) if "hints" in names else "",
        pool=_pool(config, main, words, train_records) if "examples" in names else (),
        **(_knowledge(config) if "context" in names else {}),
    )
    return TemplateRender(recipe, embed), recipe.fingerprint


def check_template(config: TemplateConfig, ruleset: "RuleSet", task_name: str) -> None:
    """Raise a UserError for all that can be wrong before any example is known; the rest is for :func:`build_render`."""
    _check_task(config, task_name)
    parse(config.demonstrations.text, _READS)
    names = slots_of(parse(config.text))
    if "description" in names:
        _description(config, ruleset)
    if "label_descriptions" in names:
        _check_described(info.description for info in ruleset.labels.values())
    if "hints" in names:
        _rules(ruleset)
    if "context" in names:
        _knowledge(config)


def save_render(render: Render) -> dict[str, Any] | None:
    """A render as JSON-ready data, to be kept with the model; None for the plain one."""
    return render.recipe.to_json() if isinstance(render, TemplateRender) else None


def load_render(saved: dict[str, Any] | None, embed: Embed | None = None) -> Render:
    """What :func:`save_render` gave; data and knowledge files are not needed any more."""
    return render_plain if saved is None else TemplateRender(Recipe.from_json(saved), embed)


def has_mask(config: TemplateConfig) -> bool:
    """Whether the answer is read off a masked word, by the backbone's masked-language head."""
    return "mask" in slots_of(parse(config.text))


def needs_embedding(config: TemplateConfig) -> bool:
    """Whether :func:`build_render` must be given ``embed``."""
    return config.demonstrations.choice == "nearest" and "examples" in slots_of(parse(config.text))


def main_field(records: Sequence[Record], labels: Sequence[str]) -> str:
    """The field that the task is about: tokens, text, or "" for examples of several fields, such as pairs.

    Without any training example (zero shots) tokens if the labels are tags, else text.
    """
    if not records:
        return "tokens" if entity_types(labels) != list(labels) else "text"
    present = {name for record in records[:_SAMPLE] for name in record}
    return next((name for name in MAIN if name in present), "")


def fields_of(records: Sequence[Record], main: str) -> list[str]:
    """The fields of examples that a template may show: not the answer, nor what is kept there for other purposes."""
    fields = {
        name
        for record in records[:_SAMPLE]
        for name, value in record.items()
        if isinstance(value, str | int | float)
        or (isinstance(value, list | tuple) and all(isinstance(word, str) for word in value))
    }
    own = sorted(fields - {*ANSWERS, *_BOOKKEEPING, *MAIN})
    return [*MAIN, *own] if main else own


def _check_task(config: TemplateConfig, task_name: str) -> None:
    if config.tasks is not None and task_name not in config.tasks:
        raise UserError(
            f"template={config.name} fits {' and '.join(config.tasks)}, not {task_name}",
            where="template.tasks",
            remedy="Choose another template; for a line of your own that fits every task set template.tasks=null.",
        )


def _check_names(parts: Parts, fields: Sequence[str]) -> None:
    for part in parts:
        if not isinstance(part, Slot):
            continue
        if part.name in ANSWERS and part.name not in BUILT_IN:
            raise UserError(
                f"{{{part.name}}} would show the model the answer",
                where=f"{_WHERE}:column {part.column}",
                remedy="For the labels' names in words write {labels}; for labelled examples {examples}.",
            )
        if part.name == TYPED and MARKED in fields and TYPED not in fields:
            raise without_types(f"{_WHERE}:column {part.column}")
        if part.name in BUILT_IN and part.name in fields:
            raise UserError(
                f"{{{part.name}}} could mean the template's slot or the examples' field of that name",
                where=f"{_WHERE}:column {part.column}",
                remedy="Give the field another name with data.fields.",
            )
    check_slots(parts, [*fields, *BUILT_IN])


def _check_shape(names: Sequence[str], main: str) -> None:
    """The example is shown, once if its words are labelled; one mask at most, and only for a whole text."""
    shown = [name for name in names if name not in BUILT_IN]
    labelled = [name for name in shown if name in MAIN]
    if not shown:
        reason, remedy = "the template does not show the example", "Write {text} where it shall stand."
    elif main == "tokens" and len(labelled) != 1:
        reason = f"the words that are to be labelled must stand in the template once, not {len(labelled)} times"
        remedy = "Write {text} once."
    elif main == "tokens" and "mask" in names:
        reason = "{mask} gives one answer for a whole text, and here every word gets one"
        remedy = "Choose a template without {mask}."
    elif names.count("mask") > 1:
        reason, remedy = "a template can have one {mask}", "Remove the others."
    else:
        return
    raise UserError(reason, where=_WHERE, remedy=remedy)


def _check_described(descriptions: Iterable[str]) -> None:
    if not any(descriptions):
        raise UserError(
            "the template shows {label_descriptions}, but no label is described",
            where=_WHERE,
            remedy="Describe the labels in a rule file (rules.path=mine.yaml), or choose template=labels.",
        )


def _description(config: TemplateConfig, ruleset: "RuleSet") -> str:
    text = config.description or ruleset.description
    if not text or not text.strip():
        raise UserError(
            "the template shows {description}, but the task is not described",
            where=_WHERE,
            remedy="Set template.description='Find names in news.', or write description: in a rule file.",
        )
    return text


def _rules(ruleset: "RuleSet") -> str:
    if not ruleset.rules:
        raise UserError(
            "the template shows {hints}, but there are no rules that could find any",
            where=_WHERE,
            remedy="Choose rules=…, or give a rule file with rules.path=mine.yaml.",
        )
    return ruleset.fingerprint


def _knowledge(config: TemplateConfig) -> dict[str, Any]:
    """The part of a recipe that the slot {context} is filled from."""
    if config.context.path is None:
        raise UserError(
            "the template shows {context}, but there is no file to look it up in",
            where="template.context.path",
            remedy="Give a JSONL, CSV or YAML file of terms and their texts: template.context.path=knowledge.csv."
            if config.context.how == "terms"
            else "Give a JSONL or CSV file with title and text, or question and answer: "
            "template.context.path=knowledge.jsonl.",
        )
    file = file_of(config.context.path)
    return {"entries": read_entries(file)} if config.context.how == "similar" else {"terms": read_terms(file)}


def _pool(
    config: TemplateConfig, main: str, words: dict[str, LabelWords], records: Sequence[Record]
) -> tuple[Demonstration, ...]:
    """The examples that may be shown, each text once."""
    options = config.demonstrations
    reads = parse(options.text, _READS)
    check_slots(reads, [*fields_of(records, main), ANSWER, "sep"], _READS)
    fields = {main if name in MAIN else name for name in slots_of(reads)} - {ANSWER, "sep"}
    shown_by_template = [name for name in slots_of(parse(config.text)) if name not in BUILT_IN]
    distinct: dict[str, tuple[Demonstration, tuple[str, ...]]] = {}
    for record in records:
        answer = answer_in_words(record, words, options.nothing)
        own = own_words(record, shown_by_template)
        if answer is None or not own.strip() or own in distinct:
            continue
        shown = {name: _plain(record.get(name, "")) for name in sorted(fields)}
        distinct[own] = (Demonstration(shown, answer, own), groups_of(record))
    if not distinct:
        raise UserError(
            "the template shows {examples}, but no training example has a label",
            where=_WHERE,
            remedy="Choose a template without {examples}, or more labelled examples (data.shots).",
        )
    pool = [demonstration for demonstration, _ in distinct.values()]
    if options.choice == "fixed":  # one more, for an input that is one of them
        order = fixed_order([groups for _, groups in distinct.values()], options.seed)
        pool = [pool[i] for i in order[: options.k + 1]]
    return tuple(pool)


def _plain(value: object) -> str | list[str]:
    return [str(word) for word in value] if isinstance(value, list | tuple) else str(value)
