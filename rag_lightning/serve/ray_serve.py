"""A run on several machines, or in several processes: the same answers as a deployment of Ray Serve.

::

    from ray import serve
    from rag_lightning.serve.ray_serve import deployment

    serve.run(deployment("FOLDER", replicas=2))

Every replica batches by itself. Who may ask, and how many at a time, is Ray Serve's to say: no token is asked for, and
``limits.requests`` does not apply. Needs ``pip install 'rag_lightning[ray-serve]'``.
"""

import asyncio
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rag_lightning.errors import UserError
from rag_lightning.serve.app import Server
from rag_lightning.serve.options import BatchOptions, LimitOptions
from rag_lightning.serve.refusals import Refusal
from rag_lightning.serve.runs import load_runs


class Replica:
    """One copy of a run behind ``/``, with the limits of records and the refusals of a server's ``/predict``."""

    def __init__(self, run: str, device: str, batch: dict[str, Any], limits: dict[str, Any]) -> None:
        options = BatchOptions(**batch)
        self._server = Server(load_runs([run], options.tokens, device), options, LimitOptions(**limits))

    async def __call__(self, request: Request) -> Response:
        try:
            return await self._server.predict(request)
        except Refusal as refusal:
            return refusal.response

    async def __del__(self) -> None:
        await asyncio.to_thread(self._server.close, 5.0)


def deployment(
    run: str | Path, *, replicas: int = 2, device: str = "cpu", batch: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None, ray_actor_options: dict[str, Any] | None = None,
) -> Any:  # fmt: skip
    """An application for ``serve.run``.

    Args:
        run: the folder of a finished run, where every machine finds it.
        replicas: copies of the model.
        device: of each.
        batch, limits: as in ``conf/serve.yaml``.
        ray_actor_options: such as ``{"num_gpus": 1}``.

    Raises:
        UserError: if Ray Serve is not installed.
    """
    try:
        from ray import serve
    except ImportError:
        raise UserError("Ray Serve is not installed", remedy="pip install 'rag_lightning[ray-serve]'.") from None
    serving: Any = serve  # its annotations lose the class
    made = serving.deployment(Replica, num_replicas=replicas, ray_actor_options=ray_actor_options or {"num_cpus": 1})
    return made.bind(str(Path(run).expanduser().resolve()), device, batch or {}, limits or {})
