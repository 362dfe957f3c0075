"""``python -m rag_lightning.train``: fine-tune a model; see ``--help``."""

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from rag_lightning.cli import run_job
from rag_lightning.errors import UserError

if TYPE_CHECKING:
    from rag_lightning.training.run import RunResult


def train(config: DictConfig | list[str] | None = None) -> "RunResult":
    """Train, evaluate and save one run; also for Python and notebooks.

    Args:
        config: a composed configuration, or overrides as on the command line, such as
            ``["task=ner", "optimizer.lr=3e-5"]``.

    Returns:
        The run's folder, metrics and whether it had been finished before.

    Raises:
        UserError: for a mistake in the configuration or the data, before anything is lost.
    """
    from rag_lightning.config.compose import compose
    from rag_lightning.training.run import run

    if config is None or isinstance(config, list):
        config = compose("train", config or [])
    if config.dry_run:
        remedy = "In Python, rag_lightning.training.plan.make_plan tells what would run."
        raise UserError("dry_run is of the command line", where="dry_run", remedy=remedy)
    return run(config)


def _job(config: DictConfig) -> Any:
    if config.dry_run:
        from rag_lightning.training.dry import say_what_would_run

        return say_what_would_run(config)
    return train(config).score


def main() -> None:
    run_job("train", _job)


if __name__ == "__main__":
    main()
