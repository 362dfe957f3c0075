"""A decoder in a GGUF file (llama.cpp's format), unpacked once into the user's cache as an ordinary folder.

GGUF keeps weights as blocks of small integers with a scale. They cannot be trained so, and nothing but loading
should have to know the format: the blocks become a Hugging Face folder, and the rest of the code sees only that.
"""

import contextlib
import io
import json
import shutil
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from tokenizers import pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from rag_lightning.config.paths import cache_dir
from rag_lightning.console import console, is_rank_zero, say
from rag_lightning.encoding.cache import cached
from rag_lightning.errors import UserError
from rag_lightning.model import files
from rag_lightning.model.quiet import quiet

SUFFIX = ".gguf"
NEEDED = ("gguf", "accelerate")
# Part of the folder's name; another number where another content is written for the same file.
_RECIPE = 1
# How text is cut before byte pairs are merged; a GGUF file only names it, and transformers takes GPT-2's way for
# names that it does not know. SmolLM cuts every digit off by itself.
_CUTS = {
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
}


def unpacked(file: Path) -> Path:
    """The folder with the model of a GGUF file: config.json, tokenizer with its chat template, weights.

    It is named by the file's sha256, appears whole or not at all, and is made by one process while others wait.
    Weights are kept as bfloat16: its rounding (0.2 % of a value) is far below that of the blocks, models of this
    kind are published in it, and it takes half the disk; the network is trained from float32 all the same.

    Args:
        file: the GGUF file; the caller has checked its digest.

    Raises:
        UserError: no such file, libraries missing, no decoder that transformers knows, or no room in the cache.
    """
    if not file.is_file():
        raise UserError("There is no such file", where=str(file), remedy="Install the package or copy the file again.")
    root = cache_dir() / "models"
    name = f"{files.sha256_of(file)[:32]}-{_RECIPE}"
    if (root / name).is_dir():
        return root / name
    missing = [library for library in NEEDED if find_spec(library) is None]
    if missing:
        raise UserError(
            f"Unpacking a GGUF file needs {' and '.join(missing)}",
            where=str(file),
            remedy=f"Install: pip install {' '.join(NEEDED)}.",
        )
    try:
        return cached(root, name, lambda folder: _unpack(file, folder))[0]
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"The unpacked model cannot be written ({error})",
            where=str(root),
            remedy="Make room there, or set RAG_LIGHTNING_CACHE to a folder on a larger disk.",
        ) from error


def _unpack(file: Path, folder: Path) -> None:
    say(f"Unpacking {file.name} into {folder.parent}: once, about half a minute.")
    started = time.perf_counter()
    for killed in set(folder.parent.glob(f"{folder.name.rpartition('-')[0]}-*")) - {folder}:
        shutil.rmtree(killed, ignore_errors=True)  # we hold the lock: nobody writes there any more
    with console.status("reading the vocabulary") if is_rank_zero() else contextlib.nullcontext() as status:
        tokenizer, config = _read(file, _tokenizer_and_config)
        if status is not None:
            status.update("reading the weights")
        network = _read(file, lambda place: _network(place, config))
        if status is not None:
            status.update("writing")
        with quiet():
            network.save_pretrained(folder)
            # The chat template goes into the tokenizer's configuration, which is part of a model's fingerprint.
            tokenizer.save_pretrained(folder, save_jinja_files=False)
        _without_origin(folder / "config.json")
    say(f"Unpacked {network.num_parameters():,} parameters in {time.perf_counter() - started:.0f} s.")


def _without_origin(config: Path) -> None:
    """The same file gives the same folder, and fingerprint, whatever version of the libraries unpacked it."""
    content = files.read_json(config)
    kept = {key: value for key, value in content.items() if key not in ("transformers_version", "_model_name_or_path")}
    config.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _read(file: Path, read: Any) -> Any:
    try:
        # transformers' own bars would stand among ours.
        with quiet(), contextlib.redirect_stderr(io.StringIO()):
            return read(file)
    except Exception as error:  # what a broken or unknown file raises is not documented
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"This GGUF file cannot be read as a decoder that transformers knows ({reason[:200]})",
            where=str(file),
            remedy="Copy or download it again, or take the model as a folder with model.safetensors.",
        ) from error


def _tokenizer_and_config(file: Path) -> tuple[PreTrainedTokenizerFast, PretrainedConfig]:
    from gguf import GGUFReader

    cut = GGUFReader(file).get_field("tokenizer.ggml.pre")
    config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(file.parent, gguf_file=file.name)
    if cut is not None and cut.contents() in _CUTS:
        tokenizer.backend_tokenizer.pre_tokenizer = _CUTS[cut.contents()]()
    tokenizer.model_max_length = config.max_position_embeddings
    return tokenizer, config


def _network(file: Path, config: PretrainedConfig) -> PreTrainedModel:
    """The plain network in bfloat16, its weights out of the blocks."""
    # Versions of transformers that have this class leave some families packed unless told.
    packing = getattr(transformers, "GgufConfig", None)
    options = {} if packing is None else {"quantization_config": packing(dequantize=True)}
    read, info = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, config=config, dtype=torch.float32, output_loading_info=True, **options
    )
    if absent := sorted(info["missing_keys"]):
        raise ValueError(f"{len(absent)} tensors are not in it, such as {absent[0]}")
    # The one that was read counts as quantised and will not be saved: its tensors go into a plain one.
    with torch.device("meta"):
        plain: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    plain.load_state_dict({name: each.to(torch.bfloat16) for name, each in read.state_dict().items()}, assign=True)
    plain.tie_weights()
    plain.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
    )
    return plain
