"""What the site is made of: the repository's own pages where they lie, and a reference made from its code and conf/.

Pages keep their places (README.md is the home page), so that links which work in the repository work here. A new page
in docs/, a new study or a new group needs no entry: what no section names is put at the end of one.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(HERE), str(REPOSITORY)]

from configuration import configuration_pages  # noqa: E402
from python_reference import python_pages  # noqa: E402

RESULTS = "experiments/index.md"
PICTURES = {".png", ".svg", ".jpg"}
# Pages in the order in which they are best read; those that are not there are left out.
SECTIONS = {
    "Concepts": ["concepts", "guidance", "templates", "tuning", "probes", "runs", "architecture"],
    "How to": [
        "own_data",
        "data",
        "rules",
        "sweeps",
        "cheap_trials",
        "reading_a_sweep",
        "choose_retention",
        "retention",
        "export",
        "serving",
        "monitoring",
    ],  # fmt: skip
}
ELSEWHERE = {"contributing"}
TITLES = {
    "own_data": "Your own data", "data": "Data formats", "rules": "Your first rules", "sweeps": "Your first sweep",
    "cheap_trials": "Cheap trials", "reading_a_sweep": "Read a sweep", "choose_retention": "Choose a retention method",
    "retention": "Retention methods", "export": "Export", "serving": "Serve", "monitoring": "Watch a stream",
    "concepts": "Overview", "guidance": "Guidance", "templates": "Templates", "tuning": "What learns",
    "probes": "What was kept", "runs": "Runs", "architecture": "Architecture",
}  # fmt: skip


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's pages and the generated ones, and make the navigation."""
    for path in (REPOSITORY / "README.md", REPOSITORY / "README.zh-CN.md", *_beneath("docs"), *_beneath("experiments")):
        name = path.relative_to(REPOSITORY).as_posix()
        files.append(File.generated(config, "index.md" if name == "README.md" else name, abs_src_path=str(path)))
    generated = {RESULTS: results_page(), **configuration_pages(), **python_pages(REPOSITORY / "rag_lightning")}
    for name, text in generated.items():
        files.append(File.generated(config, name, content=text))
    config.nav = navigation(generated)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to the README lead to the home page; single files of the repository that are no pages are named only."""

    def mended(found: re.Match[str]) -> str:
        text, target = found[1], found[2]
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        source = Path(page.file.abs_src_path).parent if page.file.abs_src_path else REPOSITORY
        path = (source / target.partition("#")[0]).resolve()
        if path == REPOSITORY / "README.md":
            return f"[{text}]({'../' * page.file.src_uri.count('/')}index.md)"
        if path.exists() and REPOSITORY in path.parents and path.suffix not in {".md", *PICTURES}:
            return text
        return found[0]

    return re.sub(r"(?<!!)\[([^\]\n]+)\]\(([^)\s]+)\)", mended, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Sphinx's roles in docstrings, which Markdown does not know, as the names that they mean."""
    return re.sub(r":(?:mod|func|class|meth|data|attr|exc):<code>~?(?:[\w.]+\.)?(\w+)</code>", r"<code>\1</code>", html)


def navigation(generated: Iterable[str]) -> list[Any]:
    """The site's navigation: sections in order, with all pages that there are."""
    pages = {path.stem for path in (REPOSITORY / "docs").glob("*.md")}
    named = {name for names in SECTIONS.values() for name in names} | ELSEWHERE
    sections: list[Any] = [{"Home": [{"Home": "index.md"}, {"中文": "README.zh-CN.md"}]}]
    for section, names in SECTIONS.items():
        rest = sorted(pages - named) if section == "How to" else []
        listed = [name for name in [*names, *rest] if name in pages]
        sections.append({section: [{TITLES.get(n, _title(f"docs/{n}.md")): f"docs/{n}.md"} for n in listed]})
    tasks = sorted((REPOSITORY / "docs" / "tasks").glob("*.md"))
    sections.append({"Tasks": [{path.stem: f"docs/tasks/{path.name}"} for path in tasks]})
    sections.append({"Reference": _reference(generated)})
    sections.append({"Results": [RESULTS, *({_title(name): name} for name in _studies())]})
    return [*sections, {"Contributing": "docs/contributing.md"}]


def _reference(generated: Iterable[str]) -> list[Any]:
    def listed(folder: str) -> list[Any]:
        names = [name for name in generated if name.startswith(folder) and not name.endswith("/index.md")]
        return [f"{folder}index.md", *({Path(name).stem: name} for name in names)]

    return [
        {"Commands": listed("reference/commands/")},
        {"Groups of settings": listed("reference/conf/")},
        {"Python": listed("reference/python/")},
    ]


def results_page() -> str:
    """All studies, each with how it begins and its first picture."""
    parts = [
        "# Results",
        "What was measured, with the command that does it again; also what was aimed at and missed.",
        "",
    ]
    for name in _studies():
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        place = name.removeprefix("experiments/")
        words = next(part for part in text.split("\n\n")[1:] if not part.startswith(("```", "#", "|", "!")))
        begins = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", words).rstrip(":")  # its links are not ours
        parts += [f"## [{_title(name)}]({place})", "", begins, ""]
        if picture := re.search(r"!\[([^\]]*)\]\(([^)]+)\)", text):
            parts += [f"[![{picture[1]}]({Path(place).parent.as_posix()}/{picture[2]}){{ width=360 }}]({place})", ""]
    return "\n".join(parts)


def _studies() -> list[str]:
    readmes = (REPOSITORY / "experiments").rglob("README.md")
    return sorted(path.relative_to(REPOSITORY).as_posix() for path in readmes)


def _title(name: str) -> str:
    found = re.search(r"^# (.+)$", (REPOSITORY / name).read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].partition(":")[0] if found else Path(name).stem


def _beneath(folder: str) -> list[Path]:
    """Pages and pictures; of the site's own folder nothing, which is MkDocs' part."""
    paths = (path for path in (REPOSITORY / folder).rglob("*") if path.suffix in {".md", *PICTURES})
    return sorted(path for path in paths if HERE not in path.parents)
