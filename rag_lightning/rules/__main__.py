"""``python -m rag_lightning.rules check | report | try``: look at a rule file, measure it, try it; see ``--help``."""

import sys
from functools import partial

from omegaconf import DictConfig

from rag_lightning.cli import run_job
from rag_lightning.errors import UserError, nearest

_COMMANDS = ("check", "report", "try")


def _job(config: DictConfig, text: str | None) -> None:
    from rag_lightning.rules.command import run_command

    run_command(config, text)


def main() -> None:
    """The first word of the command line is the command; Hydra reads the rest."""
    # A text may hold what Hydra's grammar does not: commas, quotes, ${…}.
    texts = [word.removeprefix("text=") for word in sys.argv[1:] if word.startswith("text=")]
    words = [word for word in sys.argv[1:] if not word.startswith("text=")]
    if words and words[0][0].isalpha() and "=" not in words[0]:
        if words[0] not in _COMMANDS:
            close = nearest(words[0], list(_COMMANDS))
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(_COMMANDS)}."
            mistake = UserError(f"there is no command {words[0]!r}", where="command line", remedy=hint)
            print(f"error: {mistake}", file=sys.stderr)
            raise SystemExit(UserError.exit_code)
        words = [f"command={words[0]}", *words[1:]]
    sys.argv = [sys.argv[0], *(words or ["--help"])]
    run_job("rules", partial(_job, text=texts[-1] if texts else None))


if __name__ == "__main__":
    main()
