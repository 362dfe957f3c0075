"""``python -m rag_lightning.label_efficiency``: how far labels go, plainly and with rules; see ``--help``."""

from typing import Any

from rag_lightning.studies.job import run_study_job


def _study() -> Any:
    from rag_lightning.studies.label_efficiency import run_study

    return run_study


def main() -> None:
    run_study_job("label_efficiency", _study)


if __name__ == "__main__":
    main()
