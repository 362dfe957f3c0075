"""The model card (README.md) of the exported Hugging Face folder."""

import math
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from rag_lightning.report.files import write_text
from rag_lightning.report.info import CardInfo, RunInfo, main_evaluation
from rag_lightning.report.markdown import code, escape, fenced, table
from rag_lightning.report.text import cell, count, duration
from rag_lightning.tasks.evaluation import Evaluation

# The Hub's ids of metrics; others keep their own name.
METRIC_TYPES = {"f1", "accuracy", "precision", "recall", "rouge", "exact_match", "perplexity"}


def write_model_card(folder: Path, info: RunInfo, card: CardInfo, evaluations: list[Evaluation]) -> None:
    """Write ``folder/README.md``, whose front matter huggingface_hub's ``ModelCard`` reads back."""
    write_text(folder / "README.md", render_card(info, card, evaluations))


def render_card(info: RunInfo, card: CardInfo, evaluations: list[Evaluation]) -> str:
    """The card's text."""
    main = main_evaluation(evaluations)
    parts = [
        f"---\n{_front_matter(info, card, main)}\n---",
        f"# {escape(info.name)}",
        f"{escape(info.model)}, fine-tuned for {escape(info.task)} on {escape(info.data)} (rag\\_lightning).",
        "## How to use\n\n" + fenced(card.snippet),
        _training(info),
    ]
    if main is not None:
        parts.append(_scores(main))
    limits = [*card.limits, *_general_limits(info, main)]
    parts.append("## Limits\n\n" + "\n".join(f"- {escape(sentence)}" for sentence in limits))
    return "\n\n".join(parts) + "\n"


def _front_matter(info: RunInfo, card: CardInfo, main: Evaluation | None) -> str:
    results = _results(info, card, main) if main is not None else []
    data = ModelCardData(
        base_model=card.base_model,
        datasets=card.dataset,
        eval_results=results or None,
        language=list(card.language) or None,
        library_name="transformers",
        license=card.license,
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=info.name,
        pipeline_tag=card.pipeline_tag,
        tags=["rag_lightning", *card.tags],
    )
    return data.to_yaml()


def _results(info: RunInfo, card: CardInfo, main: Evaluation) -> list[EvalResult]:
    """The scores without a label in their name, as the Hub's ``model-index`` lists them."""
    scores = {name: value for name, value in main.metrics.items() if "/" not in name and name != "loss"}
    return [
        EvalResult(
            task_type=card.pipeline_tag or info.task,
            dataset_type=card.dataset or info.data,
            dataset_name=info.data,
            dataset_split=main.split,
            metric_type=name,
            metric_name=name,
            metric_value=round(float(value), 6),
        )
        for name, value in scores.items()
        if name in METRIC_TYPES | {main.headline} and math.isfinite(value)
    ]


def _training(info: RunInfo) -> str:
    sizes = ", ".join(f"{size:,} {split}" for split, size in info.split_sizes.items())
    facts = [
        f"data: {escape(info.data)}" + (f" ({sizes} examples)" if sizes else ""),
        f"parameters: {count(info.n_parameters)}, of which {count(info.n_trainable)} were trained",
        f"seed: {info.seed}",
    ]
    if info.duration_s is not None:
        facts.append(f"time: {duration(info.duration_s)}")
    facts += [f"{code(key)}: {code(_portable(str(value), info))}" for key, value in info.settings.items()]
    if info.versions:
        facts.append("versions: " + escape(", ".join(f"{k} {v}" for k, v in info.versions.items())))
    command = f"```bash\n{_portable(info.command.strip(), info)}\n```"
    return "## Training\n\n" + "\n".join(f"- {fact}" for fact in facts) + "\n\n" + command


def _portable(text: str, info: RunInfo) -> str:
    """``text`` without the folders of this machine, which mean nothing to a reader of the card."""
    for value in map(str, info.settings.values()):
        if Path(value).is_absolute():
            text = text.replace(value, Path(value).name)
    return text


def _scores(main: Evaluation) -> str:
    blocks = [f"## Scores\n\nOn the {escape(main.split)} split:"]
    if main.headline in main.metrics:
        blocks[0] += f" **{escape(main.headline)} {cell(float(main.metrics[main.headline]))}**."
    blocks += [f"{escape(one.title)}\n\n{table(one.columns, list(one.rows))}" for one in main.tables]
    return "\n\n".join(blocks)


def _general_limits(info: RunInfo, main: Evaluation | None) -> list[str]:
    learnt = info.split_sizes.get("train")
    sentences = ["The scores hold for text like that of the data above; expect less on other kinds of text."]
    if learnt is not None and learnt < 1000:
        sentences.append(f"It learnt from {learnt:,} examples only: check it on your own text before you rely on it.")
    if main is None or main.split != "test":
        sentences.append("It was not evaluated on a test split; validation scores are optimistic.")
    return sentences
