"""The pages of the documentation, and the code that stands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
README, CHINESE = REPOSITORY / "README.md", REPOSITORY / "README.zh-CN.md"
PAGES = sorted(
    [README, CHINESE, *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "experiments").rglob("README.md")]
)
RUN_WHOLE = {"docs/contributing.md", "docs/own_data.md"}  # whose files are written and commands run: test_examples.py
_FENCE = re.compile(r"^(`{3,})(\w*)([^\n]*)\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
_MODULE = re.compile(r"(?:^|\s)-m rag_lightning\.(\w+(?:\.\w+)*)(.*)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what stands behind that, the code, and the line on which it begins."""

    language: str
    rest: str
    code: str
    line: int

    @property
    def title(self) -> str | None:
        found = re.search(r'title="([^"]+)"', self.rest)
        return found[1] if found else None


@dataclass(frozen=True)
class Typed:
    """``python -m rag_lightning.MODULE WORDS`` as a shell would hand it on."""

    module: str
    words: tuple[str, ...]


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield Block(found[2], found[3], found[4], text.count("\n", 0, found.start()) + 1)


def shell_lines(code: str) -> Iterator[str]:
    """The command lines of a block, with continued ones joined, variables filled in and remarks left out."""
    variables: dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", " ", code).splitlines():
        line = re.sub(r"(^|\s)#(\s.*)?$", "", line).strip()
        line = re.sub(r"\$(\w+)", lambda found: variables.get(found[1], found[0]), line)
        if found := re.fullmatch(r'([A-Z]\w*)="(.*)"', line):
            variables[found[1]] = found[2]
        elif line:
            yield line


def typed(line: str) -> Typed | None:
    """The command of ours in a line; None if there is none, or if it is cut short with an ellipsis."""
    found = _MODULE.search(line)
    if found is None or "…" in line:
        return None
    behind = re.split(r"\s[|<>]\s", found[2])[0]  # pipes and files are the shell's
    return Typed(found[1], tuple(shlex.split(behind)))


def commands(page: Path) -> list[tuple[int, Typed]]:
    """Line of the block and command, for all bash blocks of a page."""
    found = []
    for block in blocks(page):
        if block.language == "bash":
            found += [(block.line, each) for line in shell_lines(block.code) if (each := typed(line)) is not None]
    return found
