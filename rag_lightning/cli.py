"""From the command line to a job: Hydra composes, mistakes become one sentence, exit codes mean something.

Exit codes: 0 done, 1 a defect of ours (traceback), 2 a mistake of the user, 3 a sweep of which some trials failed or
were refused, 130 interrupted (the run can go on).
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig

from rag_lightning.config.instantiate import trusted_targets
from rag_lightning.config.paths import conf_dir
from rag_lightning.errors import UserError


class Interrupted(BaseException):
    """Stopped on the user's wish after the state was saved; not an error."""

    exit_code = 130


def run_job(config_name: str, job: Callable[[DictConfig], Any]) -> None:
    """Run ``job`` on the composed ``conf/<config_name>.yaml``; never returns normally on a mistake."""
    import hydra

    if {"-m", "--multirun"}.intersection(sys.argv[1:]):  # single runs need not import what sweeps need
        from hydra.core.plugins import Plugins

        from rag_lightning.sweep.sweepers import SWEEPERS

        for sweeper in SWEEPERS:
            Plugins.instance().register(sweeper)
    users_choice = os.environ.get("HYDRA_FULL_ERROR")
    wants_traceback = users_choice == "1"
    mistakes: list[UserError] = []

    def job_or_mistake(config: DictConfig) -> Any:
        try:
            with _full_errors(users_choice):  # processes that the job starts inherit it
                return job(config)
        except UserError as mistake:
            if _in_sweep() or wants_traceback:
                raise
            mistakes.append(mistake)  # told below, without Hydra's preface
            return None

    main = hydra.main(config_path=str(conf_dir()), config_name=config_name, execution_whitelist=trusted_targets())
    try:
        # Hydra then hands its exceptions to us instead of printing them, so that we can name the nearest key.
        with _full_errors("1"):
            main(job_or_mistake)()
        if mistakes:
            raise mistakes[0]
    except UserError as mistake:
        _stop(str(mistake), mistake.exit_code, wants_traceback)
    except Interrupted as stop:
        _stop(str(stop), stop.exit_code, wants_traceback)
    except BrokenPipeError:  # the reader of our output has seen enough, as in `… --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        _stop("interrupted", Interrupted.exit_code, wants_traceback)
    except Exception as exception:
        from rag_lightning.config.explain import explain

        mistake_in_overrides = explain(exception, config_name, sys.argv[1:])
        if mistake_in_overrides is None:
            raise
        _stop(str(mistake_in_overrides), UserError.exit_code, wants_traceback)


@contextmanager
def _full_errors(value: str | None) -> Iterator[None]:
    before = os.environ.pop("HYDRA_FULL_ERROR", None)
    if value is not None:
        os.environ["HYDRA_FULL_ERROR"] = value
    try:
        yield
    finally:
        os.environ.pop("HYDRA_FULL_ERROR", None)
        if before is not None:
            os.environ["HYDRA_FULL_ERROR"] = before


def _in_sweep() -> bool:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.get().mode == RunMode.MULTIRUN


def _stop(message: str, code: int, wants_traceback: bool) -> None:
    if wants_traceback and sys.exc_info()[1] is not None:
        raise
    label = "stopped" if code == Interrupted.exit_code else "error"
    print(f"{label}: {message}", file=sys.stderr)
    raise SystemExit(code)
