"""Films and ratings: the record of both studies, and the files of MovieLens-100k as GroupLens gives them."""

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rag_lightning.errors import UserError

LIKED = 4  # stars from which a film counts as liked
FILES = ("u.data", "u.item", "u.genre")


@dataclass(frozen=True)
class Ratings:
    """Who rated which film when.

    Attributes:
        titles: number of a film -> title and year.
        genres: number -> its genres in words, ``comedy, crime``.
        released: number -> when it came out, in seconds since 1970; 0 where that is not known.
        stars: user -> film -> 1 to 5, in the order of time.
        times: user -> film -> when it was rated, in seconds since 1970.
    """

    titles: dict[int, str]
    genres: dict[int, str]
    released: dict[int, float]
    stars: dict[int, dict[int, int]]
    times: dict[int, dict[int, float]]

    def liked(self, user: int, among: Collection[int]) -> list[int]:
        """The user's liked films out of some, the latest last."""
        return [film for film, stars in self.stars[user].items() if stars >= LIKED and film in among]

    def text(self, film: int) -> str:
        """A candidate as the model reads it: title, year, genres."""
        return f"{self.titles[film]}, {self.genres[film]}" if self.genres[film] else self.titles[film]


def read(folder: Path) -> Ratings:
    """The files ``u.data``, ``u.item`` and ``u.genre`` (Latin-1) of MovieLens-100k.

    Raises:
        UserError: if one of them is missing.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise UserError(
                f"there is no file {name}",
                where=f"--data {folder}",
                remedy="Give the folder of MovieLens-100k as GroupLens ships it: ml-100k, with u.data in it.",
            )
    names = [line.partition("|")[0].lower() for line in (folder / "u.genre").read_text("latin-1").splitlines() if line]
    titles, genres, released = {}, {}, {}
    for line in (folder / "u.item").read_text("latin-1").splitlines():
        cells = line.split("|")
        film = int(cells[0])
        titles[film], released[film] = spoken(cells[1]), _seconds(cells[2])
        flags = zip(names, cells[-len(names) :], strict=True)
        genres[film] = ", ".join(name for name, flag in flags if flag == "1")
    stars: dict[int, dict[int, int]] = defaultdict(dict)
    times: dict[int, dict[int, float]] = defaultdict(dict)
    rows = [tuple(map(int, line.split("\t"))) for line in (folder / "u.data").read_text("utf-8").splitlines()]
    for user, film, value, moment in sorted(rows, key=lambda row: (row[3], row[1])):
        stars[user][film], times[user][film] = value, float(moment)
    return Ratings(titles, genres, released, dict(stars), dict(times))


def spoken(title: str) -> str:
    """``Usual Suspects, The (1995)`` as one says it."""
    name, _, year = title.rpartition(" (")
    for article in (", The", ", A", ", An"):
        if name.endswith(article):
            name = f"{article[2:]} {name.removesuffix(article)}"
    return f"{name} ({year}" if name else title


def _seconds(day: str) -> float:
    """``01-Jan-1995`` as seconds since 1970; 0 where there is no day."""
    if not re.fullmatch(r"\d\d-[A-Z][a-z]{2}-\d{4}", day):
        return 0.0
    return datetime.strptime(day, "%d-%b-%Y").replace(tzinfo=UTC).timestamp()
