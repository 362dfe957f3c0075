"""``python -m rag_lightning.report`` from its configuration."""

from pathlib import Path

from omegaconf import DictConfig

from rag_lightning.config.schema import ReportConfig
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.leaderboard.finish import report_sweep
from rag_lightning.leaderboard.rows import Leaderboard


def run_report(raw: DictConfig) -> Leaderboard:
    """Show and write what a sweep has found so far.

    Raises:
        UserError: if the folder holds no sweep.
    """
    config = parse(ReportConfig, to_plain(raw))
    return report_sweep(Path(config.sweep).expanduser(), config.rows)
