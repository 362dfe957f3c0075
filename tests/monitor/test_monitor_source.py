"""Files that grow, are cut off and replaced: every line once, in order."""

import os
from pathlib import Path

import pytest

from rag_lightning.errors import UserError
from rag_lightning.monitor import source as sources
from rag_lightning.monitor.lines import LONGEST
from rag_lightning.monitor.source import FileSource, Position, Source, open_source


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "news.txt"


def opened(path: Path, told: list[str], position: Position | None = None, follow: bool = True) -> Source:
    return open_source(str(path), position, follow=follow, tell=told.append)


def add(path: Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def every(source: Source, limit: int = 100) -> list[str]:
    found = []
    while lines := source.read(limit):
        found += [line.decode() for line in lines]
    return found


def test_a_file_grows_and_a_half_line_waits(path: Path, told: list[str]) -> None:
    add(path, "one\ntwo\nthr")
    source = opened(path, told)
    assert source.read(1) == [b"one"] and every(source) == ["two"]
    add(path, "ee")
    assert every(source) == []
    add(path, "\nfour\n")
    assert every(source) == ["three", "four"]
    assert told == [] and not source.ended
    source.close()


def test_the_position_goes_on_where_it_was(path: Path, told: list[str]) -> None:
    add(path, "one\ntwo\nthr")
    source = opened(path, told)
    source.read(1)
    position = source.position
    source.close()
    add(path, "ee\n")
    again = opened(path, told, position, follow=False)
    assert every(again) == ["two", "three"] and again.ended and told == []
    again.close()


@pytest.mark.parametrize("anew", ["new\n", "a much longer first line than before\nand more\nand more\n"])
@pytest.mark.parametrize("while_running", [True, False])
def test_a_file_that_is_written_anew_is_read_from_its_beginning(
    path: Path, told: list[str], anew: str, while_running: bool
) -> None:
    add(path, "one\ntwo\nthree\n")
    source = opened(path, told)
    assert len(every(source)) == 3
    if not while_running:
        position = source.position
        source.close()
    path.write_text(anew)
    if not while_running:
        source = opened(path, told, position)
    assert every(source) == anew.splitlines()
    assert len(told) == 1 and "from its beginning" in told[0]
    source.close()


@pytest.mark.parametrize("while_running", [True, False])
def test_a_renamed_file_is_read_to_its_end_before_the_new_one(path: Path, told: list[str], while_running: bool) -> None:
    add(path, "one\ntwo\n")
    source = opened(path, told)
    assert every(source) == ["one", "two"]
    position = source.position
    if not while_running:
        source.close()
    add(path, "three\nhalf")
    path.rename(path.with_name("news.txt.1"))
    add(path, "four\n")
    if not while_running:
        source = opened(path, told, position)
    assert every(source) == ["three", "half", "four"]
    assert any("was replaced" in sentence for sentence in told)
    after = source.position
    source.close()
    assert after is not None and after.offset == 5


def test_a_renamed_file_of_which_nothing_was_read_is_read_first(path: Path, told: list[str]) -> None:
    path.touch()
    source = opened(path, told)
    assert every(source) == []
    position = source.position
    source.close()
    add(path, "one\ntwo\n")
    path.rename(path.with_name("news.txt.1"))
    add(path, "three\n")
    again = opened(path, told, position)
    assert every(again) == ["one", "two", "three"]
    again.close()


def test_a_file_that_is_gone_is_waited_for(path: Path, told: list[str]) -> None:
    source = opened(path, told)
    assert every(source) == [] and source.position is None
    add(path, "one\n")
    assert every(source) == ["one"]
    path.unlink()
    assert every(source) == []
    add(path, "two\n")
    assert every(source) == ["two"]
    assert len(told) == 2 and "waiting for it" in told[0]
    source.close()


def test_a_lost_file_is_told(path: Path, told: list[str]) -> None:
    add(path, "one\n")
    source = opened(path, told)
    every(source)
    position = source.position
    source.close()
    path.unlink()
    path.with_name("other.txt").write_text("x\n")  # may take the inode
    add(path, "two\n")
    again = opened(path, told, position)
    assert every(again) == ["two"]
    assert "lost to the monitor" in told[0]
    again.close()


def test_a_file_saved_by_renaming_goes_on(path: Path, told: list[str]) -> None:
    """As editors and copies from a backup do it."""
    add(path, "one\ntwo\n")
    source = opened(path, told)
    every(source)
    beside = path.with_name("beside")
    beside.write_text("one\ntwo\nthree\n")
    beside.replace(path)
    assert every(source) == ["three"] and told == []
    source.close()


def test_lines_across_chunks_and_overlong_ones(path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK", 7)
    lines = ["a" * n for n in (0, 1, 6, 7, 8, 30, 2)]
    add(path, "\n".join(lines) + "\n")
    source = opened(path, told)
    assert every(source, 2) == lines
    monkeypatch.setattr(sources, "CHUNK", 1 << 16)
    add(path, "b" * (3 * LONGEST))
    assert every(source) == []
    add(path, "\nnext\n")
    long, short = every(source)
    assert len(long) == LONGEST + 1 and short == "next"
    source.close()


def test_a_pipe(told: list[str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    keep = os.open(pipe, os.O_RDWR)
    source = opened(pipe, told, follow=False)
    assert source.read(5) == []
    os.write(keep, b"one\ntwo\nth")
    assert source.read(1) == [b"one"] and source.read(5) == [b"two"]
    os.write(keep, b"ree")
    os.close(keep)
    assert source.read(5) == [b"three"] and source.ended
    source.close()


def test_a_pipe_that_is_followed_outlives_its_writers(told: list[str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = opened(pipe, told, follow=True)
    for said in (b"one", b"two"):
        writer = os.open(pipe, os.O_WRONLY)
        os.write(writer, said + b"\n")
        os.close(writer)
        assert source.read(5) == [said] and source.read(5) == [] and not source.ended
    source.close()


def test_what_is_no_source_is_refused(path: Path, told: list[str]) -> None:
    with pytest.raises(UserError, match="a folder is no source"):
        opened(path.parent, told)
    with pytest.raises(UserError, match="does not exist.*follow=true"):
        opened(path, told, follow=False)


def test_what_is_left_of_a_finished_file_is_known(path: Path, told: list[str]) -> None:
    add(path, "one\nhal")
    source = opened(path, told, follow=False)
    assert isinstance(source, FileSource)
    assert every(source) == ["one"] and source.half_line() == 3
    source.close()
