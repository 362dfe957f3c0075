"""Folders of tiny networks that write, with a byte-level vocabulary of the sample's sentences."""

import json
from functools import cache
from pathlib import Path

import torch
from tiny_families import tiny_config
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedModel, PreTrainedTokenizerFast

from rag_lightning.data import samples
from rag_lightning.model.interface import is_seq2seq

SAMPLES = Path(samples.__path__[0])
SPECIAL = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
WINDOW = 128
CHAT = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@cache
def _vocabulary() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    lines = (SAMPLES / "translation" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [text for line in lines for text in json.loads(line).values()]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str()


def byte_tokenizer(model_type: str = "gpt2", *, chat: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer; special tokens around a text as the family has them."""
    backend = Tokenizer.from_str(_vocabulary())
    around = {"t5": "$A </s>", "mt5": "$A </s>", "marian": "$A </s>", "bart": "<s> $A </s>", "llama": "<s> $A"}
    if model_type in around:
        backend.post_processor = processors.TemplateProcessing(
            single=around[model_type], special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="<|im_end|>" if chat else "</s>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"], model_max_length=WINDOW, split_special_tokens=True,
    )  # fmt: skip
    if chat:
        tokenizer.chat_template = CHAT
    return tokenizer


def tiny_network(model_type: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A network that writes, always with the same weights; large ones, for else it repeats one token."""
    sizes = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, "tie_word_embeddings": False}
    sizes |= {"n_positions": WINDOW} if model_type == "gpt2" else {"max_position_embeddings": WINDOW}
    kind = AutoModelForSeq2SeqLM if is_seq2seq(model_type) else AutoModelForCausalLM
    generator = torch.Generator().manual_seed(1)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network: PreTrainedModel = kind.from_config(tiny_config(model_type, **sizes))
        for weight in network.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.4, generator=generator)
    return network.eval()


def writing_folder(folder: Path, model_type: str, *, chat: bool = False) -> Path:
    """Such a network with its tokenizer, saved."""
    tokenizer = byte_tokenizer(model_type, chat=chat)
    tokenizer.save_pretrained(folder)
    tiny_network(model_type, tokenizer).save_pretrained(folder)
    return folder
