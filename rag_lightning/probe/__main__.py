"""``python -m rag_lightning.probe``: what a finished run has kept of what its backbone knew; see ``--help``."""

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from rag_lightning.cli import run_job

if TYPE_CHECKING:
    from rag_lightning.report.knowledge import Knowledge


def probe(config: DictConfig | list[str]) -> "Knowledge":
    """Measure a finished run against its original backbone.

    Args:
        config: a composed configuration, or overrides such as ``["run=FOLDER", "probe=similarity"]``.

    Raises:
        UserError: if the folder is none of a finished run, or its backbone is no longer there.
    """
    from rag_lightning.config.compose import compose
    from rag_lightning.inference.probing import probe_run

    return probe_run(compose("probe_run", config) if isinstance(config, list) else config)


def _job(config: DictConfig) -> Any:
    return probe(config).headline


def main() -> None:
    run_job("probe_run", _job)


if __name__ == "__main__":
    main()
