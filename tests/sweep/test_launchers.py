"""Workers by Hydra's launchers: joblib, submitit and a ray cluster of two nodes of which one is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sweeps import records_of, states, sweep_folder

from rag_lightning.config.compose import compose
from rag_lightning.errors import UserError
from rag_lightning.sweep.launchers import no_launcher

Tiny = Callable[..., list[str]]
SMALL = ("trainer.max_epochs=1", "trainer.enable_progress_bar=false", "checkpoint.every_steps=1")


def begun(words: list[str], cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """A sweep as a user begins it, in another folder than this one."""
    repository = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-m", "rag_lightning.train", "-m", *words], cwd=cwd, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": repository} | environment,
    )  # fmt: skip


def wait_for(what: Callable[[], Any], seconds: float = 120.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def at_work(runs: Path, host: str = "") -> list[int]:
    """The processes that have a trial now."""
    try:
        running = [record for record in records_of(runs) if record.state == "running"]
    except ValueError:  # the sweep has no folder yet
        return []
    return [int(record.worker.rpartition(":")[2]) for record in running]


@pytest.mark.slow
def test_joblib_with_a_killed_worker(tiny_run: Tiny, tmp_path: Path) -> None:
    runs = tmp_path / "here" / "runs"
    runs.parent.mkdir()
    words = [word for word in tiny_run(*SMALL, "seed=1,2,3,4,5,6") if not word.startswith("output_dir")]
    sweep = begun([*words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], runs.parent)
    killed = wait_for(lambda: at_work(runs))[0]
    os.kill(killed, signal.SIGKILL)
    told, _ = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, told
    assert states(runs) == ["finished"] * 6
    assert told.strip().splitlines()[-1] == "6 trials: 6 finished"
    assert sum(record.broken for record in records_of(runs)) >= 1, "a trial of the killed worker was taken up again"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("send", "number"), [(os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT)], ids=["SIGTERM", "Ctrl-C in a terminal"]
)
def test_a_signal_ends_all_workers_in_order(
    tiny_run: Tiny, tmp_path: Path, send: Callable[[int, int], None], number: int
) -> None:
    words = tiny_run(*SMALL, "trainer.max_epochs=200", "seed=1,2")
    sweep = begun([*words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], tmp_path)
    runs = tmp_path / "runs"
    wait_for(lambda: len(at_work(runs)) == 2 and list(runs.glob("ner-*/checkpoints/step-*")))
    send(sweep.pid, number)
    told, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 130, told
    assert [(record.state, record.reason) for record in records_of(runs) if record.state != "stopped"] == []
    assert "interrupted at once" not in {record.reason for record in records_of(runs)}
    assert "the same command again goes on" in told


@pytest.mark.slow
def test_submitit_runs_workers_as_jobs(tiny_run: Tiny, tmp_path: Path) -> None:
    words = tiny_run(*SMALL, "seed=1,2,3")
    sweep = begun([*words, "hydra/launcher=submitit_local", "hydra.sweeper.workers=2"], tmp_path)
    told, _ = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, told
    runs = tmp_path / "runs"
    assert states(runs) == ["finished"] * 3
    assert list((sweep_folder(runs) / "workers" / ".submitit").iterdir()), "its logs lie with the sweep"


def test_slurm_composes() -> None:
    config = compose(
        "train", ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=1"]
    )
    launcher = config.hydra.launcher
    assert launcher._target_ == "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"
    assert (launcher.partition, launcher.gpus_per_node, launcher.tasks_per_node) == ("gpu", 1, 1)
    assert launcher.max_num_timeout > 0, "a worker goes on where its time was up"


def test_a_missing_launcher_names_its_package() -> None:
    assert "pip install hydra-ray-launcher" in str(no_launcher("ray"))
    assert 'rag_lightning[slurm]"' in str(no_launcher("submitit_slurm"))
    with pytest.raises(UserError, match="Did you mean joblib"):
        compose("train", ["hydra/launcher=jobli"])


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[[], None]]]:
    """A ray cluster of two nodes on this machine: its address, and what kills the second node."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = nodes.add_node(num_cpus=1)
    try:
        yield nodes.address, lambda: nodes.remove_node(second, allow_graceful=False)
    finally:
        nodes.shutdown()
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_ray_cluster_loses_a_node_in_the_middle(
    cluster: tuple[str, Callable[[], None]], tiny_run: Tiny, tmp_path: Path
) -> None:
    address, kill_second = cluster
    words = tiny_run(*SMALL, "trainer.max_epochs=3", "seed=1,2,3,4,5,6,7,8")
    own = ["hydra/launcher=ray", f"hydra.launcher.ray.init.address={address}", "hydra.sweeper.workers=2"]
    sweep = begun([*words, *own], tmp_path, RAY_AUTH_MODE="disabled")
    runs = tmp_path / "runs"
    wait_for(lambda: len(at_work(runs)) == 2)
    kill_second()
    told, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, told
    assert states(runs) == ["finished"] * 8
    assert sum(record.broken for record in records_of(runs)) >= 1, "a trial of the killed node was taken up again"


def test_the_extras_name_what_the_launchers_need() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    needed = " ".join([*project["dependencies"], *project["optional-dependencies"]["ray"]])
    assert all(name in needed for name in ("optuna", "hydra-joblib-launcher", "hydra-ray-launcher"))
    assert "hydra-submitit-launcher" in " ".join(project["optional-dependencies"]["slurm"])
