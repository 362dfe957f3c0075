"""Where the configuration and the caches lie, in a checkout as in an installed wheel."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def conf_dir() -> Path:
    """The folder of the YAML groups: inside the installed package, else at the top of the checkout.

    Raises:
        FileNotFoundError: if neither holds a ``train.yaml`` (a broken installation).
    """
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(f"no conf/train.yaml beside {PACKAGE}: reinstall rag_lightning")


def cache_dir() -> Path:
    """The user's cache: ``RAG_LIGHTNING_CACHE``, else the platform's usual place."""
    if own := os.environ.get("RAG_LIGHTNING_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "rag_lightning"
