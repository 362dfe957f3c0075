"""The page in a real browser: answers, switches, two runs, chat, keyboard, a narrow screen; nothing from elsewhere."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
Process = Callable[..., tuple[subprocess.Popen[str], str]]
SCREENSHOTS = os.environ.get("RAG_LIGHTNING_SCREENSHOTS")  # a folder: pictures to look at


@pytest.fixture
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with sync.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def looked_at(page: Any, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=True)


def opened(browser: Any, address: str, **options: Any) -> Any:
    page = browser.new_page(**options)
    page.outside = []
    page.wrong = []
    page.on("request", lambda request: None if request.url.startswith(address) else page.outside.append(request.url))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: page.wrong.append(said.text) if said.type == "error" else None)
    page.goto(address)
    page.wait_for_selector("#fields textarea")
    return page


def until(page: Any, condition: str) -> None:
    """Wait; the page's policy keeps the browser's driver from doing so."""
    end = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def asked(page: Any, text: str, *, field: str = "text") -> None:
    page.fill(f"#field-{field}", text)
    page.keyboard.press("Control+Enter")
    until(page, "document.getElementById('state').textContent === ''")


def test_the_page(process: Process, browser: Any) -> None:
    _, address = process("tags with rules", "tags", "a label", "an answer", "a reply", "a label of a pair")
    page = opened(browser, address + "/")
    odd = "🙂 Ada Lovelace lived in London. <b>&amp;</b>"
    asked(page, odd)
    entities = httpx.post(f"{address}/predict", json={"text": odd}).json()["entities"]
    marks = page.locator("#answers mark:not(.hit)").all_text_contents()
    assert len(marks) == len(entities) > 0
    for mark, entity in zip(marks, entities, strict=True):  # places count characters, and the browser counts otherwise
        assert mark.startswith(f"{entity['text']}{entity['type']} ") and mark.endswith(" %")
    assert page.locator("#answers b").count() == 0  # what was typed is no HTML
    assert "places" in page.locator("#answers mark.hit").first.inner_text()
    looked_at(page, "entities")
    page.keyboard.press("Tab")
    page.uncheck("#rules")
    page.wait_for_selector("text=the rules are off")
    assert page.locator("mark.hit").count() == 0
    page.check("#rules")
    page.uncheck("#template")
    until(page, "document.querySelector('#answers pre')?.textContent.startsWith('🙂')")

    page.select_option("#other", index=1)
    until(page, "document.querySelectorAll('#answers .panel').length === 2")
    until(page, "document.querySelectorAll('#answers .panel pre').length === 4")
    looked_at(page, "two-runs")

    runs = page.locator("#run option").all_inner_texts()
    for task, selector in (("classification", ".bar"), ("qa", ".text"), ("matching", ".bar")):
        page.select_option("#run", index=next(i for i, name in enumerate(runs) if f"({task})" in name))
        page.click("#go")
        page.wait_for_selector(f"#answers {selector}")
        looked_at(page, task)

    page.select_option("#run", index=next(i for i, name in enumerate(runs) if "(dialogue)" in name))
    for number in (1, 2):
        page.fill("#field-text", f"Hello {number}")
        page.keyboard.press("Enter")
        until(page, f"document.querySelectorAll('.said').length === {2 * number}")
        until(page, "document.getElementById('state').textContent === ''")
    assert page.locator(".said.user").all_inner_texts() == ["Hello 1", "Hello 2"]
    looked_at(page, "chat")
    page.click("#anew")
    assert page.locator(".said").count() == 0
    assert page.outside == [] and page.wrong == []


def test_narrow_dark_and_by_keyboard(process: Process, browser: Any) -> None:
    _, address = process("tags with rules", RAG_LIGHTNING_TOKEN="abc")
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page.goto(address + "/")
    page.wait_for_selector("#token:visible")
    page.fill("#token", "abc")
    page.keyboard.press("Tab")
    page.wait_for_selector("#fields textarea")
    page.fill("#field-text", "Ada Lovelace lived in London. " + "x" * 300)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "go"
    page.keyboard.press("Enter")
    page.wait_for_selector("#answers mark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    for name in ("run", "other", "field-text", "token"):
        assert page.locator(f"label[for={name}]").count() == 1
    looked_at(page, "narrow-dark")


def test_the_interface(process: Process, browser: Any) -> None:
    _, address = process("tags with rules", "a reply")
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(address + "/docs")
    page.wait_for_selector("text=POST /predict")
    assert page.locator("text=POST /stream").count() == 1
    looked_at(page, "interface")
