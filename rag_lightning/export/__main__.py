"""``python -m rag_lightning.export``: a finished run as a folder for transformers, onnxruntime or torch."""

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from rag_lightning.cli import run_job

if TYPE_CHECKING:
    from rag_lightning.export.run import Exported


def export(config: DictConfig | list[str]) -> "Exported":
    """Export a finished run.

    Args:
        config: a composed configuration, or overrides such as ``["run=FOLDER", "format=onnx"]``.
    """
    from rag_lightning.config.compose import compose
    from rag_lightning.export.run import export_run

    return export_run(compose("export", config) if isinstance(config, list) else config)


def _job(config: DictConfig) -> Any:
    return export(config)


def main() -> None:
    run_job("export", _job)


if __name__ == "__main__":
    main()
