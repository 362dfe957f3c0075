"""Recommend films that nobody has rated yet, by their titles: MovieLens-100k with a bi-encoder.

    python experiments/applications/recommendation/cold_films.py --data FOLDER_OF_MOVIELENS_100K

Writes the pairs (``train.jsonl``, ``valid.jsonl``, ``test.jsonl``) into OUTPUT/data, trains ``task=matching`` on them,
ranks cold films for users whose ratings were not learnt from, and writes OUTPUT/results.json. What comes after ``--``
is handed on to the training, such as ``-- task.encoder=cross``.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recommending.movielens import Ratings, read

HISTORY = 8  # liked films that tell about a user
POSITIVES, WRONG = 5, 3  # training pairs of a user, and films not rated beside each of them
CANDIDATES = {"valid": 50, "test": 100}  # cold films that are ranked for a user, the liked ones among them
USERS = {"valid": 60, "test": 200}  # whose ratings are not learnt from
COLD = {"valid": 0.1, "test": 0.2}  # share of the films that no training pair shows
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with u.data, u.item and u.genre")
    parser.add_argument("--output", type=Path, default=Path("runs/cold_films"))
    parser.add_argument("overrides", nargs="*", help="settings of the training, after --")
    given = parser.parse_args()
    folder = given.output / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for split, pairs in pairs_of(read(given.data)).items():
        rows = (json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
        (folder / f"{split}.jsonl").write_text("".join(rows), encoding="utf-8")
        print(f"{split}: {len(pairs):,} pairs")
    results = learn(folder, given.output, given.overrides)
    (given.output / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(json.dumps(results, indent=1))


def learn(folder: Path, output: Path, overrides: Sequence[str]) -> dict[str, float]:
    """Train and test; the ranking scores of the test split."""
    from rag_lightning.train import train

    metrics = train(
        [
            "task=matching", "task.encoder=bi", "task.answer=label", "task.ranking=given", "data=jsonl",
            f"data.path={folder}", "data.name=movielens", "+data.fields.popularity=popularity",
            "task.labels=[irrelevant,relevant]", "optimizer.lr=2e-4", "tuning.head_lr=1e-3", "batching.size=32",
            "trainer.max_epochs=2", f"output_dir={output}", *overrides,
        ]
    ).metrics  # fmt: skip
    return {name.removeprefix("test/"): value for name, value in metrics.items() if name.startswith("test/")}


# --- data --------------------------------------------------------------------------------------------------------


def pairs_of(ratings: Ratings) -> dict[str, list[dict[str, Any]]]:
    """Users' liked films against candidates, ``relevant`` or ``irrelevant``, with the candidates' popularity.

    Training pairs show warm films and training users only. Popularity counts how many training users liked a film; of
    cold films too, so that this baseline knows what the model does not.
    """
    rng = random.Random(SEED)
    films, users = sorted(ratings.titles), sorted(ratings.stars)
    rng.shuffle(films)
    rng.shuffle(users)
    cold = {"test": set(films[: round(COLD["test"] * len(films))])}
    cold["valid"] = set(films[len(cold["test"]) :][: round(COLD["valid"] * len(films))])
    warm = set(films) - cold["test"] - cold["valid"]
    able = [user for user in users if len(ratings.liked(user, warm)) > HISTORY]
    held = {"test": able[: USERS["test"]], "valid": able[USERS["test"] :][: USERS["valid"]]}
    learnt = [user for user in users if user not in {*held["test"], *held["valid"]}]
    popularity = Counter(film for user in learnt for film in ratings.liked(user, set(films)))
    pairs: dict[str, list[dict[str, Any]]] = {"train": []}
    for user in learnt:
        liked = ratings.liked(user, warm)
        unseen = sorted(warm - set(ratings.stars[user]))
        for film in rng.sample(liked, min(POSITIVES, max(0, len(liked) - HISTORY))):
            others = [each for each in liked if each != film]
            history = rng.sample(others, HISTORY)
            chosen = [film, *rng.sample(unseen, WRONG)]
            pairs["train"] += [_pair(ratings, history, each, each == film, popularity) for each in chosen]
    for split, those in held.items():
        pairs[split] = []
        for user in those:
            right = ratings.liked(user, cold[split])[: CANDIDATES[split] // 2]
            unseen = sorted(cold[split] - set(ratings.stars[user]))
            wrong = rng.sample(unseen, min(len(unseen), CANDIDATES[split] - len(right)))
            history = ratings.liked(user, warm)[-HISTORY:]
            if right:
                pairs[split] += [_pair(ratings, history, film, True, popularity) for film in right]
                pairs[split] += [_pair(ratings, history, film, False, popularity) for film in wrong]
    return pairs


def _pair(ratings: Ratings, history: Sequence[int], film: int, right: bool, popularity: Counter[int]) -> dict[str, Any]:
    return {
        "first": "; ".join(ratings.titles[each] for each in history),
        "second": f"{ratings.titles[film]}, {ratings.genres[film]}",
        "label": "relevant" if right else "irrelevant",
        "popularity": popularity[film],
    }


if __name__ == "__main__":
    main()
