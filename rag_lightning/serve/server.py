"""From the configuration to a server that runs until it is told to stop."""

import logging
import os
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
    listening = _listen(config)
    say("loading …")
    server = Server(load_runs(config.runs, config.batch.tokens, config.device), config.batch, config.limits)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    host, port = listening.getsockname()[:2]
    for run in server.runs.values():
        say(f"  {run.name}: {run.task.name}, {run.run.config.model.name}")
    say(f"http://{'[' + host + ']' if ':' in host else host}:{port}/  a page to try it; /docs, /metrics, /health")
    if token is None and config.host not in _LOCAL:
        say(
            f"  anybody who reaches {config.host} can use it: set {config.token_env} to ask for a token",
            style="yellow",
        )
    settings = uvicorn.Config(
        make_app(server, token), http=PatientProtocol, log_level="error", access_log=False, server_header=False,
        timeout_graceful_shutdown=int(config.shutdown_seconds), timeout_keep_alive=15,
        limit_concurrency=4 * config.limits.requests, backlog=1024,
    )  # fmt: skip
    uvicorn.Server(settings).run(sockets=[listening])
    say("stopped; what was in flight has been answered")


def _listen(config: ServeConfig) -> socket.socket:
    """A socket at the address, before any model is loaded."""
    try:
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((config.host, config.port))
    except OSError as error:
        raise UserError(
            f"the address cannot be used ({error.strerror or error})",
            where=f"host={config.host} port={config.port}",
            remedy="Choose another port; port=0 takes a free one.",
        ) from None
    return listening
