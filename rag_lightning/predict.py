"""``python -m rag_lightning.predict``: apply a finished run to text; JSON lines out."""

from typing import Any

from omegaconf import DictConfig

from rag_lightning.cli import run_job


def predict(config: DictConfig | list[str]) -> int:
    """Answer every input of a file, a folder or standard input.

    Args:
        config: a composed configuration, or overrides such as ``["run=FOLDER", "input=texts.txt"]``.

    Returns:
        The number of inputs answered.
    """
    from rag_lightning.config.compose import compose
    from rag_lightning.inference.predicting import predict_run

    return predict_run(compose("predict", config) if isinstance(config, list) else config)


def _job(config: DictConfig) -> Any:
    return predict(config)


def main() -> None:
    run_job("predict", _job)


if __name__ == "__main__":
    main()
