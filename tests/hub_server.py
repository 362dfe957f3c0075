"""A stand-in for the Hugging Face Hub on 127.0.0.1: enough of its HTTP interface for huggingface_hub to work.

``HF_ENDPOINT`` is read when huggingface_hub is imported, so point a *subprocess* at it::

    with HubServer({"owner/name": folder}) as server:
        subprocess.run(command, env=os.environ | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path)})
"""

import hashlib
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


class HubServer:
    """Serves folders as model repositories.

    Args:
        repositories: folder by repository name.
        gated: names whose files are refused with 403, although the repository can be seen.
        conversions: number of the conversion bot's pull request, by name.
    """

    def __init__(
        self,
        repositories: dict[str, Path],
        *,
        gated: tuple[str, ...] = (),
        conversions: dict[str, int] | None = None,
    ) -> None:
        self.repositories = repositories
        self.gated = gated
        self.conversions = conversions or {}
        self.requests: list[str] = []
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class SilentServer:
    """Accepts connections and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> "SilentServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def closed_port() -> str:
    """An address on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.requests.append(f"{self.command} /{path}")
        if match := re.fullmatch(r"api/models/(.+?)/discussions", path):
            self._discussions(match[1])
        elif match := re.fullmatch(r"api/models/(.+?)(?:/revision/(.+))?", path):
            self._listing(match[1], match[2])
        elif match := re.fullmatch(r"(.+?)/resolve/(main|[0-9a-f]{40})/(.+)", path):
            self._file(match[1], match[3])
        else:
            self._refuse(404, "EntryNotFound")

    def _listing(self, name: str, revision: str | None) -> None:
        if name not in self.hub.repositories:
            return self._refuse(401, "RepoNotFound")  # as the Hub does for unknown and for private ones
        if revision not in (None, "main", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        folder = self.hub.repositories[name]
        files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        self._json({"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]})

    def _discussions(self, name: str) -> None:
        number = self.hub.conversions.get(name)
        found = {
            "num": number,
            "title": "Adding `safetensors` variant of this model",
            "status": "open",
            "isPullRequest": True,
            "createdAt": "2024-01-01T00:00:00.000Z",
            "repo": {"name": name, "type": "model"},
            "author": {"name": "SFconvertbot"},
        }
        listed = [found] if number is not None else []
        self._json({"discussions": listed, "count": len(listed), "start": 0})

    def _file(self, name: str, file: str) -> None:
        if name not in self.hub.repositories:
            return self._refuse(401, "RepoNotFound")
        if name in self.hub.gated:
            return self._refuse(403, "GatedRepo")
        source = self.hub.repositories[name] / file
        if not source.is_file():
            return self._refuse(404, "EntryNotFound")
        content = source.read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        start = 0
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start = int(wanted[1])
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self._send(content[start:])

    def _json(self, content: object) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self._send(json.dumps(content).encode())

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self._send(b"")

    def _send(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
