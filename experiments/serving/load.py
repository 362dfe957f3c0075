"""A load test of a server with a real client: requests a second, latency, memory, and whether answers stay right.

    python experiments/serving/load.py run=FOLDER [requests=600] [endurance=20000] [output=experiments/serving]

The server is a process of its own; texts are those of the run's test split. Written are ``results.json`` and
``results.md``.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

CONNECTIONS = (1, 8, 64)


@contextmanager
def server(run: str, *overrides: str) -> Iterator[tuple[str, psutil.Process]]:
    """A server's address and its process."""
    command = [sys.executable, "-m", "rag_lightning.serve", f"run={run}", "port=0", "device=cpu", *overrides]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert started.stdout is not None
        told = ""
        for line in started.stdout:
            told += line
            if found := re.search(r"http://\S+:\d+", line):
                break
        else:
            raise SystemExit(told)
        yield found[0], psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait(60)


async def load(address: str, texts: list[str], connections: int, requests: int) -> dict[str, Any]:
    """Every connection sends its next request when it has the answer to the last."""
    seconds: list[float] = []
    statuses: dict[int, int] = {}
    answers: dict[int, Any] = {}
    numbers = iter(range(requests))

    async def client(http: httpx.AsyncClient) -> None:
        for number in numbers:
            place = number % len(texts)
            start = time.perf_counter()
            response = await http.post("/predict", json={"text": texts[place]})
            seconds.append(time.perf_counter() - start)
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
            answers[place] = response.json()

    async with AsyncExitStack() as stack:
        # A client for each connection: what waits in the client's own pool would count as the server's time.
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=address, timeout=120))
            for _ in range(connections)
        ]
        await asyncio.gather(*(http.get("/health") for http in clients))
        start = time.perf_counter()
        await asyncio.gather(*map(client, clients))
        taken = time.perf_counter() - start
    p50, p99 = (1000 * float(np.percentile(seconds, q)) for q in (50, 99))
    return {
        "connections": connections, "requests": requests, "per_second": requests / taken, "p50_ms": p50, "p99_ms": p99,
        "statuses": statuses, "answers": answers,
    }  # fmt: skip


def different(answers: dict[int, Any], right: dict[int, Any]) -> int:
    """Answers that are not those of one request at a time, confidences to two digits aside."""
    return sum(_rounded(answers[place]) != _rounded(right[place]) for place in answers)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items() if key not in ("confidence", "scores", "score")}
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def texts_of(run: str) -> list[str]:
    """The texts of a run's predictions on test."""
    lines = (Path(run) / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [row["text"] if "text" in row else " ".join(row["tokens"]) for row in rows]


def endurance(address: str, process: psutil.Process, texts: list[str], requests: int) -> list[dict[str, float]]:
    """Resident memory every tenth of so many requests, at 16 connections."""
    rows = [{"requests": 0.0, "MB": process.memory_info().rss / 1e6}]
    for part in range(10):
        asyncio.run(load(address, texts, 16, requests // 10))
        rows.append({"requests": float((part + 1) * (requests // 10)), "MB": process.memory_info().rss / 1e6})
    return rows


def main(given: dict[str, str]) -> None:
    run, requests = given["run"], int(given.get("requests", 600))
    output = Path(given.get("output", "experiments/serving"))
    texts = texts_of(run)
    rows, right = [], None
    memory: list[dict[str, float]] = []
    for batching in (True, False):
        with server(run, f"batch.enabled={str(batching).lower()}") as (address, process):
            asyncio.run(load(address, texts, 8, len(texts)))  # warm
            for connections in CONNECTIONS:
                found = asyncio.run(load(address, texts, connections, requests))
                answers = found.pop("answers")
                right = answers if right is None else right
                row = {"batching": batching, **found, "different_answers": different(answers, right)}
                rows.append(row)
                print(json.dumps(row), flush=True)
            if batching and int(given.get("endurance", 0)):
                short = sorted(texts, key=len)[: max(8, len(texts) // 4)]
                memory = endurance(address, process, short, int(given["endurance"]))
                print(json.dumps(memory), flush=True)
    output.mkdir(parents=True, exist_ok=True)
    told = {"cores": os.cpu_count(), "run": Path(run).name, "load": rows, "memory": memory}
    (output / "results.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    lines = [
        "| batching | connections | requests/s | p50 ms | p99 ms | different answers |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {'on' if row['batching'] else 'off'} | {row['connections']} | {row['per_second']:.1f} | "
            f"{row['p50_ms']:.0f} | {row['p99_ms']:.0f} | {row['different_answers']} of {len(texts)} |"
        )
    if memory:
        lines += ["", "| requests | resident MB |", "|---|---|"]
        lines += [f"| {row['requests']:,.0f} | {row['MB']:.0f} |" for row in memory]
    (output / "results.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main(dict(word.split("=", 1) for word in sys.argv[1:]))
