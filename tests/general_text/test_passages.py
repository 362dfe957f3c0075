"""Running text as passages."""

from pathlib import Path
from typing import Any

import pytest

from rag_lightning.config.compose import compose
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.data.options import DataConfig
from rag_lightning.errors import UserError
from rag_lightning.general_text.passages import general_passages, passages


def config(*overrides: str) -> DataConfig:
    plain: dict[str, Any] = to_plain(compose("train", ["task=ner", *overrides]))
    return parse(DataConfig, plain["general_text"])


def test_whole_sentences_up_to_so_many_words() -> None:
    text = "One two three four. Five six seven! Eight nine ten eleven twelve? Thirteen."
    assert list(passages(text, 7)) == ["One two three four. Five six seven!", "Eight nine ten eleven twelve? Thirteen."]


def test_a_sentence_that_is_too_long_is_cut() -> None:
    assert list(passages("a b c d e f g h i j.", 4)) == ["a b c d", "e f g h"]  # two words are left: no passage


def test_chinese_sentences_have_no_spaces() -> None:
    text = "今天天气很好我们去公园散步。明天可能会下雨所以要带伞。"
    assert list(passages(text, 7)) == ["今天天气很好我们去公园散步。", "明天可能会下雨所以要带伞。"]
    assert max(map(len, passages("很" * 100, 10))) == 20


def test_the_sample_is_read_by_split_in_an_order_of_its_own() -> None:
    sample = config()
    train = general_passages(sample, "train", words=40, limit=None, seed=0)
    held_out = general_passages(sample, "validation", words=40, limit=None, seed=0)
    assert len(train) > 400 and len(held_out) > 50
    assert not set(train) & set(held_out)
    assert all(4 <= len(passage.split()) <= 40 for passage in train)
    assert train[:20] == general_passages(sample, "train", words=40, limit=20, seed=0)
    assert train != general_passages(sample, "train", words=40, limit=None, seed=1)


def test_a_folder_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("A man walked home. It was late.\n\nThe rain had stopped at noon.\n" * 1)
    whole = ["general_text.split.validation=0", "general_text.split.test=0"]
    own = config("data@general_text=texts", f"general_text.path={tmp_path}", *whole)
    found = general_passages(own, "train", words=40, limit=None, seed=0)
    assert sorted(found) == ["A man walked home. It was late.", "The rain had stopped at noon."]
    with pytest.raises(UserError, match="no passage .* for validation"):
        general_passages(own, "validation", words=40, limit=None, seed=0)
