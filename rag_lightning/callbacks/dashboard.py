"""A W&B dashboard worth opening; silent where no WandbLogger is used."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from rag_lightning.report.knowledge import Knowledge
from rag_lightning.report.text import shorten
from rag_lightning.tasks.evaluation import Confusion, Evaluation

MOST_MISTAKES = 1000


class WandbDashboard(Callback):
    """Give every W&B run its configuration, summaries of the best values, matrices, tables and model.

    The module's own logging makes the curves. This adds ``best/validation/...`` (the best of every validation
    metric, per label too) and, from the final evaluations, ``final/<split>/...`` to the run's summary.

    Args:
        config: the whole configuration, as plain containers.
        headline: the validation metric whose maximum (``lower``: minimum) is the run's summary.
        log_model: whether :meth:`log_model_folder` uploads.
    """

    def __init__(
        self, config: dict[str, Any] | None = None, headline: str = "f1", log_model: bool = False, lower: bool = False
    ) -> None:
        self.best = "min" if lower else "max"
        self.config = config or {}
        self.headline = headline
        self.log_model = log_model
        self._loggers: list[WandbLogger] = []
        self._best: dict[str, float] = {}

    def attach(self, loggers: Iterable[Logger]) -> None:
        """Use these loggers also without a fit, for an evaluation alone."""
        self._loggers = [logger for logger in loggers if isinstance(logger, WandbLogger)]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.attach(trainer.loggers)
        if stage == "fit":
            self._define()

    @rank_zero_only
    def _define(self) -> None:
        for run in self._runs():
            if self.config:
                run.config.update(self.config, allow_val_change=True)
            axis = {"step_metric": "trainer/global_step"}
            run.define_metric(f"validation/{self.headline}", summary=f"{self.best},last", **axis)
            run.define_metric("validation/loss", summary="min,last", **axis)

    @rank_zero_only
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._loggers or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        # W&B cannot be told beforehand which labels there will be: it picks among matching globs at random.
        for name, tensor in trainer.callback_metrics.items():
            value = float(tensor)
            if not name.startswith("validation/") or not math.isfinite(value):
                continue
            lower = name.endswith("loss") or (self.best == "min" and name == f"validation/{self.headline}")
            best = min if lower else max
            self._best[name] = best(value, self._best.get(name, value))
        for run in self._runs():
            run.summary.update({f"best/{name}": value for name, value in self._best.items()})

    def state_dict(self) -> dict[str, Any]:
        return {"best": dict(self._best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best = dict(state_dict["best"])

    @rank_zero_only
    def log_evaluation(self, evaluation: Evaluation) -> None:
        """Add an evaluation's scores, tables, confusion matrix and mispredicted examples."""
        for run in self._runs():
            split = evaluation.split
            run.summary.update({f"final/{split}/{k}": v for k, v in evaluation.metrics.items()})
            panels: dict[str, Any] = {
                f"{split}/{_slug(table.title)}": _table(table.columns, table.rows) for table in evaluation.tables
            }
            if evaluation.confusion is not None:
                panels[f"{split}/confusion"] = _confusion(evaluation.confusion, split)
            if evaluation.mistakes:
                columns = ("id", "text", "gold", "predicted")
                rows = [tuple(m.get(c, "") for c in columns) for m in evaluation.mistakes[:MOST_MISTAKES]]
                panels[f"{split}/mistakes"] = _table(columns, rows)
            if panels:
                run.log(panels)

    @rank_zero_only
    def log_knowledge(self, knowledge: Knowledge) -> None:
        """Add what was kept of the pretrained model's knowledge: ``probe/…`` in the summary, and the table."""
        table = knowledge.table()
        for run in self._runs():
            run.summary.update({f"probe/{name}": value for name, value in knowledge.metrics().items()})
            run.log({f"probe/{_slug(table.title)}": _table(table.columns, table.rows)})

    @rank_zero_only
    def log_model_folder(self, folder: Path, metadata: dict[str, Any] | None = None) -> None:
        """Upload the exported model folder as the run's artifact ``model-<id>``, if switched on."""
        if not self.log_model:
            return
        import wandb

        for run in self._runs():
            artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=metadata)
            artifact.add_dir(str(folder))
            run.log_artifact(artifact)

    def _runs(self) -> list[Any]:
        return [logger.experiment for logger in self._loggers]


def _table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Any:
    import wandb

    # Averages may leave cells empty, so a column can hold both text and numbers.
    data = [[shorten(v, 2000) if isinstance(v, str) else v for v in row] for row in rows]
    return wandb.Table(columns=list(columns), data=data, allow_mixed_types=True)


def _confusion(confusion: Confusion, split: str) -> Any:
    """W&B's own chart, from counts (its helper wants one entry an observation)."""
    import wandb

    data = [
        [gold, predicted, number]
        for gold, row in zip(confusion.labels, confusion.counts, strict=True)
        for predicted, number in zip(confusion.labels, row, strict=True)
    ]
    names = ("Actual", "Predicted", "nPredictions")
    return wandb.plot_table(
        vega_spec_name="wandb/confusion_matrix/v1",
        data_table=wandb.Table(columns=list(names), data=data),
        fields={name: name for name in names},
        string_fields={"title": f"{confusion.title} ({split})"},
    )


def _slug(title: str) -> str:
    return re.sub(r"[^\w]+", "_", title.lower()).strip("_") or "table"
