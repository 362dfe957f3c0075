"""Combinations of rules, data and ways that cannot work, refused before a model is loaded."""

from collections.abc import Collection

from rag_lightning.data.options import DataConfig
from rag_lightning.errors import UserError
from rag_lightning.guidance.guide import Guide
from rag_lightning.guidance.options import GuidanceConfig
from rag_lightning.tasks.task import Task


def check_guidance(guide: Guide, data: DataConfig) -> None:
    """Raise a UserError for a way that needs rules, an unlabelled pool, or another kind of task."""
    config = guide.config
    if config.features.enabled is True and not guide.has_rules:
        raise _needs_rules("features.enabled=true")
    if (config.decoding.transitions is True or config.decoding.crf) and not guide.of_tokens:
        raise UserError(
            "sequences of tags are decoded in tasks that label words, and this one labels whole texts",
            where="guidance.decoding",
            remedy="Set guidance.decoding.transitions=auto and guidance.decoding.crf=false.",
        )
    if not may_have_pool(data):
        check_pool(guide, [])


def check_pool(guide: Guide, splits: Collection[str]) -> None:
    """Raise a UserError for self-training without unlabelled examples.

    Args:
        splits: the names of those that were read.
    """
    if guide.config.self_training.rounds and "unlabelled" not in splits:
        raise UserError(
            "self-training needs unlabelled examples, and there are none",
            where="guidance.self_training.rounds",
            remedy="Set data.shots=…, which leaves the rest of train unlabelled, or data.unlabelled=FILE.",
        )


def check_something_to_learn_from(guide: Guide, data: DataConfig, is_cloze: bool) -> None:
    """Raise a UserError for zero labels where nothing else could answer."""
    taught = guide.config.semantics or guide.supervises or guide.teaches_examples
    if 0 not in (data.shots, data.shots_per_label) or is_cloze or taught:
        return
    raise UserError(
        "with no labelled example there is nothing to learn from",
        where="data.shots",
        remedy="Use guidance=semantics (label descriptions), guidance=warmup with rules, or a template with {mask}.",
    )


def check_meanings(guide: Guide, pooling: str) -> None:
    """Raise a UserError where a text's head does not see what the labels' meanings are: means of hidden states."""
    if guide.config.semantics and pooling != "mean":
        raise UserError(
            f"with model.pooling={pooling} the head sees other vectors than the labels' meanings",
            where="guidance.semantics",
            remedy="Set model.pooling=mean, or guidance.semantics=false.",
        )


def ways_for(task: Task, config: GuidanceConfig) -> GuidanceConfig:
    """The ways that a task knows: where it gives no named labels, rules take part in the text alone.

    Raises:
        UserError: for another way that was asked for.
    """
    if task.of_named_labels:
        return config
    for key, wanted in (
        ("features.enabled", config.features.enabled is True),
        ("semantics", config.semantics),
        ("examples", config.examples is True),
        ("weak.joint_weight", config.weak.joint_weight > 0),
        ("self_training.rounds", config.self_training.rounds > 0),
        ("decoding", True in (config.decoding.transitions, config.decoding.vetoes) or config.decoding.crf),
    ):
        if wanted:
            raise UserError(
                f"task={task.name} gives no label that a rule could name, so that rules take part in the text alone",
                where=f"guidance.{key}",
                remedy="Choose guidance=auto and a template with {hints}, such as template=hints.",
            )
    changed = {
        "features": config.features.model_copy(update={"enabled": False}),
        "weak": config.weak.model_copy(update={"warmup_epochs": 0}),  # which guidance=auto would do
        "examples": False,
    }
    return config.model_copy(update=changed)


def check_mask_answers(task: Task) -> None:
    """Raise a UserError for a template with {mask} where the answer is not one label of a text."""
    if task.output.name != "sequence_label" and not task.of_tokens:  # of words the template itself tells
        raise UserError(
            f"{{mask}} is answered by the name of a label, and task={task.name} with these settings gives none",
            where="template.text",
            remedy="Choose a template without {mask}.",
        )


def for_mask(config: GuidanceConfig, pooling: str) -> GuidanceConfig:
    """The ways that go together with a template whose answer is a word at {mask}.

    Raises:
        UserError: for one that changes a head which is not there then.
    """
    for key, wanted in (
        ("guidance.features.enabled", config.features.enabled is True),
        ("guidance.semantics", config.semantics),
        ("model.pooling", pooling not in ("auto", "native")),
    ):
        if wanted:
            raise UserError(
                "the template's {mask} is answered by the backbone's masked-language head, which this would replace",
                where=key,
                remedy="Choose a template without {mask}, or leave this setting at its default.",
            )
    return config.model_copy(update={"features": config.features.model_copy(update={"enabled": False})})


def may_have_pool(data: DataConfig) -> bool:
    """Whether there can be unlabelled examples; words of CoNLL columns have tags, elsewhere labels may be blank."""
    return data.few_shot or data.unlabelled is not None or data.format not in ("conll", "sample")


def _needs_rules(key: str) -> UserError:
    return UserError(
        f"guidance.{key} needs rules, and there are none",
        where="guidance",
        remedy="Choose rules=NAME, or give a file of your own with rules.path=mine.yaml.",
    )
