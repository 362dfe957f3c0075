"""How long a sweep of finished trials takes to be planned, skipped and reported, and how much memory.

    python experiments/throughput/many_trials.py                 # 10,000 trials; a minute and 1 GB are allowed
    python experiments/throughput/many_trials.py --trials 1000

The trials are made up: their records and their run folders are written as a sweep leaves them. Measured is the
real command, from its start to its end.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rag_lightning.sweep.known import origin_of
from rag_lightning.sweep.outcome import plan_trial, planned_record
from rag_lightning.sweep.question import product, read_typed, trials_of
from rag_lightning.sweep.record import Record, write_record

MODULE = [sys.executable, "-m", "rag_lightning.train", "-m"]


def made_up(folder: Path, words: list[str]) -> int:
    """Records and run folders of finished trials; how many."""
    typed = read_typed(words)
    trials = trials_of(typed, list(product(typed)))
    planned = plan_trial(trials[0])
    template = planned_record(trials[0], planned, origin_of(str(folder)))
    for number, trial in enumerate(trials):
        run = folder / "runs" / f"run-{number}"
        run.mkdir(parents=True)
        metrics = {"validation/f1": 0.5 + 0.4 * (number * 7919 % 10_007) / 10_007, "test/f1": 0.6}
        (run / "status.json").write_text(json.dumps({"state": "finished", "seconds": 1.0, "metrics": metrics}))
        (run / "metrics.json").write_text("{}")
        record = replace(
            template, key=trial.key, number=number, overrides=trial.overrides, values=trial.values, state="finished",
            fingerprint=f"{number:016x}", folder=str(run), metrics=metrics, score=metrics["validation/f1"], seconds=1.0,
        )  # fmt: skip
        _write_quickly(folder / "sweep", record)
    return len(trials)


def _write_quickly(folder: Path, record: Record) -> None:
    fsync, os.fsync = os.fsync, lambda _: None  # a made-up record need not outlive a power cut
    try:
        write_record(folder, record)
    finally:
        os.fsync = fsync


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("overrides", nargs="*", help="of the trials, such as model=minilm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        os.chdir(folder)
        rates = f"optimizer.lr={','.join(f'{1 + i}e-6' for i in range(10))}"
        words = [*options.overrides, rates, f"seed=range(0,{options.trials // 10})"]
        count = made_up(folder, words)
        began = time.perf_counter()
        done = subprocess.run([*MODULE, *words, f"sweep.folder={folder}/sweep"], capture_output=True, text=True)
        seconds = time.perf_counter() - began
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(done.stdout[-2000:] + done.stderr[-2000:])
        print(f"{count:,} finished trials: {seconds:.1f} s, {memory:.2f} GB, exit code {done.returncode}")


if __name__ == "__main__":
    main()
