"""Every probe on every kind of backbone: the pretrained one keeps all, a broken one does not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_families import MODEL_TYPES, tiny_config
from tiny_writing import byte_tokenizer, writing_folder
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel

from rag_lightning.config.compose import compose
from rag_lightning.config.validate import validate_train
from rag_lightning.data.load import content_fingerprint
from rag_lightning.errors import UserError
from rag_lightning.general_text.passages import general_passages
from rag_lightning.model.interface import base_model_of, is_causal, is_seq2seq, supports
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig
from rag_lightning.probe.examples import labelled_content
from rag_lightning.probe.measure import Bench, measure, measure_pretrained, what_was_kept
from rag_lightning.probe.prompts import SAMPLE, joined, read_prompts
from rag_lightning.probe.specimen import Weights, weights_of
from rag_lightning.speed.active_rows import keep_active_rows
from rag_lightning.speed.layer_patch import fuse_layers

BenchOf = Callable[..., Bench]


def family_folder(folder: Path, model_type: str) -> Path:
    """A tiny model of this type with a byte-level tokenizer (some families' classes add entries of their own to it)."""
    tokenizer = byte_tokenizer(model_type)
    tokenizer.add_special_tokens({"mask_token": "<mask>"})
    sizes = {"vocab_size": 640} | ({"n_positions": 140} if model_type == "gpt2" else {})
    config = tiny_config(model_type, max_position_embeddings=140, **sizes)
    kind = AutoModelForCausalLM if is_causal(model_type) else AutoModel
    if supports(model_type, "masked_tokens") and not is_seq2seq(model_type):
        kind = AutoModelForMaskedLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = kind.from_config(config)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def shuffle(network: PreTrainedModel) -> None:
    """The same numbers in other places."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in base_model_of(network).parameters():
            weight.copy_(weight.flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight))


@pytest.mark.slow
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_family_is_measured_or_refused_and_an_untrained_network_has_kept_all(
    model_type: str, tmp_path: Path, bench_of: BenchOf
) -> None:
    causal = is_causal(model_type)
    folder = family_folder(tmp_path, model_type)
    bench = bench_of(folder)
    head = "next_tokens" if causal else "vectors"
    network = load_network(folder, head, (), ModelConfig(name="tiny"), 0)
    state = torch.get_rng_state()
    before = measure_pretrained(bench)
    kept = what_was_kept(bench, before, measure(bench, network))
    assert torch.equal(state, torch.get_rng_state())
    assert {"drift", "similarity", "linear"} <= set(before)
    assert ("language" in before) != any("language" in note for note in kept.notes)
    assert ("prompts" in before) == causal
    assert ("zero_shot" in before) != causal
    for row in kept.rows:
        assert row.after == pytest.approx(row.before, nan_ok=True, abs=1e-6), row
        if row.metric.rpartition("/")[2] in ("cka", "cosine"):
            assert row.after == pytest.approx(1, abs=1e-5), row
        if row.metric.endswith("distance"):
            assert row.after == 0, row

    shuffle(network)
    broken = what_was_kept(bench, before, measure(bench, network))
    after = {row.metric: row.after for row in broken.rows if row.probe == "drift"}
    assert after["cosine"] < 0.9
    assert after["distance"] > 0.1
    layers = broken.layers("cosine")
    assert sorted(layers) == list(range(len(layers))) and len(layers) > 2


def test_drift_shows_the_layer_that_moved(tiny_model: Path, bench_of: BenchOf) -> None:
    bench = bench_of(tiny_model, "probe=drift", "probe.drift.limit=8")
    network = load_network(tiny_model, "token_labels", ("O", "B-X"), ModelConfig(name="tiny"), 0)
    with torch.no_grad():
        network.bert.encoder.layer[1].output.dense.weight.normal_(0, 3, generator=torch.Generator().manual_seed(0))
    before = measure_pretrained(bench)
    kept = what_was_kept(bench, before, measure(bench, network))
    distances = kept.layers("distance")
    assert distances[0] == distances[1] == 0 and distances[2] > 1
    cosines = kept.layers("cosine")
    assert cosines[1] == pytest.approx(1) and cosines[2] < 0.99


def test_perplexity_is_that_of_every_token_behind_the_first(tmp_path: Path, bench_of: BenchOf) -> None:
    bench = bench_of(writing_folder(tmp_path, "gpt2"), "probe=language", "probe.language.limit=8")
    texts = general_passages(bench.subject.config.general_text, "validation", words=40, limit=8, seed=0)
    losses = []
    for text in texts:
        ids = torch.tensor([byte_tokenizer()(text, truncation=True, max_length=128)["input_ids"]])
        scores = bench.specimen(ids).logits[0, :-1].log_softmax(-1)
        losses += [-float(row[token]) for row, token in zip(scores, ids[0, 1:], strict=True)]
    assert measure_pretrained(bench)["language"]["perplexity"] == pytest.approx(np.exp(np.mean(losses)), rel=1e-4)


def test_pseudo_perplexity_masks_each_token_by_itself(tiny_model: Path, bench_of: BenchOf) -> None:
    bench = bench_of(tiny_model, "probe=language", "probe.language.limit=3", "probe.language.share=1")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    losses = []
    for text in general_passages(bench.subject.config.general_text, "validation", words=40, limit=3, seed=0):
        ids = tokenizer(text, truncation=True, max_length=64)["input_ids"]
        for place in range(1, len(ids) - 1):
            shown = torch.tensor([[*ids[:place], tokenizer.mask_token_id, *ids[place + 1 :]]])
            losses.append(-float(bench.specimen(shown).logits[0, place].log_softmax(-1)[ids[place]]))
    expected = np.exp(np.mean(losses))
    assert measure_pretrained(bench)["language"]["pseudo_perplexity"] == pytest.approx(expected, rel=1e-4)


@pytest.fixture
def accelerated(tiny_model: Path) -> Iterator[PreTrainedModel]:
    """A network as it is while it learns: fused layers, a few rows of embeddings, dropout on."""
    network = load_network(tiny_model, "token_labels", ("O", "B-X"), ModelConfig(name="tiny"), 0)
    fuse_layers(network, torch.bfloat16)
    keep_active_rows(network.get_input_embeddings(), torch.arange(5))
    yield network.train()


def test_a_network_that_learns_is_read_and_left_as_it_is(
    accelerated: PreTrainedModel, tiny_model: Path, bench_of: BenchOf
) -> None:
    bench = bench_of(tiny_model, "probe=[drift,similarity]", "probe.drift.limit=8", "probe.similarity.limit=30")
    before = measure_pretrained(bench)
    weights = {name: each.clone() for name, each in accelerated.named_parameters()}
    now = measure(bench, accelerated)
    assert now["drift"]["cka"] == pytest.approx(1, abs=1e-6)  # in fp32, and rows outside the five are there
    assert now["drift"]["distance"] == 0
    assert now["similarity"] == pytest.approx(before["similarity"])
    assert all(module.training for module in accelerated.modules())
    assert all(torch.equal(each, weights[name]) for name, each in accelerated.named_parameters())


def test_adapters_are_measured_as_if_merged_and_switched_off(tiny_model: Path, bench_of: BenchOf) -> None:
    peft = pytest.importorskip("peft")
    bench = bench_of(tiny_model, "probe=drift", "probe.drift.limit=8")
    before = measure_pretrained(bench)
    network = load_network(tiny_model, "token_labels", ("O", "B-X"), ModelConfig(name="tiny"), 0)
    adapter = peft.LoraConfig(r=2, lora_alpha=4, target_modules=["query", "value"])
    peft.inject_adapter_in_model(adapter, network)
    assert measure(bench, network)["drift"] == pytest.approx(before["drift"], abs=1e-6)  # LoRA begins as nothing
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "lora_B" in name:
                weight.normal_(generator=generator)
    state = {name: each.clone() for name, each in network.state_dict().items()}
    on, off = measure(bench, network), measure(bench, weights_of(network, adapters=False))
    assert all(torch.equal(each, state[name]) for name, each in network.state_dict().items())
    kept = what_was_kept(bench, before, on, off)
    shown = {(row.probe, row.metric): row.after for row in kept.rows}
    assert shown["drift", "cka"] < 0.9999 and shown["drift", "distance"] > 0
    assert shown["adapters_off/drift", "cka"] == pytest.approx(1) and shown["adapters_off/drift", "distance"] == 0
    assert kept.layers("cka")[2] < 1  # the picture is of the adapted network
    for module in network.modules():
        if hasattr(module, "lora_A"):
            module.merge()
    merged = {name.replace(".base_layer", ""): each for name, each in network.bert.state_dict().items()}
    assert measure(bench, Weights(merged))["drift"]["cka"] == pytest.approx(on["drift"]["cka"], abs=1e-6)


@pytest.mark.parametrize("model_type", ["bert", "gpt2"])  # a head that is tied to the embeddings, and one that is not
def test_a_head_that_learnt_is_measured_as_it_learnt(model_type: str, tmp_path: Path, bench_of: BenchOf) -> None:
    tied = model_type == "bert"
    folder = family_folder(tmp_path, "bert") if tied else writing_folder(tmp_path, "gpt2")
    bench = bench_of(folder, "probe=language", "probe.language.limit=4")
    before = measure_pretrained(bench)["language"]
    network = load_network(folder, "masked_tokens" if tied else "next_tokens", (), ModelConfig(name="tiny"), 0)
    head = network.get_output_embeddings()
    assert (head.weight is network.get_input_embeddings().weight) == tied
    with torch.no_grad():
        (head.bias if tied else head.weight).normal_(0, 3, generator=torch.Generator().manual_seed(0))
    learnt = measure(bench, network)["language"]
    assert learnt != pytest.approx(before, rel=1e-2)
    network.save_pretrained(tmp_path / "learnt")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "learnt")
    own = bench_of(tmp_path / "learnt", "probe=language", "probe.language.limit=4")
    assert learnt == pytest.approx(measure_pretrained(own)["language"])


def test_a_head_of_another_class_leaves_the_pretrained_one(tiny_model: Path, bench_of: BenchOf) -> None:
    bench = bench_of(tiny_model, "probe=language", "probe.language.limit=4")
    before = measure_pretrained(bench)["language"]
    network = load_network(tiny_model, "token_labels", ("O", "B-X"), ModelConfig(name="tiny"), 0)
    assert measure(bench, network)["language"] == pytest.approx(before)


def test_what_the_pretrained_model_says_is_kept_on_disk(
    tiny_model: Path, bench_of: BenchOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", str(tmp_path))
    overrides = ["probe=similarity", "probe.similarity.limit=30"]
    first = measure_pretrained(bench_of(tiny_model, *overrides))
    (file,) = (tmp_path / "probe").glob("*.json")
    file.write_text('{"spearman": 0.125}')
    assert measure_pretrained(bench_of(tiny_model, *overrides)) == {"similarity": {"spearman": 0.125}}
    file.write_text('{"spearman": 0.1')  # cut off
    assert measure_pretrained(bench_of(tiny_model, *overrides)) == first
    assert measure_pretrained(bench_of(tiny_model, *overrides[:1], "probe.similarity.limit=31")) != first


def test_what_is_no_better_than_chance_does_not_count(tmp_path: Path, bench_of: BenchOf) -> None:
    bench = bench_of(writing_folder(tmp_path, "gpt2"), "probe=prompts")
    before = measure_pretrained(bench)
    assert before["prompts"]["accuracy"] < 0.35  # a random network: one of four
    kept = what_was_kept(bench, before, before)
    assert [row.counts for row in kept.rows if row.metric == "accuracy"] == [False]
    assert any("no better than chance" in note for note in kept.notes)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["probe=prompts"], "does not go on from a prompt"),
        (["probe=drift", "+probe.drfit.limit=3"], "no probe named 'drfit'.*Did you mean drift"),
        (["probe=drift", "+probe.drift.limits=3"], "unknown key 'probe.drift.limits'.*Did you mean probe.drift.limit"),
        (["probe=drift", "probe.drift.limit=0"], "probe.drift.limit must be"),
        (["probe=drift", "probe.every=0"], "probe.every must be"),
        (["probe=language", "probe.every=5"], "none of these probes is quick enough"),
        (["probe=[drift,similarity]", "probe.similarity.data.path=nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_told(overrides: list[str], told: str, tiny_model: Path, bench_of: BenchOf) -> None:
    with pytest.raises(UserError, match=told) as caught:
        bench_of(tiny_model, *overrides)
    assert caught.value.remedy or "Did you mean" in str(caught.value) or "must be" in str(caught.value)


def test_a_backbone_without_its_head_is_refused_by_name_of_the_weight(tmp_path: Path, bench_of: BenchOf) -> None:
    folder = family_folder(tmp_path, "bert")
    AutoModel.from_pretrained(folder).save_pretrained(folder)
    with pytest.raises(UserError, match="no head that guesses words"):
        bench_of(folder, "probe=language")
    assert "language" not in bench_of(folder).prepared


def test_shots_and_the_texts_that_a_sample_brings_for_them_are_no_other_data() -> None:
    whole, few = (validate_train(compose("train", ["task=ner", *more])).data for more in ([], ["data.shots=5"]))
    assert content_fingerprint(few) != content_fingerprint(whole)
    assert labelled_content(few) == labelled_content(whole) == content_fingerprint(whole)


def test_prompts_of_the_sample_are_whole() -> None:
    prompts = read_prompts(SAMPLE)
    assert len(prompts) >= 60
    assert len({each.prompt for each in prompts}) == len(prompts)
    assert all(len(each.wrong) == 3 and each.answer not in each.wrong for each in prompts)


def test_an_answer_begins_where_the_prompt_ends(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    ids, begin = joined(tokenizer, "The dog wagged its tail and began to ", " bark.")
    assert tokenizer.decode(ids[begin:]) == " bark."
    assert tokenizer.decode(ids[:begin]) == "The dog wagged its tail and began to"
