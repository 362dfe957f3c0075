"""The site is built without a warning (a broken link is one), asks nobody for anything, and leaves nothing out."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pages import PAGES, README, REPOSITORY, name_of

from rag_lightning.config.paths import conf_dir
from rag_lightning.config.schema import TrainConfig

pytestmark = pytest.mark.slow
# Every connection is refused, as on a machine without network.
_WITHOUT_NETWORK = """
import socket, sys
def refused(*_, **__): raise OSError("the network was asked")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refused
from mkdocs.__main__ import cli
cli()
"""


def build(config: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    words = ["build", "--strict", "--config-file", str(config), "--site-dir", str(site)]
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT_NETWORK, *words], capture_output=True, text=True, timeout=600,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = build(REPOSITORY / "docs" / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_every_page_of_the_repository_is_there(site: Path) -> None:
    for page in PAGES:
        name = "index.html" if page == README else f"{name_of(page).removesuffix('.md')}.html"
        assert any((site / each).is_file() for each in (name, name.replace("README.html", "index.html"))), name


def test_nothing_is_asked_of_another_server(site: Path) -> None:
    for page in site.rglob("*.html"):
        tags = re.findall(r"<(?:script|img|iframe|source|link)\b[^>]*>", text_of(page))
        asking = [tag for tag in tags if re.search(r"(?:src|href)=[\"']?(?:https?:)?//", tag)]
        assert not [tag for tag in asking if "canonical" not in tag], page
    styles = "".join(text_of(path) for path in site.rglob("*.css"))
    assert not re.search(r"url\([\"']?https?:|@import [\"']?https?:", styles)


def test_every_option_and_every_key_is_in_the_reference(site: Path) -> None:
    for path in conf_dir().rglob("*.yaml"):
        group, name = path.parent.relative_to(conf_dir()).as_posix(), path.stem
        if group == "." or name.startswith("_") or group == "hydra/help":
            continue
        html = text_of(site / "reference" / "conf" / f"{group.replace('/', '_')}.html")
        anchor = "option-" + re.sub(r"\W+", "-", name)
        assert re.search(rf"""id=["']?{anchor}["'\s>]""", html), path
    train = text_of(site / "reference" / "commands" / "train.html")
    for key, field in TrainConfig.model_fields["batching"].annotation.model_fields.items():  # type: ignore[union-attr]
        assert f"batching.{key}" in train and (field.description or "")[:20] in train
    retention = text_of(site / "reference" / "conf" / "retention.html")
    for name in yaml.safe_load((conf_dir() / "retention" / "distill.yaml").read_text("utf-8"))["distill"]:
        assert f"retention.distill.{name}" in retention


def test_docstrings_are_in_the_reference(site: Path) -> None:
    html = text_of(site / "reference" / "python" / "retention.html")
    assert "l2sp_penalty" in html and "squared distance" in html
    assert ":func:" not in html and ":class:" not in html


def test_a_broken_link_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    for part in ("experiments", "conf", "rag_lightning", "README.md", "README.zh-CN.md"):
        (tmp_path / part).symlink_to(REPOSITORY / part)
    shutil.copytree(REPOSITORY / "docs", tmp_path / "docs")
    page = tmp_path / "docs" / "runs.md"
    page.write_text(text_of(page) + "\n[gone](no_such_page.md)\n", encoding="utf-8")
    done = build(tmp_path / "docs" / "mkdocs.yml", tmp_path / "site")
    assert done.returncode != 0 and "no_such_page.md" in done.stdout + done.stderr
