"""``python -m rag_lightning.compare``: ways of training side by side, over seeds; see ``--help``."""

from typing import Any

from rag_lightning.studies.job import run_study_job


def _study() -> Any:
    from rag_lightning.studies.comparison import run_comparison

    return run_comparison


def main() -> None:
    run_study_job("compare", _study)


if __name__ == "__main__":
    main()
