"""Pretraining on running text: what is masked, what is learnt, what is counted, what is refused."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_families import tiny_config
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedTokenizerFast

from rag_lightning.encoding.loader import pad_columns
from rag_lightning.encoding.packing import NO_WORD
from rag_lightning.encoding.render import render_plain
from rag_lightning.encoding.running import RunningWords
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.rules.ruleset import RuleSet
from rag_lightning.tasks.outputs.guessed_tokens import assemble, decode, loss
from rag_lightning.tasks.outputs.masked_tokens import (
    MASKED_TOKENS,
    NO_PLACE,
    Masking,
    corrupted,
    draw_words,
    equip,
    evaluated_places,
)
from rag_lightning.tasks.outputs.next_tokens import NEXT_TOKENS
from rag_lightning.tasks.pretraining import TASK, PretrainingOptions, evaluate, fit
from rag_lightning.tasks.task import EncodingContext
from rag_lightning.template.options import TemplateConfig

TEXTS = [
    "Please renew my books at the library in Wolverhampton.", "Is the hall free on Friday, and what does it cost?",
    "wifi", "The unrenewable catalogue lists every room, loan, fee and reader of the last hundred years. " * 3,
]  # fmt: skip
RECORDS = [{"id": str(i), "text": text, "document": f"a:{i // 2}"} for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def words(tiny_model: Path) -> WordEncoder:
    return WordEncoder(load_tokenizer(tiny_model), max_length=24)


def context(words: WordEncoder, **options: Any) -> EncodingContext:
    return EncodingContext(words, (), PretrainingOptions(**options), 0.25, render_plain)


def batch_of(kind: Any, words: WordEncoder, records: list[dict[str, Any]] = RECORDS, **options: Any) -> dict[str, Any]:
    columns = kind.encode(records, 0, context(words, **options))
    return pad_columns(columns, {**kind.padding, "input_ids": words.tokenizer.pad_token_id})


def masked_network(words: WordEncoder) -> Any:
    torch.manual_seed(0)
    sizes = {"vocab_size": len(words.tokenizer), "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return AutoModelForMaskedLM.from_config(tiny_config("bert", **sizes)).eval()


def number(value: torch.Tensor) -> float:
    return float(value.detach())


# --- masks ------------------------------------------------------------------------------------------------------


def test_an_evaluation_masks_whole_words_that_the_text_alone_decides(words: WordEncoder) -> None:
    columns = MASKED_TOKENS.encode(RECORDS, 0, context(words))
    again = MASKED_TOKENS.encode([dict(record) for record in RECORDS], 7, context(words))
    assert columns["masked"] == again["masked"] and columns["n_labels"] == [len(row) for row in columns["masked"]]
    for ids, of_words, masked in zip(columns["input_ids"], columns["words"], columns["masked"], strict=True):
        assert masked
        chosen = {of_words[place] for place in masked}
        assert NO_WORD not in chosen and masked == [i for i, word in enumerate(of_words) if word in chosen]
        assert not {ids[place] for place in masked} & set(words.tokenizer.all_special_ids)
    others = [
        {**RECORDS[0], "text": f"Please renew my {name} at the library."} for name in ("bills", "loans", "cards", "fee")
    ]
    masked = [MASKED_TOKENS.encode([other], 0, context(words))["masked"][0] for other in others]
    assert any(one != masked[0] for one in masked)


def test_the_share_of_masked_words_is_the_probability() -> None:
    import numpy as np

    words = np.arange(4000) // 2
    places = evaluated_places(np.arange(4000), words, 0.15)
    assert 0.13 < len(places) / 4000 < 0.17
    assert len(evaluated_places(np.array([5]), np.array([0]), 0.15)) == 1
    assert len(evaluated_places(np.array([5, 6]), np.array([NO_WORD, NO_WORD]), 0.15)) == 0


def drawn(seed: int, batch: dict[str, Any], probability: float = 0.15, hits: float = 0.5) -> torch.Tensor:
    torch.manual_seed(seed)
    return draw_words(batch, Masking(probability, hits, 4, torch.arange(5, 100)))


def test_training_masks_other_whole_words_each_time_as_torch_is_seeded(words: WordEncoder) -> None:
    batch = batch_of(MASKED_TOKENS, words)
    first, again, other = (drawn(seed, batch) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    share = torch.stack([drawn(seed, batch) for seed in range(400)]).float().mean(0)
    real = batch["words"] != NO_WORD
    assert (share[~real] == 0).all()
    assert 0.12 < share[real].mean() < 0.18 and share[real].min() > 0.05
    for row, of_words in enumerate(batch["words"]):
        for word in of_words.unique():
            if word != NO_WORD:
                assert first[row][of_words == word].unique().numel() == 1


def test_single_tokens_can_be_masked(words: WordEncoder) -> None:
    whole, single = batch_of(MASKED_TOKENS, words), batch_of(MASKED_TOKENS, words, whole_words=False)
    assert (single["words"].max(dim=1).values > whole["words"].max(dim=1).values).any()
    real = single["words"] != NO_WORD
    assert torch.equal(real, whole["words"] != NO_WORD)
    assert all(row[row != NO_WORD].unique().numel() == (row != NO_WORD).sum() for row in single["words"])


def test_words_on_which_rules_speak_are_masked_more_often_in_training_only(words: WordEncoder) -> None:
    # The hit covers a part of a word, which is masked whole.
    start = TEXTS[0].index("library")
    hit = [{**RECORDS[0], "hits": [[start, start + 2, "PLACE", "places", 0, False]]}]
    batch, plain = batch_of(MASKED_TOKENS, words, hit), batch_of(MASKED_TOKENS, words, [RECORDS[0]])
    assert "hits" not in plain and torch.equal(batch["masked"], plain["masked"])
    marked = batch["hits"] == 1
    assert words.tokenizer.decode(batch["input_ids"][marked]).replace(" ", "") == "library"
    share = torch.stack([drawn(seed, batch, hits=0.6) for seed in range(400)]).float().mean(0)
    assert (share[marked] > 0.5).all() and share[(batch["words"] != NO_WORD) & ~marked].mean() < 0.2
    assert not drawn(0, batch, hits=0.0)[marked].any()


def test_most_chosen_tokens_become_the_mask_some_another_some_none() -> None:
    torch.manual_seed(0)
    ids, chosen = torch.full((100, 400), 7), torch.zeros(100, 400, dtype=torch.bool)
    chosen[:, :200] = True
    shown = corrupted(ids, chosen, Masking(0.15, 0.5, 4, torch.arange(10, 1000)))
    assert (shown[~chosen] == 7).all()
    found = shown[chosen]
    shares = [(found == 4).float().mean(), (found >= 10).float().mean(), (found == 7).float().mean()]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    assert found[found >= 10].unique().numel() > 800


def test_a_copy_that_keeps_devices_in_step_learns_nothing(words: WordEncoder) -> None:
    for kind, network in ((MASKED_TOKENS, masked_network(words)), (NEXT_TOKENS, causal_network(words))):
        batch = batch_of(kind, words)
        batch["labels"] = torch.full_like(batch["labels"], -100)
        own = equip(kind, network, context(words)) if kind is MASKED_TOKENS else kind
        network.train()
        value = own.loss(own.forward(network, batch), batch)
        value.backward()
        assert value == 0


# --- what is learnt ---------------------------------------------------------------------------------------------


def test_masked_loss_is_that_of_the_library(words: WordEncoder) -> None:
    network = masked_network(words)
    kind = equip(MASKED_TOKENS, network, context(words))
    batch = batch_of(kind, words)
    with torch.no_grad():
        guesses = kind.forward(network, batch)
    shown, labels = batch["input_ids"].clone(), torch.full_like(batch["input_ids"], -100)
    for row, places in enumerate(batch["masked"]):
        places = places[places != NO_PLACE]
        labels[row, places] = shown[row, places]
        shown[row, places] = words.tokenizer.mask_token_id
    expected = network(input_ids=shown, attention_mask=batch["attention_mask"], labels=labels).loss.detach()
    count = int(batch["n_labels"].sum())
    assert len(guesses.losses) == count == int((labels != -100).sum())
    assert number(loss(guesses, batch)) == pytest.approx(number(expected) * count, rel=1e-5)


def test_in_training_the_loss_is_a_mean_whatever_was_drawn(words: WordEncoder) -> None:
    network = masked_network(words).train()
    kind = equip(MASKED_TOKENS, network, context(words))
    batch = batch_of(kind, words)
    torch.manual_seed(3)
    guesses = kind.forward(network, batch)
    normalised = loss(guesses, batch) / batch["n_labels"].sum()
    assert number(normalised) == pytest.approx(number(guesses.losses.mean()), rel=1e-6)
    assert guesses.right is None and len(guesses.losses) != int(batch["n_labels"].sum())
    normalised.backward()
    assert network.get_input_embeddings().weight.grad.abs().sum() > 0


def causal_network(words: WordEncoder) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(tiny_config("gpt2", vocab_size=len(words.tokenizer))).eval()


def test_causal_loss_is_that_of_the_library_and_takes_in_every_token(words: WordEncoder) -> None:
    network = causal_network(words)
    batch = batch_of(NEXT_TOKENS, words)
    guesses = NEXT_TOKENS.forward(network, batch)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    expected = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss
    count = int(batch["attention_mask"].sum()) - len(labels)
    assert len(guesses.losses) == count == int(batch["n_labels"].sum())
    assert number(loss(guesses, batch)) == pytest.approx(number(expected) * count, rel=1e-5)
    assert number(loss(NEXT_TOKENS.forward(network.train(), batch), batch)) > 0


def test_a_few_rows_at_a_time_give_the_same(words: WordEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = causal_network(words), batch_of(NEXT_TOKENS, words)
    whole = NEXT_TOKENS.forward(network, batch)
    monkeypatch.setattr("rag_lightning.tasks.outputs.next_tokens.EVALUATED_TOKENS", 30)
    parts = NEXT_TOKENS.forward(network, batch)
    assert whole.right is not None and parts.right is not None
    torch.testing.assert_close(parts.losses, whole.losses)
    for one, other in ((parts.right, whole.right), (parts.rows, whole.rows), (parts.places, whole.places)):
        assert torch.equal(one, other)


def test_running_text_of_a_decoder_is_read_as_it_stands() -> None:
    bytes_only = Tokenizer(models.BPE())
    bytes_only.pre_tokenizer, bytes_only.decoder = (
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel(),
    )
    bytes_only.train_from_iterator([], trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_only, eos_token="<end>", pad_token="<end>")
    (row,) = NEXT_TOKENS.encode(RECORDS[:3], 0, context(RunningWords(tokenizer, max_length=400)))["input_ids"]
    assert tokenizer.decode(row) == f"{TEXTS[0]}\n{TEXTS[1]}<end>{TEXTS[2]}<end>"
    assert tokenizer.decode(row[:-1])[-4:] == "wifi"


# --- what is counted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [True, False])
@pytest.mark.parametrize("kind", [MASKED_TOKENS, NEXT_TOKENS])
def test_losses_are_counted_for_each_record(words: WordEncoder, kind: Any, pack: bool) -> None:
    network = masked_network(words) if kind is MASKED_TOKENS else causal_network(words)
    own = equip(kind, network, context(words)) if kind is MASKED_TOKENS else kind
    batch = batch_of(kind, words, pack=pack)
    guesses = own.forward(network, batch)
    found = assemble(RECORDS, [decode(guesses, batch)], ())
    assert sum(one["tokens"] for one in found) == len(guesses.losses)
    assert sum(one["loss"] for one in found) == pytest.approx(number(guesses.losses.sum()), rel=1e-5)
    assert sum(one["right"] for one in found) == int(guesses.right.sum())
    if kind is NEXT_TOKENS and not pack:  # all but the first token of each document's windows are guessed
        expected = [len(words.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in TEXTS]
        assert abs(found[0]["tokens"] - expected[0]) <= 1
    one_by_one = [
        decode(own.forward(network, part), part)
        for part in ({name: each[row : row + 1] for name, each in batch.items()} for row in range(len(batch["labels"])))
    ]
    for one, other in zip(found, assemble(RECORDS, one_by_one, ()), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    with pytest.raises(RuntimeError, match="not shown exactly once"):
        assemble(RECORDS, one_by_one[:-1] + one_by_one[:1], ())


def test_scores() -> None:
    predictions = [{"tokens": 2, "loss": 2 * math.log(8), "right": 1}, {"tokens": 2, "loss": 0.0, "right": 2}]
    found = evaluate("test", RECORDS[:2], predictions, ())
    assert found.metrics == pytest.approx({"perplexity": math.sqrt(8), "bits_per_token": 1.5, "accuracy": 0.75})
    assert found.predictions[0]["perplexity"] == pytest.approx(8) and found.headline == "perplexity"
    nothing = evaluate("test", RECORDS[:1], [{"tokens": 0, "loss": 0.0, "right": 0}], ())
    assert nothing.predictions == [{"id": "0", "text": TEXTS[0], "tokens": 0}]


def test_the_texts_that_surprise_most_are_shown() -> None:
    predictions = [{"tokens": 10, "loss": value, "right": 0} for value in (1.0, 9.0, 5.0)]
    tables = evaluate("test", RECORDS[:3], [*predictions[:2], {**predictions[2], "tokens": 2}], ()).tables
    assert [row[0] for row in tables[1].rows] == ["1", "0"]


# --- what is refused --------------------------------------------------------------------------------------------


def options(**changes: Any) -> PretrainingOptions:
    return PretrainingOptions(**changes)


def test_the_objective_is_what_the_backbone_was_made_for() -> None:
    for model_type in ("bert", "roberta", "distilbert", "electra", "albert", "mpnet", "deberta-v2", "modernbert"):
        assert fit(TASK, options(), model_type).output is MASKED_TOKENS
    for model_type in ("gpt2", "llama", "qwen2"):
        found = fit(TASK, options(), model_type)
        assert found.output is NEXT_TOKENS and found.pipeline == "text-generation"
    assert "<mask>" in fit(TASK, options(), "roberta").example and "[MASK]" in fit(TASK, options(), "bert").example


@pytest.mark.parametrize(
    ("model_type", "objective", "said"),
    [
        ("t5", "auto", "'t5' has an encoder and a decoder.*BERT.*ModernBERT"),
        ("bart", "masked", "'bart' has an encoder and a decoder"),
        ("bart", "causal", "'bart' has an encoder and a decoder.*GPT-2, Llama-like"),
        ("gpt2", "masked", "'gpt2' has no head that guesses words behind masks.*BERT.*task.objective=auto"),
        ("bert", "causal", "'bert' sees the words behind a place too.*GPT-2, Llama-like, or task.objective=auto"),
    ],
)
def test_backbones_that_cannot_are_refused(model_type: str, objective: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        fit(TASK, options(objective=objective), model_type)


@pytest.mark.parametrize("text", ["{text}", " {text} ", "{tokens}"])
def test_plain_templates_are_fine(text: str, ruleset: Callable[..., RuleSet]) -> None:
    fit(TASK, options(), "bert").check(TemplateConfig(name="mine", text=text), ruleset("renew"))


def test_templates_are_refused_and_rules_of_decoders(ruleset: Callable[..., RuleSet]) -> None:
    with pytest.raises(UserError, match="reads running text as it stands.*Choose template=none.*task.mask_hits"):
        fit(TASK, options(), "bert").check(TemplateConfig(name="mine", text="{text} In short: {hints}"), ruleset())
    with pytest.raises(UserError, match="guesses the next word masks none"):
        fit(TASK, options(), "gpt2").check(TemplateConfig(name="mine", text="{text}"), ruleset("renew"))
    fit(TASK, options(), "gpt2").check(TemplateConfig(name="mine", text="{text}"), ruleset())


@pytest.fixture
def ruleset(tmp_path: Path) -> Callable[..., RuleSet]:
    """A rule set with a rule for each given word."""
    from rag_lightning.rules.load import load_rules

    def build(*terms: str) -> RuleSet:
        rules = {term: {"label": "x", "pattern": term} for term in terms}
        return load_rules({"rules": rules} if rules else {}, None)

    return build


def test_a_tokenizer_without_mask_is_refused(words: WordEncoder, tiny_model: Path) -> None:
    bare = WordEncoder(load_tokenizer(tiny_model), max_length=24)
    bare.tokenizer.mask_token = None
    with pytest.raises(UserError, match="has no mask"):
        equip(MASKED_TOKENS, None, context(bare))  # type: ignore[arg-type]
    assert replace(MASKED_TOKENS).forward is MASKED_TOKENS.forward
