"""``python -m rag_lightning.chat``: talk to a finished run of task=dialogue."""

from typing import Any

from omegaconf import DictConfig

from rag_lightning.cli import run_job


def chat(config: DictConfig | list[str]) -> int:
    """A conversation by standard input and output.

    Args:
        config: a composed configuration, or overrides such as ``["run=FOLDER", "generation=sampling"]``.

    Returns:
        The number of turns answered.
    """
    from rag_lightning.config.compose import compose
    from rag_lightning.inference.chatting import chat_with_run

    return chat_with_run(compose("chat", config) if isinstance(config, list) else config)


def _job(config: DictConfig) -> Any:
    return chat(config)


def main() -> None:
    run_job("chat", _job)


if __name__ == "__main__":
    main()
