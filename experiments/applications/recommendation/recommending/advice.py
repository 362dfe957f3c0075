"""Films for titles that somebody types, with what each score adds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag_lightning.errors import nearest
from recommending.blend import Blend
from recommending.evaluate import TOP
from recommending.features import item_knn, likes, popularity, trend
from recommending.interest import Embed, interest, texts_of
from recommending.movielens import LIKED, Ratings
from recommending.study import TEXT, Settings


@dataclass(frozen=True)
class Advice:
    """Recommended films, best first.

    Attributes:
        known: number of a film for each typed title, None where the catalogue has none of that name.
        meant: typed title -> the nearest one of the catalogue, for those that it does not have.
        films: title, sum, and what each score adds to it.
    """

    known: dict[str, int | None]
    meant: dict[str, str]
    films: list[tuple[str, float, dict[str, float]]]


def advise(typed: Sequence[str], ratings: Ratings, embed: Embed, settings: Settings, blend: Blend) -> Advice:
    """The best ten films for somebody who liked the typed titles, the latest one last.

    All ratings are known here: nothing is kept for a test. A title that the catalogue does not have counts by its text
    alone.
    """
    found = {title: _number(title, ratings) for title in typed}
    own = [film for film in found.values() if film is not None]
    films = sorted(ratings.titles)
    histories = [ratings.liked(user, ratings.titles.keys()) for user in ratings.stars]
    events = [
        (ratings.times[user][film], film)
        for user, stars in ratings.stars.items()
        for film, value in stars.items()
        if value >= LIKED
    ]
    community = likes(histories, films)
    now = max(time for each in ratings.times.values() for time in each.values())
    words = [title if (film := found[title]) is None else ratings.titles[film] for title in typed]
    texts = texts_of(words)
    scores = {
        TEXT: interest(embed, [texts], [ratings.text(film) for film in films]),
        "popularity": popularity(community)[None, :],
        "recency": trend(events, np.array([now]), films, settings.half_life),
        "item-kNN": item_knn(community, likes([own], films), settings.neighbours),
    }
    open_ = np.array([[film not in own for film in films]])
    parts = blend.parts(scores, open_)
    total = np.where(open_, blend.score(scores, open_), -np.inf)[0]
    best = np.argsort(-total, kind="stable")[:TOP]
    rows = [
        (ratings.text(films[each]), float(total[each]), {name: float(part[0, each]) for name, part in parts.items()})
        for each in best
        if open_[0, each]
    ]
    names = {_plain(title): title for title in ratings.titles.values()}
    meant = {
        title: names[close[0]]
        for title, film in found.items()
        if film is None and (close := nearest(_plain(title), list(names)))
    }
    return Advice(found, meant, rows)


def shown(advice: Advice) -> str:
    """The advice as text."""
    lines = []
    for title, film in advice.known.items():
        if film is None:
            guess = f"; did you mean {advice.meant[title]}?" if title in advice.meant else ""
            lines.append(f"not in the catalogue, read as text only: {title}{guess}")
    width = max((len(title) for title, _, _ in advice.films), default=0)
    names = list(advice.films[0][2]) if advice.films else []
    lines.append(f"{'':3}{'':{width}}    sum  " + "  ".join(names))
    for place, (title, total, parts) in enumerate(advice.films, 1):
        cells = "  ".join(f"{part:+{len(name)}.2f}" for name, part in parts.items())
        lines.append(f"{place:2} {title:{width}}  {total:+5.2f}  {cells}")
    return "\n".join(lines)


def _number(title: str, ratings: Ratings) -> int | None:
    """The film of that title, with or without its year; of several the latest."""
    asked = title.casefold().strip()
    fits = [
        film
        for film, name in ratings.titles.items()
        if asked in (name.casefold(), _plain(name), name.split(" (")[0].casefold())
    ]
    return max(fits, key=lambda film: (ratings.released[film], film), default=None)


def _plain(title: str) -> str:
    """In small letters, without the year."""
    return re.sub(r" \(\d{4}\)$", "", title.strip()).casefold()
