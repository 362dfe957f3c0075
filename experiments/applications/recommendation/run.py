"""Recommendation by text: a user's liked titles against candidate titles, beside counting and together with it.

    python experiments/applications/recommendation/run.py                  # the simulated sample, offline
    python experiments/applications/recommendation/run.py --data FOLDER    # MovieLens-100k: u.data, u.item, u.genre
    python experiments/applications/recommendation/run.py --data FOLDER --for "Alien; The Thing"

Trains the bi-encoder of ``task=matching`` on what users liked and what they liked next (or takes the run of ``--run``),
fits the weights of its score, popularity, recency and item-kNN on validation, and ranks all films for each user's last
ratings: warm films, cold ones, and with histories made short. OUTPUT/results.json has the figures, OUTPUT/figures.png
the picture. With ``--for`` it recommends for typed titles, with what each score adds; the study is made first where
OUTPUT has none. What comes after ``--`` is handed on to the training, such as ``-- trainer.max_epochs=2``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recommending.advice import advise, shown
from recommending.blend import Blend
from recommending.evaluate import METRICS
from recommending.interest import embedder, learn, untrained
from recommending.movielens import Ratings, read
from recommending.picture import picture
from recommending.sample import sample
from recommending.splits import cut, pairs
from recommending.study import Settings, World, study

from rag_lightning.errors import UserError

OF_SAMPLE = ["trainer.max_epochs=3", "batching.size=32"]
OF_MOVIELENS = ["trainer.max_epochs=1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of MovieLens-100k; else the simulated sample")
    parser.add_argument("--output", type=Path, help="else runs/recommendation/movielens, or …/sample")
    parser.add_argument("--run", type=Path, help="a finished run of this application, instead of a training")
    parser.add_argument("--for", dest="liked", help='recommend for these titles: "title one; title two"')
    parser.add_argument("overrides", nargs="*", help="settings of the training, after --")
    given = parser.parse_args()
    try:
        told = recommend(given.data, given.output, given.run, given.liked, given.overrides)
    except UserError as mistake:
        print(mistake, file=sys.stderr)
        raise SystemExit(mistake.exit_code) from None
    print(told)


def recommend(
    data: Path | None, output: Path | None, run: Path | None, liked: str | None, overrides: Sequence[str]
) -> str:
    """The study, or advice for typed titles, as text.

    Raises:
        UserError: for a folder without MovieLens, a run that is not finished, or a list without titles.
    """
    titles = None if liked is None else [title.strip() for title in liked.split(";") if title.strip()]
    if titles == []:
        raise UserError("there is no title in it", where="--for", remedy='Write --for "title one; title two".')
    output = output or Path("runs/recommendation") / ("sample" if data is None else "movielens")
    ratings = sample() if data is None else read(data)
    results = output / "results.json"
    if titles is None or not results.is_file():
        found = studied(ratings, data, output, run, overrides)
        results.write_text(json.dumps(found, indent=1), encoding="utf-8")
        picture(found, output / "figures.png")
        if titles is None:
            return f"{tables(found)}\nfigures: {results}, {output / 'figures.png'}"
    kept = json.loads(results.read_text(encoding="utf-8"))
    settings, blend = Settings(**kept["settings"]), Blend(kept["warm"]["weights"])
    return shown(advise(titles, ratings, embedder(run or Path(kept["run"])), settings, blend))


def studied(
    ratings: Ratings, data: Path | None, output: Path, run: Path | None, overrides: Sequence[str]
) -> dict[str, Any]:
    """Train, unless a run is given, and make the study."""
    parts = cut(ratings)
    if run is None:
        own = OF_SAMPLE if data is None else OF_MOVIELENS
        run = learn(pairs(ratings, parts), output, [*own, *overrides])
    found, _ = study(World(ratings, parts, embedder(run)), untrained(run))
    return {"data": "simulated sample" if data is None else "MovieLens-100k", "run": str(run), **found}


def tables(found: dict[str, Any]) -> str:
    """The figures as plain text: means, with 95 % intervals in brackets."""
    lines = [f"{found['data']}: {found['users']:,} users, {found['films']:,} films, {found['ratings']:,} ratings"]
    for kind in ("warm", "cold"):
        own = found[kind]
        lines += ["", f"{kind}: {own['users']:,} users, {own['films']:,} films, {own['relevant']:,} to be found"]
        for name, scores in own["table"].items():
            cells = "  ".join(
                f"{metric} {scores[metric][0]:.3f} [{scores[metric][1]:.3f}, {scores[metric][2]:.3f}]"
                for metric in METRICS
            )
            rest = "  ".join(f"{metric} {value:g}" for metric, value in scores.items() if metric not in METRICS)
            lines.append(f"  {name:22} {cells}  {rest}")
        lines.append("  weights: " + ", ".join(f"{name} {weight:+.2f}" for name, weight in own["weights"].items()))
        for pair, (mean, low, high) in own["differences"].items():
            lines.append(f"  {METRICS[0]}, {pair}: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
