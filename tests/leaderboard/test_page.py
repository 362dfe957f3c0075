"""report.html: every part is there, nothing of the user's becomes markup, large sweeps, a real browser."""

import json
import re
import resource
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
import sweep_folder
from sweep_folder import write_sweep

from rag_lightning.leaderboard.charts.fronts import Point, front_of
from rag_lightning.leaderboard.charts.heat import heat_maps
from rag_lightning.leaderboard.charts.learning import curves_of
from rag_lightning.leaderboard.importance import importance
from rag_lightning.leaderboard.levels import levels_of
from rag_lightning.leaderboard.page import best_command, render_page
from rag_lightning.leaderboard.rows import Leaderboard, Mean, Row, leaderboard
from rag_lightning.sweep.record import Record, read_question, read_records

EVIL = (
    '"<script>alert(1)</script>"',
    "</script><img src=x onerror=alert(2)>",
    "日本語 ± & 'so'",
    "<b>%{x}</b> $x^2$",
    "</script>",
)


class Page(HTMLParser):
    """Elements with their attributes, and the text of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.scripts, self._inside = "", [""], ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data

    def of(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.elements if t == tag and all(a.get(k) == v for k, v in wanted.items())]

    @property
    def figures(self) -> list[dict[str, Any]]:
        return list(json.loads(self.scripts[1]))


def read(folder: Path) -> Leaderboard:
    return leaderboard(read_question(folder), read_records(folder))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    return read(write_sweep(tmp_path_factory.mktemp("page") / "sweep"))


@pytest.fixture(scope="module")
def page(board: Leaderboard) -> Page:
    return Page(render_page(board))


def test_the_page_has_every_part_and_a_link_to_each(page: Page) -> None:
    anchors = [a["id"] for a in page.of("h2")]
    assert anchors == ["leaderboard", "again", "parallel", "pairs", "curves", "fronts", "importance", "lost"]
    assert [a["href"] for a in page.of("a")] == [f"#{anchor}" for anchor in anchors]
    kinds = [figure["data"][0]["type"] for figure in page.figures]
    assert kinds[0] == "parcoords"
    assert kinds.count("heatmap") == 2 + 3 + 3  # a map for each value of the third key
    assert kinds[-1] == "bar"


def test_every_figure_is_one_that_plotly_knows(page: Page) -> None:
    filled = json.dumps(page.figures).replace('"@@areas"', '"Blues"').replace('"@@threads"', '"Blues"')
    for figure in json.loads(re.sub(r'"@@\w+"', '"#123456"', filled)):
        go.Figure(figure)  # raises for an unknown key or a wrong value


def test_the_page_needs_nothing_from_elsewhere(page: Page) -> None:
    assert not [a for _, a in page.elements if a.get("src") or (a.get("href") or "#")[0] != "#"]
    [policy] = page.of("meta", **{"http-equiv": "Content-Security-Policy"})
    assert "default-src 'none'" in str(policy["content"]) and "connect-src" not in str(policy["content"])


def test_each_chart_is_told_in_words(page: Page, board: Leaderboard) -> None:
    charts = page.of("div", role="img")
    assert len(charts) == len(page.figures)
    assert all(len(str(a["aria-label"])) > 40 for a in charts)
    assert board.name(board.rows[0]) in str(charts[0]["aria-label"])


def test_the_table_can_be_sorted_by_numbers(page: Page, board: Leaderboard) -> None:
    values = [float(str(a["data-value"])) for a in page.of("td") if "data-value" in a]
    assert board.rows[0].score is not None and board.rows[0].score.mean in values
    heads = [a for a in page.of("th") if "data-numbers" in a]
    assert len(heads) == len(page.of("button", type="button")) - 1 - 1  # template is no number; the copy button


def test_heat_maps_hold_the_means(board: Leaderboard) -> None:
    levels = {each.name: each for each in levels_of(board)}
    maps, _ = heat_maps(board, [levels["lr"], levels["template"], levels["frozen_layers"]])
    first = maps[0][0]  # lr across, template up, at frozen_layers = 0
    row = next(r for r in board.rows if list(r.values.values()) == ["3e-5", "hints", "0"])
    trace = first.data[0]
    x, y = trace["x"].index("3e-5"), trace["y"].index("hints")
    assert row.score is not None
    assert trace["z"][y][x] == pytest.approx(row.score.mean)
    assert trace["text"][y][x] == f"{row.score.mean:.3f}"


def test_the_front_is_what_no_other_beats() -> None:
    def point(x: float, y: float) -> Point:
        return Point(Row({}, (), "finished"), Mean(x, None, (x,)), Mean(y, None, (y,)))

    points = [point(*p) for p in ((1, 5), (2, 4), (2, 3), (3, 4), (0, 6), (0, 5))]

    def front(x: float, y: float) -> list[tuple[float, float]]:
        return [(p.x.mean, p.y.mean) for p in front_of(points, x, y)]

    assert front(1, 1) == [(0, 6), (1, 5), (3, 4)]
    assert front(-1, 1) == [(0, 6)]
    assert front(1, -1) == [(2, 3), (3, 4)]


def test_the_best_few_curves_are_coloured_and_damaged_histories_left_out(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "s")
    records = read_records(folder)
    (Path(str(records[0].folder)) / "history.jsonl").write_text('no\n{"step": 1}\n')
    board = read(folder)
    curves, note = curves_of(board)
    assert len(curves) == 53 and "1 have no history" in note
    assert {c.place for c in curves} == {None, 0, 1, 2, 3}
    assert [c.row.rank for c in curves if c.place == 0] == [1, 1, 1]
    assert curves[-1].row.rank == 1  # on top


def test_where_few_have_a_score_the_curves_of_the_others_are_drawn(tmp_path: Path) -> None:
    board = read(write_sweep(tmp_path / "s", {"optimizer.lr": ("1e-5", "3e-5", "1e-4")}, seeds=("1",)))
    assert [row.state for row in board.rows] == ["finished", "hopeless", "failed"]
    curves, _ = curves_of(board)
    assert [(curve.row.state, curve.place) for curve in curves] == [
        ("failed", None),
        ("hopeless", None),
        ("finished", 0),
    ]


def test_a_trial_that_never_learnt_does_not_press_the_best_into_a_line(page: Page) -> None:
    f1, loss = (f for f in page.figures if f["data"][0].get("mode") == "lines")
    for figure, learnt_nothing in ((f1, 0.41), (loss, 0.69)):
        low, high = figure["layout"]["yaxis"]["range"]
        best = [y for trace in figure["data"] if trace["showlegend"] for y in trace["y"]]
        assert low < min(best) and max(best) < high
        assert not low < learnt_nothing < high


def test_importance_finds_what_the_scores_were_made_of(board: Leaderboard) -> None:
    found = importance(board)
    assert list(found.shares) == ["lr", "template", "frozen_layers", "seed"]
    assert sum(found.shares.values()) == pytest.approx(1, abs=0.01)
    assert found == importance(board)  # and gives the same again


def test_too_few_trials_tell_nothing(tmp_path: Path) -> None:
    few = read(write_sweep(tmp_path / "s", {"optimizer.lr": ("1e-5", "3e-5")}, seeds=("1", "2")))
    assert importance(few).shares == {}
    assert "Too few trials to tell" in Page(render_page(few)).text


def test_nothing_of_the_users_becomes_markup(tmp_path: Path) -> None:
    name = '</title><script>alert(3)</script> "q"'
    swept = {"template.text": EVIL, "optimizer.lr": ("1e-5", "3e-5")}
    text = render_page(read(write_sweep(tmp_path / "s", swept, name=name)))
    page = Page(text)
    assert len(page.of("script")) == 3
    assert not page.of("img") and not page.of("b")
    assert name in page.text
    assert all(value in page.text for value in EVIL[2:])
    figures = [f for f in page.figures if f["data"][0]["type"] != "parcoords"]  # whose labels are plain text
    assert not re.search(r"<(?!br>)", json.dumps(figures))


@pytest.mark.parametrize("scores", [0, 1])
def test_a_sweep_that_has_only_begun_gives_a_page(tmp_path: Path, scores: int) -> None:
    question = read_question(write_sweep(tmp_path / "s"))
    records = read_records(tmp_path / "s")[:scores]
    page = Page(render_page(leaderboard(question, records)))
    assert ("None has a score yet." in page.text) == (scores == 0)
    assert f"{54 - scores} not begun" in page.text


def test_the_command_of_the_best_one_is_what_was_typed(board: Leaderboard, page: Page) -> None:
    command = best_command(board)
    assert command == (
        "python -m rag_lightning.train task=ner data.limit.train=2000 optimizer.lr=3e-5 template=hints "
        "tuning.frozen_layers=0 seed=1"
    )
    assert command in page.text


def test_lower_is_better_in_the_charts(tmp_path: Path) -> None:
    board = read(write_sweep(tmp_path / "s", lower_is_better=True))
    page = Page(render_page(board))
    assert all(f["data"][0]["reversescale"] for f in page.figures if f["data"][0]["type"] == "heatmap")
    first, last = board.ranked[0].score, board.ranked[-1].score
    assert first is not None and last is not None and first.mean < last.mean


def write_quickly(folder: Path, record: Record) -> None:
    """Without waiting for the disk."""
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    (folder / "trials" / f"{record.key}.json").write_text(json.dumps(vars(record)))


@pytest.mark.slow
def test_ten_thousand_trials_take_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_folder, "write_record", write_quickly)
    rates = [f"{10 ** (-5 + i / 96):.6g}" for i in range(96)]
    swept = {**sweep_folder.SWEPT, "optimizer.lr": rates, "tuning.frozen_layers": [str(i) for i in range(7)]}
    folder = write_sweep(tmp_path / "s", swept, seeds=("1", "2", "3", "4", "5"), histories=False)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    board = read(folder)
    text = render_page(board)
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
    assert sum(board.states.values()) == 10_080
    assert "leaderboard.csv has all" in text
    assert len(text) < 9e6


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser")
def test_a_browser_draws_every_chart(board: Leaderboard, page: Page, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_page(board), encoding="utf-8")
    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--virtual-time-budget=8000",
            "--window-size=1400,9000", "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom", file.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    drawn = [a for a in Page(done.stdout).of("div", role="img") if a.get("data-drawn") == "yes"]
    assert len(drawn) == len(page.figures)
    assert "Refused to" not in done.stderr and "Uncaught" not in done.stderr
