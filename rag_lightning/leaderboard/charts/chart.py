"""What all charts share. Colours are names, which the page fills in for light and dark."""

import html
from dataclasses import dataclass
from typing import Any

from rag_lightning.leaderboard.names import shown

# Of page.css: --ink, --line1 …; and scales for areas, on which --ink can be read, and for thin lines.
INK, MUTED, GRID, OTHER, AREAS, THREADS = "@@ink", "@@muted", "@@grid", "@@other", "@@areas", "@@threads"
LINES = ("@@line1", "@@line2", "@@line3", "@@line4")


@dataclass(frozen=True)
class Chart:
    """A figure of plotly.

    Attributes:
        title: above it; plain text, as ``note`` below it and ``alt``, which says in words what it shows.
        height, least_width: pixels; where the screen is narrower the chart scrolls.
    """

    title: str
    alt: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 360
    least_width: int = 0
    note: str = ""

    def figure(self) -> dict[str, Any]:
        """``data`` and ``layout`` as plotly reads them."""
        return {"data": self.data, "layout": {**self.layout, "height": self.height}}


def label(text: str, limit: int = 48) -> str:
    """Text of the user's in a figure, where plotly reads some HTML."""
    return html.escape(shown(text, limit), quote=False)


def lines(*parts: str) -> str:
    """Several lines of hover text, each made by :func:`label`."""
    return "<br>".join(part for part in parts if part)


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with its title, which makes room for long labels."""
    return {"title": {"text": title, "standoff": 10}, "automargin": True, "gridcolor": GRID, "zeroline": False, **more}
