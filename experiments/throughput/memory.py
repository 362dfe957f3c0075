"""Memory of a process that does many trials one after the other: what is kept for the next one must not grow.

Prints the resident memory after each trial, in MiB, and the share by which the last exceeds that after the fifth.

    python experiments/throughput/memory.py --trials 50 data.limit.train=64 data.limit.validation=20 data.limit.test=20
"""

import argparse
import json
import tempfile
from pathlib import Path

PAGE_MIB = 4096 / 2**20
FIRST = 5  # trials after which all that is loaded once is there


def resident_mib() -> float:
    """Of this process, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("overrides", nargs="*", help="of every trial, as on the command line of train")
    arguments = parser.parse_args()

    from rag_lightning.train import train
    from rag_lightning.trials import many_trials

    shared = ["trainer=cpu", "trainer.max_steps=2", "trainer.enable_progress_bar=false", "logger=none"]
    memory = []
    with many_trials():
        for number in range(arguments.trials):
            with tempfile.TemporaryDirectory() as folder:
                frozen = ("0", "1", "all")[number % 3]
                changed = [f"optimizer.lr={1e-5 * (number + 1)}", f"tuning.frozen_layers={frozen}"]
                train([*shared, *changed, f"output_dir={folder}", *arguments.overrides])
            memory.append(round(resident_mib(), 1))
            print(f"trial {number + 1}: {memory[-1]:,.1f} MiB", flush=True)
    grown = memory[-1] / memory[FIRST - 1] - 1
    print(json.dumps({"mib": memory, "grown": round(grown, 4)}))


if __name__ == "__main__":
    main()
