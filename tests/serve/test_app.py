"""What a server answers, and what it refuses."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tiny_runs import KINDS

from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.serve.runs import ServedRun

Client = Callable[..., AbstractContextManager[TestClient]]
TEXTS = ["Ada Lovelace lived in London.", "", "東京 🙂 [SEP]", "The United Nations met in Geneva. " * 30, "x"]
SLOWLY = [pytest.param(kind, marks=pytest.mark.slow) for kind in (*KINDS, "a summary") if kind != "tags with rules"]


def predicted(folder: Path, given: list[str]) -> list[dict[str, Any]]:
    run = load_run(str(folder))
    return list(Predictor(run, device="cpu").answers([run.task.read_text(text) for text in given]))


def alike(one: Any, other: Any) -> bool:
    """Equal but for the rounding of probabilities (padding differs)."""
    if isinstance(one, dict):
        return set(one) == set(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == pytest.approx(other, abs=3e-3) if isinstance(one, float) else one == other


@pytest.mark.parametrize("kind", ["tags with rules", "a reply", *SLOWLY])
def test_every_task_is_answered_as_predict_does(
    kind: str, client: Client, served: Callable[..., dict[str, ServedRun]], run_of: Callable[[str], Path]
) -> None:
    run = served(kind)[kind]
    given = run.input["example"]
    with client(kind) as http:
        one = http.post("/predict", json=given)
        many = http.post("/predict", json=[{**given, "id": number} for number in range(3)])
    assert one.status_code == many.status_code == 200, one.text
    saved = load_run(str(run_of(kind)))
    record = saved.task.read_fields(given, "x") if saved.task.read_fields else saved.task.read_text(given["text"])
    [expected] = Predictor(saved, device="cpu").answers([record])
    expected = json.loads(json.dumps(expected))
    assert alike(one.json(), expected)
    found = many.json()
    assert [answer.pop("id") for answer in found] == [0, 1, 2]
    assert all(alike(answer, expected) for answer in found)


def test_texts_of_every_sort(client: Client, run_of: Callable[[str], Path]) -> None:
    with client("tags with rules") as http:
        answers = http.post("/predict", json=TEXTS).json()
        assert http.post("/predict", json=[]).json() == []
    assert alike(answers, json.loads(json.dumps(predicted(run_of("tags with rules"), TEXTS))))


@pytest.mark.parametrize("together", [True, False])
def test_many_at_a_time_get_their_own_answers(together: bool, client: Client) -> None:
    texts = [f"Ada {'and ' * (i % 17)}Peter saw London {i}." for i in range(60)]
    with client("tags with rules", batch_enabled=together, batch_records=16, batch_wait_ms=20) as http:
        alone = [http.post("/predict", json={"text": text}).json() for text in texts]
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda text: http.post("/predict", json={"text": text}).json(), texts))
        counted = http.get("/metrics").text
    assert alike(found, alone)
    assert [answer["text"] for answer in found] == texts
    [total] = [line for line in counted.splitlines() if line.startswith("rag_records_total")]
    assert float(total.split()[-1]) == 120
    batches = next(line for line in counted.splitlines() if line.startswith("rag_batch_records_count"))
    assert (float(batches.split()[-1]) < 120) == together


def test_two_runs_at_one_server(client: Client) -> None:
    with client("tags with rules", "a label") as http:
        about = http.get("/runs").json()
        assert [run["task"] for run in about] == ["ner", "classification"]
        assert "entities" in http.post("/predict", json={"text": "x"}).json()
        assert "label" in http.post("/predict?run=a label", json={"text": "x"}).json()
        missing = http.post("/predict?run=a lable", json={"text": "x"})
        assert missing.status_code == 404
        assert missing.json() == {"error": "there is no run of that name", "remedy": "Did you mean a label?"}
        misplaced = http.post("/predict", json={"run": "a label", "text": "x"})
        refused(misplaced, 422, "the record: run is no field of a text")
        misspelt = http.post("/predict?rn=a label", json={"text": "x"})
        assert misspelt.json()["remedy"] == "Did you mean run?"


@pytest.mark.slow
def test_rules_and_template_can_be_left_out_and_explained(client: Client) -> None:
    given = {"text": "Ada Lovelace lived in Norway."}
    with client("tags with rules", "a label at a mask", "tags") as http:

        def asked(query: str) -> Any:
            return http.post(f"/predict?{query}", json=given).json()

        explained = asked("explain=true")["explained"]
        hit = next(hit for hit in explained["hits"] if hit["label"] == "LOC")
        assert given["text"][hit["start"] : hit["end"]] == hit["text"] == "Norway"
        assert len(explained["input"]) > len(given["text"])
        assert asked("explain=true&rules=false")["explained"]["hits"] == []
        bare = asked("explain=true&template=false")["explained"]
        assert bare["input"].split() == ["Ada", "Lovelace", "lived", "in", "Norway", "."]
        assert "cannot go without a template" in asked("run=a label at a mask&template=false")["error"]
        assert "it has no template" in asked("run=tags&template=false")["error"]
        assert asked("rules=maybe")["error"] == "rules is true or false"


def refused(response: Any, status: int, said: str) -> None:
    assert response.status_code == status, response.text
    assert said in response.json()["error"]
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b'{"text": "\xff"}', 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b"9" * 10_000, 400, "not JSON"),
        (b'{"text": "x", "id": 1e999}', 400, "no finite number"),
        (b'{"text": "x", "id": NaN}', 400, "no finite number"),
        (b"null", 422, "a record is an object or a text"),
        (b"[[]]", 422, "record 0: a record is an object or a text"),
        (b"{}", 422, "an input needs text or tokens"),
        (b'{"text": 3}', 422, "an input needs text or tokens"),
        (b'{"text": "\\ud800"}', 422, "half a character"),
        (b'{"text": "a\\u0000b"}', 422, "NUL"),
        (b'[{"text": "x"}, {"txt": "x"}]', 422, "record 1: an input needs text or tokens"),
        (b'{"text": "' + b"x" * 3000 + b'"}', 422, "more than 2,000 characters"),
        (b'["x","x","x","x","x"]', 422, "at most 4 records, not 5"),
        (b'{"text": "' + b"x" * 200_000 + b'"}', 413, "more than 150,000 bytes"),
    ],
)
def test_hostile_bodies(content: bytes, status: int, said: str, client: Client) -> None:
    with client("tags with rules", body_bytes=150_000, text_chars=2000, records=4) as http:
        refused(http.post("/predict", content=content, headers={"content-type": "application/json"}), status, said)
        assert http.post("/predict", json={"text": "x"}).status_code == 200


def test_odd_requests(client: Client) -> None:
    with client("tags with rules") as http:
        refused(http.post("/predict", content=b"{}"), 415, "must be JSON")
        refused(http.get("/predict"), 405, "method not allowed")
        refused(http.get("/nothing"), 404, "not found")
        refused(http.post("/stream", json={"text": "x"}), 422, "writes no text")
        for odd in ({"hits": 3}, {"offsets": 3}, {"stretch": [9]}, {"tags": "x"}, {"id": {"a": [1]}}, {"text": None}):
            response = http.post("/predict", json={"tokens": ["Ada", "", "\u200b"], **odd})
            assert response.status_code == 200, (odd, response.text)
        assert http.post("/predict", json={"tokens": [1, None, {}]}).status_code == 200


def test_a_token(client: Client) -> None:
    with client("tags with rules", token="sécret") as http:
        assert [http.get(path).status_code for path in ("/", "/health", "/docs", "/openapi.json")] == [200] * 4
        for path in ("/metrics", "/runs", "/nothing"):
            refused(http.get(path), 401, "bearer token")
        wrong = [
            {},
            {"authorization": "Bearer secret"},
            {"authorization": "Basic sécret".encode()},
            {"authorization": "Bearer "},
        ]
        for headers in wrong:
            refused(http.post("/predict", json={"text": "x"}, headers=headers), 401, "bearer token")
        right = {"authorization": "Bearer sécret".encode()}
        assert http.post("/predict", json={"text": "x"}, headers=right).status_code == 200


class Slow:
    """A run that waits before it answers."""

    def __init__(self, served: ServedRun, monkeypatch: pytest.MonkeyPatch) -> None:
        import threading

        self.go, self.began = threading.Event(), threading.Event()
        answers = served.answers

        def slow(records: Any, way: Any) -> Any:
            self.began.set()
            assert self.go.wait(20)
            return answers(records, way)

        monkeypatch.setattr(served, "answers", slow)


def test_too_much_and_too_late(
    client: Client, served: Callable[..., dict[str, ServedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(served("tags with rules")["tags with rules"], monkeypatch)
    with client("tags with rules", queue=2, seconds=1.5, batch_wait_ms=0) as http, ThreadPoolExecutor(4) as pool:
        first = pool.submit(http.post, "/predict", json={"text": "x"})
        assert slow.began.wait(5)
        second = pool.submit(http.post, "/predict", json=["x", "x"])
        while http.get("/health").json()["waiting"]["tags with rules"] < 2:
            pass
        full = http.post("/predict", json={"text": "x"})
        refused(full, 429, "more than 2 records wait already")
        assert full.headers["retry-after"] == "1"
        for late in (first, second):
            refused(late.result(), 503, "no answer within 1.5 s")
        slow.go.set()
        while http.get("/health").json()["waiting"]["tags with rules"]:
            pass
        assert http.post("/predict", json={"text": "x"}).status_code == 200  # and the server goes on


def test_more_requests_than_may_be(
    client: Client, served: Callable[..., dict[str, ServedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(served("tags with rules")["tags with rules"], monkeypatch)
    with client("tags with rules", requests=1) as http, ThreadPoolExecutor(1) as pool:
        first = pool.submit(http.post, "/predict", json={"text": "x"})
        assert slow.began.wait(5)
        refused(http.get("/health"), 503, "more than 1 requests at a time")
        slow.go.set()
        assert first.result().status_code == 200


def events(response: Any) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in response.text.strip().split("\n\n"):
        kind, data = block.split("\n")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_text_is_written_piece_by_piece(client: Client) -> None:
    with client("a reply") as http:
        given = {"turns": ["Hello", "Hi!", "Are you open?"]}
        response = http.post("/stream", json=given)
        assert response.headers["content-type"].startswith("text/event-stream")
        told = events(response)
        whole = http.post("/predict", json=given).json()["reply"]
        refused(http.post("/stream", json=[given]), 422, "one record")
        refused(http.post("/stream?explain=true", json=given), 422, "explain comes with whole answers")
        refused(http.post("/stream", json={"turns": [{"role": "assistant", "text": "b"}]}), 422, "last turn")
    assert [kind for kind, _ in told] == ["piece"] * (len(told) - 1) + ["done"]
    assert "".join(data["piece"] for _, data in told[:-1]).strip() == whole == told[-1][1]["text"]


def test_the_description_is_of_the_tasks_fields(client: Client) -> None:
    with client("tags with rules", "a label of a pair", "a reply") as http:
        told = http.get("/openapi.json").json()
    schemas = told["components"]["schemas"]
    assert {"ner_record", "matching_record", "dialogue_record", "ner_answer", "Error"} <= set(schemas)
    assert "first" in schemas["matching_record"]["properties"]
    assert set(told["paths"]) == {"/predict", "/stream", "/runs", "/health", "/metrics"}


def test_a_mistake_of_one_record_is_told_to_its_sender_alone(
    client: Client, served: Callable[..., dict[str, ServedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag_lightning.errors import UserError

    run = served("tags with rules")["tags with rules"]
    answers = run.answers

    def picky(records: Any, way: Any) -> Any:
        if any(record["text"] == "bad" for record in records):
            raise UserError("no room", where="template.text")
        return answers(records, way)

    monkeypatch.setattr(run, "answers", picky)
    with client("tags with rules", batch_wait_ms=200) as http, ThreadPoolExecutor(8) as pool:
        texts = ["good", "bad", "good", "good"]
        found = list(pool.map(lambda text: http.post("/predict", json={"text": text}), texts))
    assert [response.status_code for response in found] == [200, 422, 200, 200]
    assert found[1].json() == {"error": "template.text: no room"}


def test_a_defect_is_no_page_of_python(
    client: Client, served: Callable[..., dict[str, ServedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(records: Any, way: Any) -> Any:
        raise RuntimeError("inside")

    monkeypatch.setattr(served("tags with rules")["tags with rules"], "answers", broken)
    with client("tags with rules") as http:
        response = http.post("/predict", json={"text": "x"})
        refused(response, 500, "a defect of the server")
        assert "inside" not in response.text
