"""From the configuration to a server that runs until it is told to stop."""

import os
import signal
import socket
from pathlib import Path

import uvicorn
from omegaconf import DictConfig

from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import say
from rag_lightning.errors import UserError
from rag_lightning.serve.app import Server, make_app
from rag_lightning.serve.options import ServeConfig
from rag_lightning.serve.protocol import PatientProtocol
from rag_lightning.serve.runs import load_runs
from rag_lightning.training.folder import RunFolder

_BACKLOG = 1024
_LOCAL = ("127.0.0.1", "localhost", "::1")


def serve_runs(raw: DictConfig) -> None:
    """Serve until SIGTERM or Ctrl-C; what is in flight is answered first.

    Raises:
        UserError: if a run cannot be loaded, or the address cannot be used.
    """
    config = parse(ServeConfig, to_plain(raw))
    for path in config.runs:
        RunFolder(Path(path).expanduser()).read_config()  # before the first of them is loaded
    token = os.environ.get(config.token_env) or None
    with _listen(config) as listening:
        say("loading …")
        server = Server(load_runs(config.runs, config.batch.tokens, config.device), config.batch, config.limits)
        app = make_app(server, token)
        listening.listen(_BACKLOG)
        _tell(config, server, token, *listening.getsockname()[:2])
        settings = uvicorn.Config(
            app, http=PatientProtocol, log_level="error", access_log=False, server_header=False,
            timeout_graceful_shutdown=int(config.shutdown_seconds), timeout_keep_alive=15,
            limit_concurrency=4 * config.limits.requests, backlog=_BACKLOG,
        )  # fmt: skip
        # uvicorn sends the signal again when it has gone down, and that is the end then.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        uvicorn.Server(settings).run(sockets=[listening])
    say("stopped; what was in flight has been answered")


def _tell(config: ServeConfig, server: Server, token: str | None, host: str, port: int) -> None:
    for run in server.runs.values():
        say(f"  {run.name}: {run.task.name}, {run.run.config.model.name}")
    say(f"http://{'[' + host + ']' if ':' in host else host}:{port}/  a page to try it; /docs, /metrics, /health")
    if token is None and config.host not in _LOCAL:
        say(
            f"  anybody who reaches {config.host} can use it: set {config.token_env} to ask for a token",
            style="yellow",
        )


def _listen(config: ServeConfig) -> socket.socket:
    """A socket at the address, before any model is loaded."""
    listening = socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((config.host, config.port))
    except OSError as error:
        listening.close()
        raise UserError(
            f"the address cannot be used ({error.strerror or error})",
            where=f"host={config.host} port={config.port}",
            remedy="Choose another port; port=0 takes a free one.",
        ) from None
    return listening
