"""The answer of a sweep in Weights & Biases, beside its trials: a run of its own with table, report and csv."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rag_lightning.config.compose import compose
from rag_lightning.errors import UserError
from rag_lightning.leaderboard.certainty import verdict
from rag_lightning.leaderboard.rows import WORST, Leaderboard, Row

LOGGER = "WandbLogger"
JOB = "leaderboard"


def log_summary(board: Leaderboard, folder: Path, files: Sequence[Path]) -> list[str]:
    """Log leaderboard and files as a run in the group of the trials, if these log to W&B.

    The run's id is the folder's, so that the same sweep, finished again, goes on in the same dashboard. What W&B
    refuses is told and costs the sweep nothing: the files are there.

    Returns:
        Sentences for the reader.
    """
    node = wandb_node(board, folder)
    if node is None:
        return []
    from rag_lightning.config.instantiate import instantiate
    from rag_lightning.report.loggers import close_loggers, start_loggers

    logger = instantiate(node, job_type=JOB)
    try:
        start_loggers([logger])
    except UserError as mistake:
        return [f"The leaderboard is not in W&B: {mistake}"]
    said, failed = list[str](), True
    try:
        _log(logger.experiment, board, files)
        failed = False
    except Exception as error:  # of whatever kind: all trials are done and their answer is written
        said = [f"The leaderboard is not whole in W&B: {type(error).__name__}: {error}"]
    finally:
        said += close_loggers([logger], failed=failed)
    return said


def wandb_node(board: Leaderboard, folder: Path) -> dict[str, Any] | None:
    """The W&B logger of the sweep's trials, set up for the summary; None where they have none."""
    record = next((r for row in board.rows for r in row.records if r.state != "refused"), None)
    if record is None:
        return None
    try:
        config = compose("train", list(record.overrides))
    except UserError:  # a setting that no longer exists: nothing can be trained with it either
        return None
    name = board.question.name
    named = {
        "name": f"{name}: leaderboard",
        "group": config.run.group or name,
        "folder": str(folder),
        "id": hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16],
    }
    whole: Any = OmegaConf.merge(config, {"run": named})
    nodes: Any = OmegaConf.to_container(whole.logger, resolve=True) if whole.logger else {}
    found = (node for node in nodes.values() if str(node.get("_target_")).endswith(LOGGER))
    return next(({**node, "log_model": False} for node in found), None)


def _log(run: Any, board: Leaderboard, files: Sequence[Path]) -> None:
    import wandb

    question = board.question
    run.config.update({"swept": dict(question.swept), "fixed": list(question.fixed)}, allow_val_change=True)
    columns, rows = table(board)
    run.log({"leaderboard": wandb.Table(columns=columns, data=rows, allow_mixed_types=True)})
    run.summary.update({f"trials/{state}": number for state, number in board.states.items()})
    run.summary["answer"] = str(verdict(board))
    if board.ranked:
        best = board.ranked[0]
        run.summary["best/setting"] = board.name(best)
        run.summary.update(
            {f"best/{name}": value for name, value in _numbers(board, best).items() if value is not None}
        )
    name = re.sub(r"[^\w.-]+", "-", f"sweep-{question.name}", flags=re.ASCII)
    artifact = wandb.Artifact(name[:120], type="sweep")
    for file in files:
        artifact.add_file(str(file))
    run.log_artifact(artifact)


def table(board: Leaderboard) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of the leaderboard, as numbers where they are."""
    numbers = [_numbers(board, row) for row in board.rows]
    names = list(dict.fromkeys(name for each in numbers for name in each))
    columns = ["rank", *board.keys.values(), *names, "n", "state", "reason"]
    rows = [
        [
            row.rank, *(row.values.get(key, "") for key in board.keys), *(each.get(name) for name in names),
            len(row.finished), row.state, "; ".join(row.reasons),
        ]
        for row, each in zip(board.rows, numbers, strict=True)
    ]  # fmt: skip
    return columns, rows


def _numbers(board: Leaderboard, row: Row) -> dict[str, float | None]:
    headline = board.question.headline
    means = {f"validation/{headline}": row.score, f"test/{headline}": row.test, "kept": row.kept.get(WORST)}
    means |= {f"kept/{probe}": row.kept.get(probe) for probe in board.probes} | {"seconds": row.seconds}
    found: dict[str, float | None] = {}
    for name, mean in means.items():
        if mean is not None:
            found[name] = mean.mean
            if mean.spread is not None and name != "seconds":
                found[f"{name} spread"] = mean.spread
    return found
