"""The application's command on the simulated sample with a tiny network: the study, then films for typed titles."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from recommending.interest import embedder

from rag_lightning.errors import UserError
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.tasks.matching import read_fields

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "applications" / "recommendation" / "run.py"


@pytest.fixture(scope="module")
def application() -> ModuleType:
    """``run.py`` under a name of its own: other applications have one too."""
    spec = spec_from_file_location("recommendation_run", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def done(application: ModuleType, tiny_reader: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The finished study of a tiny network, and what it printed."""
    output = tmp_path_factory.mktemp("recommendation")
    tiny = [
        "model=local", f"model.path={tiny_reader}", "model.name=tiny", "trainer=cpu", "trainer.max_epochs=1",
        "trainer.precision=32-true", "trainer.enable_progress_bar=false", "logger=none", "run.pictures=false",
    ]  # fmt: skip
    return output, application.recommend(None, output, None, None, tiny)


def test_the_study_ranks_warm_and_cold_films(done: tuple[Path, str]) -> None:
    output, told = done
    found = json.loads((output / "results.json").read_text(encoding="utf-8"))
    assert found["data"] == "simulated sample" and "simulated sample" in told
    assert found["warm"]["films"] == 42 and found["cold"]["films"] == 12
    assert list(found["warm"]["weights"]) == ["interest by text", "popularity", "recency", "item-kNN"]
    for kind in ("warm", "cold"):
        rows = found[kind]["table"]
        for scores in rows.values():
            mean, low, high = scores["ndcg@10"]
            assert 0 <= low <= mean <= high <= 1 and 0 < scores["coverage@10"] <= 1
        # Tastes are for genres: whoever recommends by them does better than chance.
        assert rows["same genres"]["ndcg@10"][0] > rows["chance"]["ndcg@10"][0] + 0.1
    assert found["warm"]["table"]["item-kNN"]["ndcg@10"][0] > found["warm"]["table"]["chance"]["ndcg@10"][0] + 0.1
    assert {"chance", "newness"} <= set(found["cold"]["table"]) and "popularity" not in found["cold"]["table"]
    assert list(found["short histories"]["lengths"])[-1] == "all"
    assert (output / "figures.png").stat().st_size > 10_000


def test_vectors_are_those_of_the_task(done: tuple[Path, str]) -> None:
    run = json.loads((done[0] / "results.json").read_text(encoding="utf-8"))["run"]
    texts = [
        ("The Last Alibi; Colony Eleven", "Starship Meridian, science fiction"),
        ("Laugh Till Monday", "Six Horses"),
    ]
    records = [read_fields({"first": one, "second": other}, "") for one, other in texts]
    answers = Predictor(load_run(run), device="cpu").predict(records)
    for (one, other), answer in zip(texts, answers, strict=True):
        first, second = embedder(Path(run))([one, other])
        assert float(first @ second) == pytest.approx(answer["score"], abs=1e-3)


def test_typed_titles_get_ten_films_with_the_parts_of_their_scores(
    application: ModuleType, done: tuple[Path, str]
) -> None:
    told = application.recommend(None, done[0], None, "orbit of the lost; Starship Meridiam ;;Robots on Ice", [])
    lines = told.splitlines()
    assert lines[0].startswith("not in the catalogue, read as text only: Starship Meridiam; did you mean Starship")
    assert lines[1].startswith("not in the catalogue") and "interest by text" in lines[2]
    assert len(lines) == 13 and "Orbit of the Lost" not in "".join(lines[3:])
    sums = []
    for line in lines[3:]:
        total, *parts = [float(word) for word in line.split() if word[0] in "+-"]
        assert total == pytest.approx(sum(parts), abs=0.03)
        sums.append(total)
    assert sums == sorted(sums, reverse=True) and np.ptp(sums) > 0


def test_mistakes_are_told_in_words(
    application: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, told in (
        (["--for", " ; "], "no title"),
        (["--data", str(tmp_path)], "no file u.data"),
        (["--run", str(tmp_path), "--output", str(tmp_path / "out")], "no finished run"),
    ):
        monkeypatch.setattr("sys.argv", ["run.py", *words])
        with pytest.raises(SystemExit) as stopped:
            application.main()
        assert stopped.value.code == UserError.exit_code and told in capsys.readouterr().err
