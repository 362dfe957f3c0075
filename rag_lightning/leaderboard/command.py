"""``python -m rag_lightning.report`` from its configuration."""

from pathlib import Path

from omegaconf import DictConfig

from rag_lightning.config.schema import ReportConfig
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import say
from rag_lightning.leaderboard.finish import report_sweep
from rag_lightning.leaderboard.rows import Leaderboard
from rag_lightning.leaderboard.wandb_sweep import SWEEP_YAML, sweep_yaml
from rag_lightning.report.files import write_text


def run_report(raw: DictConfig) -> Leaderboard:
    """Show and write what a sweep has found so far, and its question for W&B where that is asked for.

    Raises:
        UserError: if the folder holds no sweep, or its question cannot be put to W&B in this way.
    """
    config = parse(ReportConfig, to_plain(raw))
    folder = Path(config.sweep).expanduser()
    board = report_sweep(folder, config.rows)
    if config.wandb_sweep:
        file = folder / SWEEP_YAML
        write_text(file, sweep_yaml(board.question, "auto" if config.wandb_sweep is True else config.wandb_sweep))
        say(f"{file}\n  wandb sweep {file}")
    return board
