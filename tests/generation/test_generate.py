"""Batches of texts: the same as one by one, and the same as transformers writes them."""

import logging
from collections.abc import Callable

import pytest
import torch
from tiny_writers import PROMPTS
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from rag_lightning.errors import UserError
from rag_lightning.generation.generate import Generated, generate, room_for_prompt
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.generation.steps import read

Build = Callable[..., PreTrainedModel]
CAUSAL = ["llama", "gpt2", "qwen2"]
SEQ2SEQ = ["t5", "bart", "marian", "mbart"]
GREEDY = GenerationOptions(max_new_tokens=8)


def texts(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, options: GenerationOptions = GREEDY,
    prompts: list[list[int]] = PROMPTS, budget: int = 10_000, **more: object,
) -> list[Generated]:  # fmt: skip
    return generate(network, tokenizer, prompts, options, tokens_per_batch=budget, **more)


@pytest.mark.parametrize("model_type", CAUSAL + SEQ2SEQ)
@pytest.mark.parametrize(
    "settings",
    [{}, {"num_beams": 3}, {"do_sample": True, "top_p": 0.9, "temperature": 1.5}, {"repetition_penalty": 2.0}],
    ids=lambda settings: "-".join(settings) or "greedy",
)
def test_the_batch_does_not_matter(
    model_type: str, settings: dict[str, object], build: Build, tokenizer: PreTrainedTokenizerFast
) -> None:
    network = build(model_type)
    options = GenerationOptions(max_new_tokens=8, **settings)
    single = texts(network, tokenizer, options, budget=1)
    assert len({each.ids for each in single}) >= 4  # else it would hold of any network
    assert texts(network, tokenizer, options) == single
    assert texts(network, tokenizer, options, budget=60) == single
    assert texts(network, tokenizer, options, PROMPTS[::-1])[::-1] == single or "do_sample" in settings


@pytest.mark.parametrize("model_type", CAUSAL + SEQ2SEQ)
def test_each_text_is_what_transformers_writes(
    model_type: str, build: Build, tokenizer: PreTrainedTokenizerFast
) -> None:
    network = build(model_type)
    network.generation_config = GenerationConfig(eos_token_id=3, pad_token_id=3, decoder_start_token_id=0)
    plain = GenerationConfig(max_new_tokens=8)
    for prompt, ours in zip(PROMPTS, texts(network, tokenizer), strict=True):
        theirs = network.generate(torch.tensor([prompt]), generation_config=plain)[0].tolist()
        theirs = theirs[1:] if network.config.is_encoder_decoder else theirs[len(prompt) :]
        assert list(ours.ids) == theirs[: theirs.index(3) if 3 in theirs else None]


