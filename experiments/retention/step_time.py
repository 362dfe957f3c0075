"""Time and memory of a training step with each retention method against a step without any, on an embedded sample.

Every turn is a process of its own; a round is one turn without a method and one with each. Time is the training
loop's; what a method computes once before training (and keeps on disk) is not in it, but in the last column. Memory is
what the method holds beside the network, and how far the process's resident peak rises.

    python experiments/retention/step_time.py
    python experiments/retention/step_time.py --task translation --methods distill rehearsal ewc --rounds 3
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass

NONE = "none"
METHODS = ("l2sp", "ewc", "lwf", "distill", "rehearsal", "mixout", "r3f", "smart", "wise_ft", "ema", "balanced")
SIZES = {"translation": 8, "dialogue": 8, "summarization": 4}  # examples a batch; 32 elsewhere


@dataclass(frozen=True)
class Turn:
    """What one training took: seconds of a step, bytes held beside the network, GiB at most, seconds before."""

    step: float
    held: int
    peak: float
    before: float


def overrides(task: str, method: str, folder: str, steps: int) -> list[str]:
    """A short training of the task's default backbone, validation left out."""
    return [
        f"task={task}", f"retention={method}", "trainer=cpu", f"batching.size={SIZES.get(task, 32)}", "logger=none",
        "batching.by_length=true", "data.limit.validation=4", "data.limit.test=4", f"run.folder={folder}", "force=true",
        "trainer.max_epochs=-1", f"trainer.max_steps={steps}", "trainer.check_val_every_n_epoch=100000",
        "checkpoint.every_seconds=null", "checkpoint.use=last", "trainer.enable_progress_bar=false",
    ]  # fmt: skip


def measure(task: str, method: str, steps: int) -> Turn:
    """Train in this process, through the same code that users call."""
    from rag_lightning.callbacks.throughput import Throughput
    from rag_lightning.config.compose import compose
    from rag_lightning.training.build import build
    from rag_lightning.training.plan import make_plan
    from rag_lightning.training.stop import GracefulStop

    with tempfile.TemporaryDirectory() as folder, GracefulStop() as stop:
        plan = make_plan(compose("train", overrides(task, method, folder, steps)))
        start = time.perf_counter()
        parts = build(plan, stop)
        before = time.perf_counter() - start
        parts.trainer.fit(parts.module, datamodule=parts.data)
    meter = next(each for each in parts.trainer.callbacks if isinstance(each, Throughput))  # type: ignore[attr-defined]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Turn(meter.seconds / steps, parts.module.retention.memory(), peak, before)


def spawn(task: str, method: str, steps: int) -> Turn:
    """A turn in a process of its own."""
    command = [sys.executable, __file__, "--turn", method, "--task", task, "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{method} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    turn = Turn(**json.loads(done.stdout.strip().splitlines()[-1]))
    print(f"  {method:10s} {1000 * turn.step:8.1f} ms a step", flush=True)
    return turn


def row(method: str, turns: list[Turn], plain: list[Turn]) -> str:
    """A line of the table: the median over rounds of each ratio, and the least and the greatest."""
    times = sorted(turn.step / none.step for turn, none in zip(turns, plain, strict=True))
    step, peak, none = (
        statistics.median(values)
        for values in ([t.step for t in turns], [t.peak for t in turns], [t.peak for t in plain])
    )
    before = min(turn.before for turn in turns) - min(turn.before for turn in plain)
    return (
        f"| {method} | {1000 * step:.0f} | {statistics.median(times):.2f} ({times[0]:.2f}–{times[-1]:.2f}) "
        f"| {turns[0].held / 2**20:.0f} | {peak - none:+.2f} | {max(before, 0):.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="ner", help="whose embedded sample and default backbone are trained")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.turn:
        print("\n" + json.dumps(asdict(measure(given.task, given.turn, given.steps))))
        return
    rounds = [
        {method: spawn(given.task, method, given.steps) for method in (NONE, *given.methods)}
        for _ in range(given.rounds)
    ]
    plain = [turns[NONE] for turns in rounds]
    print("\n| method | ms a step | against none (least–most) | held beside the network, MiB | peak, GiB | before, s |")
    print("|---|---:|---:|---:|---:|---:|")
    for method in (NONE, *given.methods):
        print(row(method, [turns[method] for turns in rounds], plain))


if __name__ == "__main__":
    main()
