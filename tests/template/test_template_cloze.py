"""Cloze: answers at the mask, by real networks with a masked-language head."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from template_example import CLASSIFICATION, build_render, variant
from tiny_families import tiny_config
from transformers import AutoModel, AutoModelForMaskedLM, BertConfig, BertForMaskedLM, GPT2Config

from rag_lightning.encoding.loader import pad_columns
from rag_lightning.encoding.render import MASK, Segment
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.model.interface import INTERFACES, supports
from rag_lightning.model.resolve import architecture
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.tasks.outputs.cloze import (
    HEAD,
    calibrate,
    check_mask_head,
    cloze_output,
    equip_cloze,
    read_at_mask,
)
from rag_lightning.tasks.outputs.sequence_label import SEQUENCE_LABEL
from rag_lightning.tasks.task import EncodingContext
from rag_lightning.template.verbalizer import Verbalizer, make_verbalizer

LABELS = ("positive", "negative")


@pytest.fixture
def context(tiny_model: Path) -> EncodingContext:
    words = WordEncoder(load_tokenizer(tiny_model), 64)
    render, _ = build_render(variant("cloze"), **CLASSIFICATION)
    return EncodingContext(words, LABELS, None, 0.25, render)


@pytest.fixture
def verbalizer(context: EncodingContext) -> Verbalizer:
    return make_verbalizer({"positive": ["The", "She"], "negative": ["It"]}, context.words.encode, None)


def batch_of(context: EncodingContext, kind: Any, texts: list[str], labels: list[str] | None = None) -> Any:
    records = [{"text": text, "hits": []} for text in texts]
    if labels is not None:
        records = [{**record, "label": label} for record, label in zip(records, labels, strict=True)]
    columns = kind.encode(records, 0, context)
    return pad_columns(columns, {**kind.padding, "input_ids": context.words.tokenizer.pad_token_id})


def network_of(folder: Path, context: EncodingContext) -> Any:
    network = AutoModelForMaskedLM.from_pretrained(folder).eval()
    return read_at_mask(network, context.words.tokenizer.mask_token_id, LABELS)


def logits_of(network: Any, batch: Any) -> torch.Tensor:
    return network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


TEXTS = ["A day in Paris .", "It rained and rained and rained .", "No"]


@torch.no_grad()
def test_only_the_mask_is_answered_and_as_the_whole_network_does(tiny_model: Path, context: EncodingContext) -> None:
    batch = batch_of(context, SEQUENCE_LABEL, TEXTS)
    whole = logits_of(AutoModelForMaskedLM.from_pretrained(tiny_model).eval(), batch)
    expected = whole[batch["input_ids"] == context.words.tokenizer.mask_token_id]
    found = logits_of(network_of(tiny_model, context), batch)
    assert found.shape == (3, 1, whole.shape[-1])
    torch.testing.assert_close(found.flatten(0, 1), expected)


@torch.no_grad()
def test_the_answer_is_the_likelier_label(tiny_model: Path, context: EncodingContext, verbalizer: Verbalizer) -> None:
    kind = cloze_output(verbalizer, SEQUENCE_LABEL)
    assert kind.name == HEAD
    batch = batch_of(context, kind, TEXTS, ["positive", "negative", "positive"])
    logits = logits_of(network_of(tiny_model, context), batch)
    log_p = torch.log_softmax(logits[:, 0], dim=-1)
    ids = [context.words.encode([[word]])[0][0] for word in ("The", "She", "It")]
    the, she, it = (log_p[:, each].mean(dim=1) for each in ids)
    expected = torch.softmax(torch.stack([(the + she) / 2, it], dim=1), dim=1)
    torch.testing.assert_close(torch.from_numpy(kind.decode(logits, batch)["probability"]), expected)
    gold = expected[torch.arange(3), torch.tensor([0, 1, 0])]
    torch.testing.assert_close(kind.loss(logits, batch), -gold.log().sum())


def test_calibration_undoes_what_the_model_prefers(
    tiny_model: Path, context: EncodingContext, verbalizer: Verbalizer
) -> None:
    network = network_of(tiny_model, context).train()
    with torch.no_grad():  # a network that likes one word whatever it reads
        network.cls.predictions.bias[context.words.encode([["It"]])[0][0]] += 5.0
    calibrated = calibrate(verbalizer, network, context, SEQUENCE_LABEL)
    assert network.training, "the mode is left as it was"
    network.eval()
    assert calibrated.prior[1] > -0.2 > calibrated.prior[0]
    kind = cloze_output(verbalizer, SEQUENCE_LABEL)
    better = cloze_output(calibrated, SEQUENCE_LABEL)
    batch = batch_of(context, kind, TEXTS)
    with torch.no_grad():
        logits = logits_of(network, batch)
    assert (kind.decode(logits, batch)["probability"][:, 1] > 0.9).all()
    assert (abs(better.decode(logits, batch)["probability"] - 0.5) < 0.2).all()


def test_an_input_without_its_mask_is_a_defect(context: EncodingContext, verbalizer: Verbalizer) -> None:
    kind = cloze_output(verbalizer, SEQUENCE_LABEL)
    for words in (["a"], [MASK, MASK]):
        wrong = EncodingContext(context.words, LABELS, None, 0.25, lambda _, words=words: [Segment(words)])
        with pytest.raises(RuntimeError, match="exactly one mask"):
            kind.encode([{"text": "a"}], 0, wrong)


def test_a_long_text_is_cut_and_the_mask_stays(context: EncodingContext, verbalizer: Verbalizer) -> None:
    kind = cloze_output(verbalizer, SEQUENCE_LABEL)
    (row,) = kind.encode([{"text": "rain " * 300}], 0, context)["input_ids"]
    assert len(row) == 64 and row.count(context.words.tokenizer.mask_token_id) == 1


def test_a_few_steps_learn_and_the_saved_folder_is_a_plain_model(
    tiny_model: Path, context: EncodingContext, verbalizer: Verbalizer, tmp_path: Path
) -> None:
    kind = cloze_output(verbalizer, SEQUENCE_LABEL)
    network = network_of(tiny_model, context).train()
    texts = ["good day", "bad day", "good food", "bad food"]
    batch = batch_of(context, kind, texts, ["positive", "negative"] * 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    losses = []
    torch.manual_seed(0)
    for _ in range(30):
        loss = kind.loss(logits_of(network, batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 < losses[0]
    network.eval().save_pretrained(tmp_path)
    assert dict(architecture(tmp_path).id2label) == dict(enumerate(LABELS))
    again = network_of(tmp_path, context)
    with torch.no_grad():
        torch.testing.assert_close(logits_of(again, batch), logits_of(network, batch))


# --- which backbones can ----------------------------------------------------------------------------------------


def test_a_backbone_without_a_masked_language_head_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    check_mask_head(tiny_model, architecture(tiny_model))
    shutil.copytree(tiny_model, tmp_path / "bare")
    AutoModel.from_pretrained(tiny_model).save_pretrained(tmp_path / "bare")
    with pytest.raises(UserError, match=r"this backbone's weights have none \(no cls\.predictions\.transform"):
        check_mask_head(tmp_path / "bare", architecture(tmp_path / "bare"))


@pytest.mark.parametrize("family", [each for each in INTERFACES if supports(each, HEAD)])
def test_every_family_is_read_at_its_mask(family: str, tmp_path: Path) -> None:
    config = tiny_config(family)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = AutoModelForMaskedLM.from_config(config).eval()
        network.save_pretrained(tmp_path)
        check_mask_head(tmp_path, config)
        input_ids = torch.randint(5, 20, (3, 7))
        input_ids[[0, 1, 2], [1, 4, 2]] = 4
        batch = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
        whole = logits_of(network, batch)[[0, 1, 2], [1, 4, 2]]
        torch.testing.assert_close(logits_of(read_at_mask(network, 4, LABELS), batch)[:, 0], whole)


def test_a_family_without_such_a_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a model of type 'gpt2' does not have"):
        check_mask_head(tmp_path, GPT2Config())


def test_old_names_of_weights_are_understood(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertForMaskedLM(config).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): each.clone()
        for name, each in weights.items()
    }
    save_file(old, file, metadata={"format": "pt"})
    check_mask_head(tmp_path, architecture(tmp_path))


def test_real_backbones(shared: Path) -> None:
    models = shared / "models"
    check_mask_head(models / "bert-tiny-uncased-splade", architecture(models / "bert-tiny-uncased-splade"))
    with pytest.raises(UserError, match="masked-language head"):
        check_mask_head(models / "distilbert-base-cased-3l", architecture(models / "distilbert-base-cased-3l"))


def test_a_real_masked_language_head_answers_without_any_label(shared: Path) -> None:
    folder = shared / "models" / "bert-tiny-uncased-splade"
    words = WordEncoder(load_tokenizer(folder), 128)
    labels = ("sport", "food")
    config = variant("cloze_topic", verbalizer={"sport": ["sports", "football"], "food": ["food", "cooking"]})
    render, _ = build_render(config, **{**CLASSIFICATION, "labels": labels})
    context = EncodingContext(words, labels, None, 0.25, render)
    network = AutoModelForMaskedLM.from_pretrained(folder).eval()
    kind, made = equip_cloze(network, SEQUENCE_LABEL, context)
    assert made.prior.any(), "calibrated"
    texts = ["The striker scored two goals in the match.", "Boil the pasta and add tomato sauce and cheese."]
    batch = batch_of(context, kind, texts)
    with torch.no_grad():
        found = kind.decode(logits_of(network, batch), batch)["probability"]
    assert list(found.argmax(axis=1)) == [0, 1]

    again = AutoModelForMaskedLM.from_pretrained(folder).eval()
    saved, _ = equip_cloze(again, SEQUENCE_LABEL, context, json.loads(json.dumps(made.to_json())))
    with torch.no_grad():
        np.testing.assert_array_equal(saved.decode(logits_of(again, batch), batch)["probability"], found)


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_template_says_whether_the_verbalizer_is_calibrated(
    calibrated: bool, tiny_model: Path, context: EncodingContext
) -> None:
    words = {"positive": ["The"], "negative": ["It"]}
    render, _ = build_render(variant("cloze", verbalizer=words, calibrate=calibrated), **CLASSIFICATION)
    own = EncodingContext(context.words, LABELS, None, 0.25, render)
    _, made = equip_cloze(AutoModelForMaskedLM.from_pretrained(tiny_model).eval(), SEQUENCE_LABEL, own)
    assert made.prior.any() == calibrated