def test_batches_keep_within_the_budget(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    sizes: list[int] = []
    texts(build("llama"), tokenizer, budget=36, on_batch=sizes.append)
    assert sizes == [1, 2, 3, 1]  # 15 + 8; 2 x (9 + 8); 3 x (3 + 8); what is left
    sizes.clear()
    texts(build("llama"), tokenizer, GenerationOptions(max_new_tokens=8, num_beams=2), budget=36, on_batch=sizes.append)
    assert max(sizes) == 1 or sum(sizes) == len(PROMPTS) and max(sizes) * 2 * 9 <= 36


def test_nothing_to_write(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    assert texts(build("llama"), tokenizer, prompts=[]) == []


@pytest.mark.parametrize("model_type", ["llama", "bart"])
def test_an_empty_prompt_is_the_beginning_of_text(
    model_type: str, build: Build, tokenizer: PreTrainedTokenizerFast
) -> None:
    network = build(model_type)
    empty, begin, other = texts(network, tokenizer, prompts=[[], [2], [7, 8]])
    assert empty == begin != other


@pytest.mark.parametrize("model_type", ["llama", "t5"])
def test_the_end_of_text(model_type: str, build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build(model_type)
    before = texts(network, tokenizer)
    assert {each.reason for each in before} == {"length"} and not before[0].finished
    end = before[2].ids[3]
    first = before[2].ids.index(end)
    network.generation_config.eos_token_id = [3, end]
    after = texts(network, tokenizer)
    assert after[2].ids == before[2].ids[:first] and after[2].reason == "eos" and after[2].finished
    for old, new in zip(before, after, strict=True):
        assert new.ids == old.ids[: old.ids.index(end) if end in old.ids else None]
        assert (new.reason == "eos") == (end in old.ids)


def test_the_tokenizer_s_end_of_text_ends_too(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("llama")
    before = texts(network, tokenizer)[0]
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(before.ids[1])
    try:
        assert texts(network, tokenizer)[0].ids == before.ids[: before.ids.index(before.ids[1])]
    finally:
        tokenizer.eos_token = None


def test_at_least_so_many_tokens(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("llama")
    network.generation_config.eos_token_id = texts(network, tokenizer)[0].ids[0]
    assert texts(network, tokenizer)[0].ids == ()
    assert len(texts(network, tokenizer, GenerationOptions(max_new_tokens=8, min_new_tokens=5))[0].ids) >= 5


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "marian"])
def test_stop_texts(model_type: str, build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build(model_type)
    before = texts(network, tokenizer)
    stop = before[2].text[3:7]
    after = texts(network, tokenizer, GenerationOptions(max_new_tokens=8, stop=(stop, "nowhere")))
    found = after[2]
    assert found.reason == "stop" and found.finished
    assert found.text == before[2].text[: before[2].text.index(stop)]
    assert found.ids == before[2].ids[: len(found.ids)]
    # The ids end with the token that completed the stop text.
    assert stop in read(tokenizer, found.ids) and stop not in read(tokenizer, found.ids[:-1])
    untouched = [old for old in before if stop not in old.text]
    assert untouched and all(old in after for old in untouched)


def test_writing_ends_when_all_have_stopped(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("llama")
    steps = []
    network.register_forward_hook(lambda *_: steps.append(1))
    text = texts(network, tokenizer, prompts=PROMPTS[:1])[0].text
    steps.clear()
    texts(network, tokenizer, GenerationOptions(max_new_tokens=60, stop=(text[:5],)), PROMPTS[:1])
    assert len(steps) < 8


def test_stop_texts_with_beams(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("llama")
    options = GenerationOptions(max_new_tokens=8, num_beams=2)
    stop = texts(network, tokenizer, options)[2].text[3:7]
    options = options.model_copy(update={"stop": (stop, "e")})
    after = texts(network, tokenizer, options)
    assert {each.reason for each in after} >= {"stop"} and not any("e" in each.text for each in after)
    assert after == texts(network, tokenizer, options, budget=1)


def test_a_stop_text_is_not_looked_for_in_the_prompt(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("llama")
    prompt = tokenizer("Marie Curie was born", add_special_tokens=False).input_ids
    options = GenerationOptions(max_new_tokens=8, stop=("Curie",))
    assert texts(network, tokenizer, options, [prompt])[0].reason == "length"


def test_settings_of_the_folder_do_not_leak(
    build: Build, tokenizer: PreTrainedTokenizerFast, capfd: pytest.CaptureFixture[str]
) -> None:
    for model_type in ("llama", "bart"):
        network = build(model_type)
        before = texts(network, tokenizer)
        theirs = GenerationConfig(
            max_length=5, num_beams=3, do_sample=True, temperature=0.3, repetition_penalty=5.0, min_length=4,
            no_repeat_ngram_size=1, forced_eos_token_id=3, length_penalty=2.0, eos_token_id=3,
        )  # fmt: skip
        network.generation_config = theirs
        assert texts(network, tokenizer) == before
        assert network.generation_config is theirs
    assert capfd.readouterr() == ("", "")


def test_nothing_is_warned_of(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    try:
        # A prompt that ends with the end of text (a turn of a dialogue) is not wrongly padded.
        texts(build("llama"), tokenizer, prompts=[[5, 3], [7]])
        texts(build("bart"), tokenizer, GenerationOptions(max_new_tokens=69, num_beams=2))
    finally:
        logger.removeHandler(handler)
    assert not messages


def test_settings_of_the_architecture_are_kept(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("marian")
    before = texts(network, tokenizer)
    banned = before[0].ids[0]
    network.generation_config.bad_words_ids = [[banned]]
    network.generation_config.forced_bos_token_id = 17
    after = texts(network, tokenizer)
    assert all(each.ids[0] == 17 and banned not in each.ids for each in after)


def test_modes_are_put_back(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("gpt2", resid_pdrop=0.5)
    before = texts(network, tokenizer)
    network.train()
    network.transformer.h[0].eval()
    modes = [module.training for module in network.modules()]
    assert texts(network, tokenizer) == before  # no dropout
    assert [module.training for module in network.modules()] == modes
    with pytest.raises(IndexError):
        texts(network, tokenizer, prompts=[[100_000]])
    assert [module.training for module in network.modules()] == modes


@pytest.mark.parametrize("model_type", ["llama", "t5"])
def test_bfloat16(model_type: str, build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build(model_type).to(torch.bfloat16)
    answers = texts(network, tokenizer, budget=1)
    assert len({each.ids for each in answers}) >= 4 and all(len(each.ids) == 8 for each in answers)
    assert [each.ids[:1] for each in texts(network, tokenizer)] == [each.ids[:1] for each in answers]


def test_repetition_is_that_of_the_text_alone(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("llama")
    plain = texts(network, tokenizer, prompts=[[7]])[0].ids
    again = texts(network, tokenizer, GenerationOptions(max_new_tokens=8, repetition_penalty=50.0), [[7]])[0].ids
    assert plain[0] == again[0] and len(set(again)) == 8
    once = texts(network, tokenizer, GenerationOptions(max_new_tokens=30, no_repeat_ngram_size=2), [[7]])[0].ids
    pairs = list(zip(once, once[1:], strict=False))
    assert len(set(pairs)) == len(pairs)


# --- drawing ----------------------------------------------------------------------------------------------------


def test_drawing_is_seeded(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("llama")
    first = GenerationOptions(max_new_tokens=8, do_sample=True, seed=1)
    state = torch.get_rng_state()
    drawn = texts(network, tokenizer, first)
    assert torch.equal(torch.get_rng_state(), state)
    assert drawn == texts(network, tokenizer, first) != texts(network, tokenizer, first.model_copy(update={"seed": 2}))
    assert drawn != texts(network, tokenizer)
    assert PROMPTS[3] == PROMPTS[5] and drawn[3] != drawn[5]  # asked twice, it answers anew
    assert texts(network, tokenizer, first, PROMPTS[2:3]) == drawn[2:3]  # and it does not matter what else is asked


def test_the_likeliest_alone_is_greedy(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("llama")
    assert texts(network, tokenizer, GenerationOptions(max_new_tokens=8, do_sample=True, top_k=1)) == texts(
        network, tokenizer
    )
    assert texts(network, tokenizer, GenerationOptions(max_new_tokens=8, do_sample=True, top_p=1e-6)) == texts(
        network, tokenizer
    )


# --- the window -------------------------------------------------------------------------------------------------


def test_room(build: Build) -> None:
    causal, bart, t5 = build("llama").config, build("bart").config, build("t5").config
    assert room_for_prompt(causal, GREEDY) == 62 and room_for_prompt(causal, GREEDY, 20) == 12
    assert room_for_prompt(causal, GREEDY, 500) == 62
    assert room_for_prompt(bart, GREEDY) == 70 and room_for_prompt(bart, GREEDY, 20) == 20
    assert room_for_prompt(t5, GREEDY) is None and room_for_prompt(t5, GREEDY, 20) == 20


@pytest.mark.parametrize(
    ("model_type", "window", "most"), [("llama", None, 69), ("llama", 20, 19), ("bart", 20, 69), ("gpt2", None, 69)]
)
def test_a_text_longer_than_the_window(
    model_type: str, window: int | None, most: int, build: Build, tokenizer: PreTrainedTokenizerFast
) -> None:
    network = build(model_type)
    assert texts(network, tokenizer, GenerationOptions(max_new_tokens=most), [[7]], window=window)
    with pytest.raises(UserError, match=f"max_new_tokens={most + 1} leaves no room.*Choose at most {most}"):
        texts(network, tokenizer, GenerationOptions(max_new_tokens=most + 1), [[7]], window=window)


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "bart"])
def test_a_prompt_longer_than_the_window(model_type: str, build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build(model_type)
    room = room_for_prompt(network.config, GREEDY) or 0
    long = [5 + place % 90 for place in range(room + 3)]
    with pytest.raises(UserError, match=rf"prompt 2: This input has {room + 3} tokens, and there is room for {room}\."):
        texts(network, tokenizer, prompts=[[7], long])
    assert texts(network, tokenizer, prompts=[long[:room]])[0].cut == 0
    for overlong, kept in (("cut_start", long[3:]), ("cut_end", long[:-3])):
        short, cut = texts(network, tokenizer, prompts=[[7], long], overlong=overlong)
        assert (short.cut, cut.cut) == (0, 3)
        assert cut.ids == texts(network, tokenizer, prompts=[kept])[0].ids
