"""``report.md``: what ran, how well, where it fails, and how to use it again."""

import re
from pathlib import Path
from typing import Any

from rag_lightning.report.info import RunInfo, file_name, main_evaluation
from rag_lightning.report.knowledge import Knowledge
from rag_lightning.report.text import cell, count, duration, shorten
from rag_lightning.tasks.evaluation import Evaluation, Table

MISTAKES = 10


def render_report(folder: Path, info: RunInfo, evaluations: list[Evaluation]) -> str:
    """The report as Markdown; pictures are embedded if they exist in ``folder``."""
    ordered = _main_first(evaluations)
    parts = [f"# {escape(info.name)}", _headline(info, ordered), _what_ran(info)]
    if ordered:
        parts.append(_scores(ordered))
    if (folder / "curves.png").is_file():
        parts.append("## Training\n\n![Curves of the training](curves.png)")
    parts += [_evaluation(folder, evaluation, evaluations) for evaluation in ordered]
    if info.knowledge is not None:
        parts.append(knowledge_section(folder, info.knowledge))
    if info.notes:
        parts.append("## Notes\n\n" + _bullets(info.notes))
    if info.usage:
        parts.append("## Use it again\n\n" + "\n\n".join(_usage(*item) for item in info.usage))
    return "\n\n".join(part for part in parts if part) + "\n"


def table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A GitHub table; columns that hold numbers are aligned to the right."""
    numeric = [any(isinstance(row[i], int | float) for row in rows if i < len(row)) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(escape(column) for column in columns) + " |",
        "| " + " | ".join("---:" if right else "---" for right in numeric) + " |",
    ]
    lines += ["| " + " | ".join(escape(cell(value)) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def escape(text: str) -> str:
    """``text`` so that Markdown shows it as it is, on one line, also inside a table."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|~#$])", r"\\\1", line)


def code(text: str) -> str:
    """Inline code that may itself hold back-ticks."""
    line = " ".join(text.split())
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}".replace("|", "\\|")


def fenced(snippet: str) -> str:
    """A code block, as Python where it looks like Python, else as shell."""
    python = re.search(r"^(from \S+ import|import |\w+ = |print\()", snippet, re.MULTILINE)
    return f"```{'python' if python else 'bash'}\n{snippet.strip()}\n```"


def _main_first(evaluations: list[Evaluation]) -> list[Evaluation]:
    main = main_evaluation(evaluations)
    return [] if main is None else [main, *(e for e in evaluations if e is not main)]


def _headline(info: RunInfo, ordered: list[Evaluation]) -> str:
    if not ordered or ordered[0].headline not in ordered[0].metrics:
        return ""
    main = ordered[0]
    score = cell(float(main.metrics[main.headline]))
    took = f", trained in {duration(info.duration_s)}" if info.duration_s is not None else ""
    return f"**{escape(main.headline)} {score}** on {escape(main.split)}{took}."


def _what_ran(info: RunInfo) -> str:
    splits = ", ".join(f"{size:,} {split}" for split, size in info.split_sizes.items())
    share = 100 * info.n_trainable / max(info.n_parameters, 1)
    facts = [
        ("task", escape(info.task)),
        ("model", escape(info.model)),
        ("data", escape(f"{info.data} ({splits})" if splits else info.data)),
        ("parameters", f"{count(info.n_parameters)}, {count(info.n_trainable)} trained ({share:.0f} %)"),
        ("seed", str(info.seed)),
        ("fingerprint", code(info.fingerprint)),
    ]
    if info.best_epoch is not None:
        facts.append(("weights of epoch", f"{info.best_epoch:g}"))
    if info.versions:
        facts.append(("versions", escape(", ".join(f"{k} {v}" for k, v in info.versions.items()))))
    lines = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in facts)]
    blocks = ["## What ran", "\n".join(lines), fenced_shell(info.command)]
    if info.settings:
        rows = [f"| {code(key)} | {code(str(value))} |" for key, value in info.settings.items()]
        blocks += [
            "Settings that differ from the defaults:",
            "\n".join(["| setting | value |", "| --- | --- |", *rows]),
        ]
    return "\n\n".join(blocks)


def fenced_shell(command: str) -> str:
    """A shell command as a code block."""
    return f"```bash\n{command.strip()}\n```"


def _scores(ordered: list[Evaluation]) -> str:
    names = [n for n in dict.fromkeys(name for e in ordered for name in e.metrics) if "/" not in n]
    if not names:
        return ""
    rows = [(name, *(float(e.metrics[name]) if name in e.metrics else "" for e in ordered)) for name in names]
    return "## Scores\n\n" + table(("score", *(e.split for e in ordered)), list(rows))


def _evaluation(folder: Path, evaluation: Evaluation, evaluations: list[Evaluation]) -> str:
    blocks = [f"## Results on {escape(evaluation.split)}"]
    blocks += [_table(one) for one in evaluation.tables]
    picture = file_name("confusion", ".png", evaluation, evaluations)
    if (folder / picture).is_file():
        blocks.append(f"![Confusion matrix of {evaluation.split}]({picture})")
    if evaluation.notes:
        blocks.append(_bullets(evaluation.notes))
    if evaluation.mistakes and evaluation is main_evaluation(evaluations):
        blocks.append(_mistakes(evaluation))
    return "\n\n".join(blocks)


def _table(one: Table) -> str:
    note = f"\n\n*{escape(one.note)}*" if one.note else ""
    return f"### {escape(one.title)}\n\n{table(one.columns, list(one.rows))}{note}"


def knowledge_section(folder: Path, knowledge: Knowledge) -> str:
    """What the probes of a run say; the picture is embedded if it exists in ``folder``."""
    one = knowledge.table()
    blocks = [f"## {escape(one.title)}", table(one.columns, list(one.rows)), f"*{escape(one.note)}*"]
    if (folder / "kept.png").is_file():
        blocks.append("![What was kept, and how far the layers moved](kept.png)")
    if knowledge.notes:
        blocks.append(_bullets(list(knowledge.notes)))
    return "\n\n".join(blocks)


def _mistakes(evaluation: Evaluation) -> str:
    total = len(evaluation.mistakes)
    shown = evaluation.mistakes[:MISTAKES]
    which = f"{len(shown)} of {total:,}" if total > len(shown) else f"All {total}"
    columns = ("id", "text", "gold", "predicted")
    rows = [tuple(shorten(m.get(key, ""), 240) for key in columns) for m in shown]
    return f"### Mistakes\n\n{which} mispredicted examples.\n\n{table(columns, list(rows))}"


def _usage(title: str, snippet: str) -> str:
    return f"{escape(title)}:\n\n{fenced(snippet)}"


def _bullets(sentences: list[str]) -> str:
    return "\n".join(f"- {escape(sentence)}" for sentence in sentences)
