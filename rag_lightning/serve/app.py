"""The routes of a server, as an ASGI application."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from rag_lightning import __version__
from rag_lightning.errors import UserError
from rag_lightning.serve.batcher import Batcher, Closed, Full, Telling
from rag_lightning.serve.guard import Guard
from rag_lightning.serve.metrics import CONTENT_TYPE, Metrics
from rag_lightning.serve.openapi import description
from rag_lightning.serve.options import BatchOptions, LimitOptions
from rag_lightning.serve.reading import body_of, records_of, run_of, way_of
from rag_lightning.serve.refusals import Refusal, as_json, of_user_error
from rag_lightning.serve.runs import ServedRun

log = logging.getLogger(__name__)
OPEN = ("/", "/health", "/docs", "/openapi.json")  # without a token
_HERE = Path(__file__).parent


class Server:
    """Runs, their batchers, and what is counted.

    Args:
        runs: by name.
        batch, limits: see there.
    """

    def __init__(self, runs: dict[str, ServedRun], batch: BatchOptions, limits: LimitOptions) -> None:
        self.runs, self.limits, self.metrics = runs, limits, Metrics()
        self.batchers = {
            name: Batcher(
                run.answers, most=batch.records, wait=batch.wait_ms / 1000, queue=limits.queue, together=batch.enabled,
                observe=self.metrics.batches.labels(name).observe, name=name,
            )
            for name, run in runs.items()
        }  # fmt: skip
        for name, batcher in self.batchers.items():
            self.metrics.waiting.labels(name).set_function(partial(_waiting, batcher))

    async def predict(self, request: Request) -> Response:
        """Answers to one record or a list of them."""
        run = run_of(request, self.runs)
        way = way_of(request, run)
        body = await body_of(request, self.limits)
        records = await asyncio.to_thread(records_of, body, run, self.limits)
        future = self._let_in(lambda: self.batchers[run.name].submit(records, way))
        answers = await self._answered(future)
        self.metrics.records.labels(run.name).inc(len(answers))
        return as_json(answers if isinstance(body, list) else answers[0])

    async def stream(self, request: Request) -> Response:
        """A text while it is written, as server-sent events: pieces, then ``done`` or ``error``."""
        run = run_of(request, self.runs)
        way = way_of(request, run)
        if not run.writes:
            raise Refusal(422, f"{run.name} writes no text", "Use /predict.")
        if way.explain:
            raise Refusal(422, "explain comes with whole answers", "Use /predict.")
        body = await body_of(request, self.limits)
        if isinstance(body, list):
            raise Refusal(422, "one record is written at a time", "Send an object.")
        [record] = await asyncio.to_thread(records_of, body, run, self.limits)
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()  # what a slow client has not taken waits here

        def tell(kind: str, value: Any) -> None:
            loop.call_soon_threadsafe(told.put_nowait, (kind, value))

        def pieces() -> Generator[str, None, dict[str, Any]]:
            return run.pieces(record, way)

        telling = Telling(pieces, tell)
        self._let_in(lambda: self.batchers[run.name].tell(telling))
        self.metrics.records.labels(run.name).inc()
        return StreamingResponse(_events(told, telling, self.limits.seconds), media_type="text/event-stream")

    async def about(self, request: Request) -> Response:
        """The runs, and what each reads, answers and can."""
        return as_json([run.about() for run in self.runs.values()])

    async def health(self, request: Request) -> Response:
        """That the server lives, and what waits."""
        waiting = {name: batcher.waiting for name, batcher in self.batchers.items()}
        return as_json({"status": "ok", "version": __version__, "runs": list(self.runs), "waiting": waiting})

    async def counted(self, request: Request) -> Response:
        """Prometheus."""
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    async def openapi(self, request: Request) -> Response:
        """The description of all this."""
        return as_json(description(self.runs, self.limits))

    def close(self, timeout: float | None = None) -> None:
        """End the batchers; what waits is answered first."""
        for batcher in self.batchers.values():
            batcher.close(timeout)

    def _let_in(self, submit: Any) -> Any:
        try:
            return submit()
        except Full:
            raise Refusal(
                429, f"more than {self.limits.queue:,} records wait already", "Try again in a moment.", Retry_After="1"
            ) from None
        except Closed:
            raise Refusal(503, "the server is going down", "Try again.", Retry_After="5") from None

    async def _answered(self, future: Future[list[Any]]) -> list[Any]:
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Refusal(
                503, f"there is no answer within {self.limits.seconds:g} s", "Send less, or try again.", Retry_After="1"
            ) from None
        except UserError as mistake:
            raise of_user_error(mistake) from None


async def _events(told: asyncio.Queue[tuple[str, Any]], telling: Telling, seconds: float) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        while True:
            try:
                async with asyncio.timeout_at(until):
                    kind, value = await told.get()
            except TimeoutError:
                kind, value = "error", UserError(f"the text was not whole within {seconds:g} s")
            if kind == "error" and not isinstance(value, UserError):
                log.error("a text could not be written", exc_info=value)
            shown = {"error": str(value) if isinstance(value, UserError) else "a defect of the server"}
            data = {"piece": value} if kind == "piece" else value if kind == "done" else shown
            yield f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
            if kind != "piece":
                return
    finally:
        telling.cancelled.set()  # also where the client went away


def _waiting(batcher: Batcher) -> float:
    return float(batcher.waiting)


def make_app(server: Server, token: str | None = None) -> Starlette:
    """The application; it ends the server's batchers when it goes down."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(server.close, 5.0)

    async def page(request: Request, name: str) -> Response:
        return HTMLResponse((_HERE / name).read_text(encoding="utf-8"))

    async def told(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return Refusal(error.status_code, str(error.detail).lower(), **(dict(error.headers or {}))).response

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return error.response

    routes = [
        Route("/", partial(page, name="page.html")),
        Route("/docs", partial(page, name="docs.html")),
        Route("/openapi.json", server.openapi),
        Route("/health", server.health),
        Route("/metrics", server.counted),
        Route("/runs", server.about),
        Route("/predict", server.predict, methods=["POST"]),
        Route("/stream", server.stream, methods=["POST"]),
    ]
    paths = [route.path for route in routes]
    guard = Middleware(
        Guard, metrics=server.metrics, paths=paths, open_paths=OPEN, token=token, most=server.limits.requests
    )
    return Starlette(
        routes=routes, middleware=[guard], lifespan=lifespan, exception_handlers={HTTPException: told, Refusal: refused}
    )
