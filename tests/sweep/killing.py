"""Run a sweep in children that are killed with SIGKILL at random moments, until one comes to its end.

``python killing.py KILLS SECONDS SEED -m task=ner …``: each child is killed after up to SECONDS; after KILLS kills the
next one is left alone. What takes long to import is imported once and the children are forked, so that most of a
child's life is the sweep. Prints how many were killed; exits as the last child does.
"""

import os
import random
import signal
import sys
import time

import optuna  # noqa: F401 - before the children are forked
import torch

import rag_lightning.sweep.hopeless
import rag_lightning.sweep.sweepers
import rag_lightning.sweep.worker
import rag_lightning.training.run  # noqa: F401
from rag_lightning.train import main


def child(words: list[str]) -> int:
    """Begin the command in a process of its own."""
    pid = os.fork()
    if pid:
        return pid
    code = 0
    try:
        sys.argv = ["train", *words]
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def killed_after(pid: int, seconds: float) -> bool:
    """Whether the child still lived after so long; it is dead then in any case."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def run(kills: int, seconds: float, seed: int, words: list[str]) -> int:
    torch.set_num_threads(1)
    chance, killed = random.Random(seed), 0
    for number in range(1, kills + 1):  # short lives first, so that a fast machine is not done too early
        killed += killed_after(child(words), chance.uniform(0.05, seconds * number / kills))
    print(f"killed {killed}", flush=True)
    _, status = os.waitpid(child(words), 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    raise SystemExit(run(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
