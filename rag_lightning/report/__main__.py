"""``python -m rag_lightning.report``: what a sweep has found so far; see ``--help``."""

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from rag_lightning.cli import run_job

if TYPE_CHECKING:
    from rag_lightning.leaderboard.rows import Leaderboard


def report(config: DictConfig | list[str]) -> "Leaderboard":
    """Read a sweep's folder, finished or not, and write its leaderboard and report.

    Args:
        config: a composed configuration, or overrides such as ``["sweep=FOLDER"]``.

    Raises:
        UserError: if the folder holds no sweep.
    """
    from rag_lightning.config.compose import compose
    from rag_lightning.leaderboard.command import run_report

    return run_report(compose("report", config) if isinstance(config, list) else config)


def _job(config: DictConfig) -> Any:
    report(config)


def main() -> None:
    run_job("report", _job)


if __name__ == "__main__":
    main()
