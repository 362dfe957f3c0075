"""``python -m rag_lightning.serve``: finished runs behind HTTP."""

from omegaconf import DictConfig

from rag_lightning.cli import run_job


def serve(config: DictConfig | list[str]) -> None:
    """Serve finished runs until the process is told to stop.

    Args:
        config: a composed configuration, or overrides such as ``["run=[A,B]", "port=8080"]``.
    """
    from rag_lightning.config.compose import compose
    from rag_lightning.errors import UserError

    try:
        from rag_lightning.serve.server import serve_runs
    except ImportError as error:
        if error.name not in ("starlette", "uvicorn", "prometheus_client"):
            raise
        raise UserError(
            f"the package {error.name} is not installed", remedy="pip install 'rag_lightning[serve]'."
        ) from None
    serve_runs(compose("serve", config) if isinstance(config, list) else config)


def _job(config: DictConfig) -> None:
    serve(config)


def main() -> None:
    run_job("serve", _job)


if __name__ == "__main__":
    main()
