"""The Hub, through the real huggingface_hub code against a small local server; and without any network."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from rag_lightning.data.readers import hub
from rag_lightning.data.readers.hub import _by_split, download
from rag_lightning.errors import UserError

COMMIT = "c0ffee" + "0" * 34
# Reads the data set given as arguments and prints what came of it; huggingface_hub reads HF_ENDPOINT at import.
PROGRAM = """
import sys, time
start = time.perf_counter()
from rag_lightning.data.load import load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.errors import UserError
from data_yaml import composed
values = composed(sys.argv[1])
try:
    data = load_splits(DataConfig(**(values | dict(pair.split("=") for pair in sys.argv[2:]))), 1)
    print({split: [r["tags"] for r in records] for split, records in data.splits.items()})
except UserError as error:
    print("error:", error)
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """``owner/one`` has one subset, in two files of train; ``owner/two`` has two."""
    root = tmp_path_factory.mktemp("hub")
    label = {"feature": {"names": ["O", "B-ORG"], "_type": "ClassLabel"}, "_type": "List"}
    meta = {"huggingface": json.dumps({"info": {"features": {"ner_tags": label}}})}
    for name in ("one/only/train/0000", "one/only/train/0001", "one/only/validation/0000", "one/only/test/0000",
                 "two/x/train/0000", "two/y/train/0000"):  # fmt: skip
        file = root / "owner" / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"tokens": [[name]], "ner_tags": [[1]]}).replace_schema_metadata(meta), file)
    return root


@pytest.fixture(scope="module")
def endpoint(repository: Path) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path).strip("/")
            if match := re.fullmatch(r"api/datasets/(owner/\w+)/revision/(.+)", path):
                folder = repository / match[1]
                if not folder.is_dir():
                    return self.reply(401, b"", {"X-Error-Code": "RepoNotFound"})
                if match[2] != "refs/convert/parquet":
                    return self.reply(404, b"", {"X-Error-Code": "RevisionNotFound"})
                files = [{"rfilename": f.relative_to(folder).as_posix()} for f in folder.rglob("*.parquet")]
                body = json.dumps({"id": match[1], "sha": COMMIT, "siblings": files}).encode()
                return self.reply(200, body, {"Content-Type": "application/json"})
            if match := re.fullmatch(r"datasets/(owner/\w+)/resolve/(?:refs/convert/parquet|\w{40})/(.+)", path):
                body = (repository / match[1] / match[2]).read_bytes()
                etag = hashlib.sha256(body).hexdigest()
                return self.reply(200, body, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
            return self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})

        do_HEAD = do_GET

        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def load(home: Path, endpoint: str, *pairs: str, **env: str) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "hub", *pairs],
        env=clean | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "PYTHONPATH": ":".join(sys.path)} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_download_then_start_without_network(tmp_path, endpoint, closed):
    expected = str({"train": [["B-ORG"], ["B-ORG"]], "validation": [["B-ORG"]], "test": [["B-ORG"]]})
    assert load(tmp_path, endpoint, "hub_name=owner/one") == expected
    assert load(tmp_path, closed, "hub_name=owner/one") == expected
    assert load(tmp_path, endpoint, "hub_name=owner/one", HF_HUB_OFFLINE="1") == expected


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["hub_name=owner/two"], "data.config: the data set 'owner/two' has several subsets. Choose one of: x, y."),
        (["hub_name=owner/two", "config=z"], "has no subset 'z'. Choose one of: x, y."),
        (["hub_name=owner/none"], "there is no data set 'owner/none' on the Hub, or it is private"),
        (["hub_name=owner/one", "revision=v9"], "has no revision 'v9'. Set data.revision=main"),
        (["hub_name=a b/c"], "there is no data set 'a b/c'"),
    ],
)
def test_what_the_hub_refuses_is_said(monkeypatch, data_config, endpoint, pairs, said):
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(UserError) as caught:
        download(data_config("hub", **dict(pair.split("=") for pair in pairs)))
    assert str(caught.value).startswith("data.")
    assert said in str(caught.value)


def test_without_network_one_sentence_and_what_to_do(tmp_path, closed):
    message = load(tmp_path, closed, "hub_name=owner/one")
    assert message.startswith("error: data.hub_name: the data set 'owner/one' is not in the local cache and cannot be")
    assert "data.path=FOLDER" in message


def test_a_network_that_never_answers_is_given_up_in_time(tmp_path, monkeypatch, data_config):
    assert hub._WALL_S <= 10
    monkeypatch.setattr(hub, "_WALL_S", 0.5)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    start = time.perf_counter()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UserError, match="cannot be downloaded.*no answer"):
            download(data_config("hub", hub_name="owner/one"))
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    "files",
    [
        ["c/train/0000.parquet", "c/validation/0000.parquet", "c/test/0000.parquet"],
        ["c/c-train.parquet", "c/c-validation.parquet", "c/c-test.parquet"],
        ["data/train-00000-of-00001.parquet", "data/dev-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"],
        ["train.parquet", "valid.parquet", "test.parquet"],
        ["train/0000.parquet", "val/0000.parquet", "test/0000.parquet"],
        ["c/partial-train/0000.parquet", "c/validation/0000.parquet", "c/test/0000.parquet"],
    ],
)
def test_layouts_of_parquet_files(data_config, files):
    found = _by_split(files, data_config("hub", hub_name="a/b"))
    assert found == {"train": [files[0]], "validation": [files[1]], "test": [files[2]]}


def test_no_train_split(data_config):
    with pytest.raises(UserError, match="no parquet files of a train split.*data.path=FOLDER"):
        _by_split(["c/test/0000.parquet"], data_config("hub", hub_name="a/b"))
