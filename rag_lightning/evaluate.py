"""``python -m rag_lightning.evaluate``: score a finished run again, on its own or on other data."""

from typing import Any

from omegaconf import DictConfig

from rag_lightning.cli import run_job


def evaluate(config: DictConfig | list[str]) -> dict[str, float]:
    """Evaluate a run's exported model.

    Args:
        config: a composed configuration, or overrides such as ``["run=FOLDER", "data=conll", "data.path=FOLDER"]``.

    Returns:
        Metrics as ``split/name``.
    """
    from rag_lightning.config.compose import compose
    from rag_lightning.inference.evaluating import evaluate_run

    return evaluate_run(compose("evaluate", config) if isinstance(config, list) else config)


def _job(config: DictConfig) -> Any:
    return evaluate(config)


def main() -> None:
    run_job("evaluate", _job)


if __name__ == "__main__":
    main()
