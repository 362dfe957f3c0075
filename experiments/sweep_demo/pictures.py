"""The pictures of a sweep's report that the documentation shows, taken in a browser.

    python experiments/sweep_demo/pictures.py experiments/sweep_demo/report.html docs/images

Needs chromium, and the package playwright.
"""

import argparse
import io
import shutil
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

SECTIONS = {  # the pictures' names, and the sections of the page
    "sweep_parallel": "parallel", "sweep_pairs": "pairs", "sweep_curves": "curves", "sweep_fronts": "fronts",
    "sweep_importance": "importance",
}  # fmt: skip
SMALLER = 880 / 1400  # pages are 1,400 px wide, pictures 880


def opened(browser: Any, report: Path, *, width: int, height: int, scheme: str = "light") -> Any:
    """The report in a window of its own, when all its charts are drawn."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(report.resolve().as_uri())
    for chart in page.query_selector_all('div[role="img"]'):
        chart.scroll_into_view_if_needed()
        page.wait_for_function("chart => chart.dataset.drawn === 'yes'", arg=chart)
    page.evaluate("window.scrollTo(0, 0)")
    return page


def picture(shot: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    return image.resize((round(image.width * SMALLER), round(image.height * SMALLER)), Image.Resampling.LANCZOS)


def saved(image: Image.Image, path: Path) -> None:
    """With few colours, which takes a third of the space."""
    image.quantize(128).save(path, optimize=True)


def beside_each_other(first: Image.Image, second: Image.Image) -> Image.Image:
    both = Image.new("RGB", (first.width + second.width, first.height), "white")
    both.paste(first, (0, 0))
    both.paste(second, (first.width, 0))
    return both


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    browser_file = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_file, args=["--no-sandbox", "--enable-unsafe-swiftshader"]
        )
        page = opened(browser, given.report, width=1400, height=1230)
        saved(picture(page.screenshot()), given.folder / "sweep_answer.png")
        for name, anchor in SECTIONS.items():
            box = page.query_selector(f"section:has(#{anchor})").bounding_box()
            clip = {"x": 0, "y": box["y"] - 12, "width": 1400, "height": box["height"] + 24}
            saved(picture(page.screenshot(full_page=True, clip=clip)), given.folder / f"{name}.png")
        dark = opened(browser, given.report, width=1000, height=1000, scheme="dark").screenshot()
        phone = opened(browser, given.report, width=400, height=1000).screenshot()
        saved(beside_each_other(picture(dark), picture(phone)), given.folder / "sweep_dark_and_phone.png")
        browser.close()


if __name__ == "__main__":
    main()
