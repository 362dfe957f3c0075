"""Everything that a run's folder tells about its result, in one call."""

from pathlib import Path

from rag_lightning.report.card import write_model_card
from rag_lightning.report.files import write_json, write_metrics, write_predictions, write_text
from rag_lightning.report.history import read_history
from rag_lightning.report.info import RunInfo, file_name, main_evaluation
from rag_lightning.report.markdown import render_report
from rag_lightning.report.plot_knowledge import plot_knowledge
from rag_lightning.report.plots import plot_confusion, plot_curves
from rag_lightning.tasks.evaluation import Evaluation


def write_report(folder: Path, info: RunInfo, evaluations: list[Evaluation], *, with_pictures: bool = True) -> None:
    """Write metrics.json, predictions.jsonl, curves.png, confusion.png, report.md and the model card.

    Where there were probes, probe.json and kept.png too.

    Each file is replaced as a whole. The card goes to ``folder/model/README.md`` where that folder exists.

    Args:
        with_pictures: draw them, which takes a second or two.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_metrics(folder, info, evaluations)
    write_predictions(folder, evaluations)
    if info.knowledge is not None:
        write_json(folder / "probe.json", info.knowledge.to_json())
    if with_pictures:
        _draw(folder, info, evaluations)
    if info.card is not None and (folder / "model").is_dir():
        write_model_card(folder / "model", info, info.card, evaluations)
    write_text(folder / "report.md", render_report(folder, info, evaluations))


def _draw(folder: Path, info: RunInfo, evaluations: list[Evaluation]) -> None:
    main = main_evaluation(evaluations)
    if info.history is not None:
        plot_curves(folder / "curves.png", read_history(info.history), main.headline if main else "f1")
    for evaluation in evaluations:
        if evaluation.confusion is not None and evaluation.confusion.labels:
            plot_confusion(folder / file_name("confusion", ".png", evaluation, evaluations), evaluation.confusion)
    if info.knowledge is not None:
        plot_knowledge(folder / "kept.png", info.knowledge)
