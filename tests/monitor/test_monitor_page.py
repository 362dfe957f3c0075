"""The page: whole, without network or script, and safe whatever the messages say."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from stub_monitor import STUB, config_of

from rag_lightning.monitor.judge import Judge, Judged
from rag_lightning.monitor.page import page
from rag_lightning.monitor.plots import classes
from rag_lightning.monitor.state import opened
from rag_lightning.monitor.watching import watch

HOSTILE = [
    "<script>alert(1)</script>", "</title><img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "a & b < c > d",
    "\x1b[31mred\x07", "漢字 🙂 \u202eltr", "&lt;already&gt;", "'; DROP TABLE messages; --",
]  # fmt: skip


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    return tags


@pytest.fixture
def judge() -> Judge:
    """Hostile topics and labels too."""
    return Judge(("negative", "<b>"), STUB.identity, lambda texts: [Judged(text, "<b>", 0.5) for text in texts])


def test_nothing_of_a_message_becomes_markup(tmp_path: Path, judge: Judge) -> None:
    source = tmp_path / "news.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in HOSTILE) + "{<script>\n")
    with opened(tmp_path / "watch") as state:
        watch(config_of(str(source), tmp_path / "watch"), judge, state)
        html = page(state, None, 0.0)
    tags = parsed(html)
    assert not {"script", "img", "b-a"} & {tag for tag, _ in tags.found}
    assert not [name for _, attributes in tags.found for name in attributes if name.startswith("on")]
    for text in HOSTILE[:4] + HOSTILE[5:]:
        assert "".join(sign if sign.isprintable() else " " for sign in text) in tags.text
    assert "\x1b" not in html and "\u202e" not in html
    assert "{<script>" in tags.text and "not JSON" in tags.text


def test_it_needs_no_network_and_says_so_to_the_browser(tmp_path: Path) -> None:
    source = tmp_path / "news.txt"
    source.write_text("staff 1 good\n" * 60 + "staff 1 bad\n" * 40)
    with opened(tmp_path / "watch") as state:
        watch(config_of(str(source), tmp_path / "watch", follow=False), STUB, state)
        html = page(state, None, 0.0, refresh=60)
    assert not re.search(r"https?:|//|url\(|@import|src=", html)
    tags = parsed(html)
    metas = [attributes for tag, attributes in tags.found if tag == "meta"]
    assert any("default-src 'none'" in str(attributes.get("content")) for attributes in metas)
    assert any(attributes.get("http-equiv") == "refresh" and attributes["content"] == "60" for attributes in metas)
    assert "Surge staff" in tags.text and [tag for tag, _ in tags.found].count("polyline") == 1
    assert any(attributes.get("class") == "begin" for _, attributes in tags.found)


def test_an_empty_folder_and_one_message(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        assert "None yet." in page(state, 5, 0.0)
        (tmp_path / "news.txt").write_text("staff 1 good\n")
        watch(config_of(str(tmp_path / "news.txt"), tmp_path), STUB, state)
        assert "as usual" in page(state, 0.5, 0.0)


def test_bars_count_every_message_of_the_span(tmp_path: Path) -> None:
    source = tmp_path / "news.jsonl"
    rows = [{"text": "staff 1 bad" if n % 4 == 0 else "staff 1 good", "time": 3600 * n} for n in range(240)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with opened(tmp_path / "watch") as state:
        watch(config_of(str(source), tmp_path / "watch"), STUB, state)
        for hours, least in ((None, 240), (48, 48)):
            counts = re.findall(r"<title>[^<]*?Z: (\d+) negative, (\d+) neutral", page(state, hours, 0.0))
            total = sum(int(bad) + int(good) for bad, good in counts)
            assert least <= total <= least + 13 and len(counts) <= 61


def test_colours() -> None:
    assert classes(["negative", "neutral", "positive"], "negative") == {
        "negative": "k0", "neutral": "k2", "positive": "k1",
    }  # fmt: skip
    many = classes([str(n) for n in range(9)], "3")
    assert many["3"] == "k0" and len(many) == 9 and "k0" not in [many[str(n)] for n in range(9) if n != 3]
