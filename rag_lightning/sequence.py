"""``python -m rag_lightning.sequence``: one task after another, and what is forgotten; see ``--help``."""

from typing import Any

from rag_lightning.studies.job import run_study_job


def _study() -> Any:
    from rag_lightning.studies.sequence import run_sequence

    return run_sequence


def main() -> None:
    run_study_job("sequence", _study)


if __name__ == "__main__":
    main()
