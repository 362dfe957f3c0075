"""Tokenizers: pre-split words, special strings in a user's text, padding, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_tokenizer import TEXT
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rag_lightning.errors import UserError
from rag_lightning.model.tokenizer import load_tokenizer

WORDS = ["Paris", "is", "[SEP]", "</s>", "<|endoftext|>", "<pad>", "[MASK]", "", "Paris"]


def words_of(tokenizer: PreTrainedTokenizerFast, words: list[str]) -> list[str]:
    return tokenizer(words, is_split_into_words=True, add_special_tokens=False).tokens()


def save(folder: Path, backend: Tokenizer, **special: str) -> Path:
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return folder


@pytest.mark.parametrize("name", ["bert-base-cased-tokenizer", "gpt2-tokenizer", "t5-small-tokenizer"])
def test_real_tokenizers(name: str, shared: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(shared / "models" / name)
    encoded = tokenizer(WORDS, is_split_into_words=True, add_special_tokens=False)
    assert not set(encoded["input_ids"]) & (set(tokenizer.all_special_ids) - {tokenizer.unk_token_id})
    assert set(encoded.word_ids()) == set(range(len(WORDS))) - {7}
    assert tokenizer.pad_token_id is not None
    pieces = encoded.tokens()
    assert pieces[0] == pieces[-1]  # the first word is no other token than the last
    plain = tokenizer(" ".join(TEXT[0].split()), add_special_tokens=False).tokens()
    assert plain == words_of(tokenizer, TEXT[0].split())
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert words_of(load_tokenizer(tmp_path), WORDS) == pieces


def test_special_strings_are_kept_when_asked(shared: Path) -> None:
    folder = shared / "models" / "bert-base-cased-tokenizer"
    tokenizer = load_tokenizer(folder, split_special_tokens=False)
    assert tokenizer.mask_token_id in tokenizer("in [MASK] .")["input_ids"]
    blind = load_tokenizer(folder)
    assert blind.mask_token_id not in blind("in [MASK] .")["input_ids"]
    assert blind.mask_token_id in blind("in [MASK] .", split_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("split_first", [False, True])
def test_byte_level_words_keep_their_space(split_first: bool, tmp_path: Path) -> None:
    """GPT-2's kind of vocabulary, and Llama 3's, which splits with a pattern before it."""
    backend = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split_first)
    pattern = pre_tokenizers.Split(Regex(r" ?\w+| ?[^\s\w]+"), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([pattern, level]) if split_first else level
    backend.train_from_iterator(
        TEXT * 3, trainers.BpeTrainer(vocab_size=400, special_tokens=["<|end|>"], show_progress=False)
    )
    folder = save(tmp_path, backend, eos_token="<|end|>")
    tokenizer = load_tokenizer(folder)
    assert words_of(tokenizer, TEXT[0].split()) == tokenizer(TEXT[0], add_special_tokens=False).tokens()
    assert words_of(tokenizer, ["Paris"])[0].startswith("\u0120")
    assert words_of(tokenizer, ["Paris", "Paris"]) == words_of(tokenizer, ["Paris"]) * 2
    assert tokenizer.pad_token == "<|end|>"
    assert "<|end|>" not in words_of(tokenizer, ["<|end|>"])
    tokenizer.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "config.json").write_text("{}")
    reloaded = load_tokenizer(tmp_path / "saved")
    assert words_of(reloaded, TEXT[0].split()) == words_of(tokenizer, TEXT[0].split())


def test_unigram_vocabularies_cannot_spell_special_tokens(tmp_path: Path) -> None:
    pieces = [("<unk>", 0.0), ("<pad>", 0.0), ("</s>", 0.0)] + [(each, -3.0) for each in "\u2581</spad>"]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    folder = save(tmp_path, backend, eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
    tokenizer = load_tokenizer(folder)
    encoded = tokenizer(["a", "</s>", "<pad>"], is_split_into_words=True)
    assert not {1, 2} & set(encoded["input_ids"])
    assert set(encoded.word_ids()) == {0, 1, 2}


def test_no_tokenizer(own_copy: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="no tokenizer in this folder.*tokenizer.json.*vocab.json\\+merges.txt"):
        load_tokenizer(own_copy("tokenizer.json"))


def test_broken_tokenizer(own_copy: Callable[..., Path]) -> None:
    folder = own_copy()
    (folder / "tokenizer.json").write_text('{"version": "1.0"')
    with pytest.raises(UserError, match="cannot be loaded"):
        load_tokenizer(folder)


def test_slow_only_tokenizer(own_copy: Callable[..., Path]) -> None:
    folder = own_copy("tokenizer.json", "tokenizer_config.json")
    (folder / "vocab.json").write_text(json.dumps({"<unk>": 0, "<pad>": 1, "a": 2, "b": 3, "|": 4}))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CTRLTokenizer"}))
    with pytest.raises(UserError, match="CTRLTokenizer exists only as a slow tokenizer.*save_pretrained"):
        load_tokenizer(folder)


def test_tokenizer_of_another_model(own_copy: Callable[..., Path]) -> None:
    folder = own_copy()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 20}))
    with pytest.raises(UserError, match="entries and the model only 20"):
        load_tokenizer(folder)
