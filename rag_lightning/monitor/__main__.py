"""``python -m rag_lightning.monitor``: topic and sentiment of a stream of messages, alerts, a page; see ``--help``."""

from typing import Any

from omegaconf import DictConfig

from rag_lightning.cli import run_job


def monitor(config: DictConfig | list[str]) -> int:
    """Watch a source, or write the page of what a monitor's folder holds.

    Args:
        config: a composed configuration, or overrides such as ``["run=FOLDER", "source=news.txt"]``.

    Returns:
        The messages that were new.

    Raises:
        UserError: for a mistake in the settings, before a model is loaded; or if the source cannot be read.
    """
    from rag_lightning.config.compose import compose
    from rag_lightning.monitor.command import run_monitor

    return run_monitor(compose("monitor", config) if isinstance(config, list) else config)


def _job(config: DictConfig) -> Any:
    return monitor(config)


def main() -> None:
    run_job("monitor", _job)


if __name__ == "__main__":
    main()
