"""What stands before every route: the token, how many at a time, refusals as JSON, and what is counted."""

import hmac
import time
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_lightning.serve.metrics import Metrics
from rag_lightning.serve.refusals import Refusal

_SAFE = {
    "content-security-policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware.

    Args:
        app: the routes.
        metrics: what is counted.
        paths: of the routes, as they are counted.
        open_paths: those that need no token.
        token: the bearer token; None: none is asked for.
        most: requests at a time.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, paths: Iterable[str], open_paths: Iterable[str], token: str | None,
        most: int,
    ) -> None:  # fmt: skip
        self._app, self._metrics, self._most = app, metrics, most
        self._paths, self._open_paths = frozenset(paths), frozenset(open_paths)
        self._token = None if token is None else token.encode()
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"
        status, begun, start = 500, False, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                own = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((n.encode(), v.encode()) for n, v in _SAFE.items() if n.encode() not in own),
                ]
            await send(message)

        self._running += 1
        self._metrics.open.set(self._running)
        try:
            self._check(path, scope)
            await self._app(scope, receive, noted)
        except Refusal as refusal:
            if not begun:
                await refusal.response(scope, receive, noted)
        except Exception:
            if not begun:
                await Refusal(500, "a defect of the server").response(scope, receive, noted)
            raise
        finally:
            self._running -= 1
            self._metrics.open.set(self._running)
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - start)

    def _check(self, path: str, scope: Scope) -> None:
        if self._running > self._most:
            raise Refusal(503, f"more than {self._most} requests at a time", "Try again.", Retry_After="1")
        if self._token is None or path in self._open_paths:
            return
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        told = given.strip().encode("latin-1")  # as the header's bytes were
        # Both are compared whatever the scheme, in a time that does not tell how much was right.
        if not hmac.compare_digest(told, self._token) or scheme.lower() != "bearer":
            raise Refusal(
                401,
                "a bearer token is needed",
                "Send Authorization: Bearer TOKEN.",
                WWW_Authenticate="Bearer",
            )
