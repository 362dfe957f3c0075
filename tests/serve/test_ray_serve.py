"""The same answers from two replicas of Ray Serve."""

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore")
def test_two_replicas(run_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray import serve

    from rag_lightning.serve.ray_serve import deployment

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(deployment(run_of("tags with rules"), replicas=2, limits={"records": 2}))
        assert serve.status().applications["default"].deployments["Replica"].replica_states == {"RUNNING": 2}
        address = f"http://127.0.0.1:{port}/"
        for _ in range(6):
            answer = httpx.post(address, json={"text": "Ada Lovelace lived in London."}, timeout=30)
            assert answer.status_code == 200
            assert [entity["type"] for entity in answer.json()["entities"]] == ["PER", "LOC"]
        refused = httpx.post(address, json=["x", "x", "x"], timeout=30)
        assert refused.status_code == 422
        assert refused.json()["error"] == "a request has at most 2 records, not 3"
    finally:
        serve.shutdown()
        ray.shutdown()
