"""Every YAML of every group: documented, composing, and running or refused in words. A new one is tested at once."""

import inspect
import itertools
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from data_forms import OF_TASKS
from data_yaml import TEXTS
from pydantic import BaseModel
from tiny_families import tiny_config

from rag_lightning.config.compose import compose
from rag_lightning.config.paths import conf_dir
from rag_lightning.config.schema import ChatConfig, EvaluateConfig, PredictConfig, ReportConfig, TrainConfig
from rag_lightning.config.validate import to_plain, validate_train
from rag_lightning.data.load import load_split, load_splits
from rag_lightning.data.options import SPLITS, DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.data.values import READ
from rag_lightning.errors import UserError
from rag_lightning.export.options import ExportConfig
from rag_lightning.model.options import ModelConfig
from rag_lightning.monitor.options import MonitorConfig
from rag_lightning.retention.registry import chosen_methods
from rag_lightning.serve.options import ServeConfig
from rag_lightning.studies.comparison import trials_of as comparison_trials
from rag_lightning.studies.label_efficiency import trials_of
from rag_lightning.studies.options import ComparisonConfig, SequenceConfig, StudyConfig
from rag_lightning.studies.sequence import words_of
from rag_lightning.sweep.question import read_typed
from rag_lightning.tasks.registry import get_task
from rag_lightning.train import train
from rag_lightning.training import plan
from rag_lightning.training.plan import make_plan

CONF = conf_dir()
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")
FILES = sorted(path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml"))
# What a user fills in; any value does for composing.
FILLED_IN = {"model=hub": ["model.name=a/b"], "model=local": ["model.path=FOLDER"]}


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("[!_]*.yaml"))


def every(*groups: str) -> Any:
    return pytest.mark.parametrize("choice", [f"{group}={name}" for group in groups for name in options(group)])


def header(file: str) -> list[str]:
    lines = (CONF / file).read_text(encoding="utf-8").splitlines()
    lines = lines[1:] if lines[0] == "# @package _global_" else lines  # Hydra's own word
    return list(itertools.takewhile(lambda line: line.startswith("#"), lines))


# --- documented -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES)
def test_the_header_says_what_it_is_and_how_to_use_it(file: str) -> None:
    lines = header(file)
    assert lines, "no comment at the top"
    assert re.match(r"# [\w`]", lines[0]), lines[0]
    if Path(file).stem.startswith("_") or file.startswith("hydra/"):
        return
    text = "\n".join(lines)
    group, name = Path(file).parent.as_posix(), Path(file).stem
    used = re.compile(rf"(^|\s){group}={re.escape(name)}(\s|$)", re.MULTILINE)
    default = name in ("auto", "full", "ner") or group == "."  # need not be typed
    assert used.search(text) or (default and "=" in text), f"no command with {group}={name}"


def commands(file: str) -> list[list[str]]:
    """The overrides of each command in a header."""
    found = []
    for line in header(file):
        line = re.sub(r"\s{2,}\(.*\)\s*$", "", line.lstrip("# "))  # a remark behind the command
        typed = re.match(r"(?:torchrun .* -m|python -m) rag_lightning\.(\w+) ?(.*)", line)
        if typed and "[" not in line and "=..." not in line:
            found.append([typed[1], *shlex.split(typed[2])])
    return found


@pytest.mark.parametrize("file", [file for file in FILES if commands(file)])
def test_the_commands_of_the_header_compose(file: str) -> None:
    for name, *overrides in commands(file):
        if "-m" in overrides:  # swept values are no part of what is composed
            typed = read_typed([o for o in overrides if o != "-m"])
            assert typed.swept
            compose(name, [*typed.fixed, *(f"{d.key}={d.choices[0]}" for d in typed.swept if d.choices)])
        else:
            compose(name, overrides)


@pytest.mark.parametrize(
    "name",
    [
        "train",
        "evaluate",
        "predict",
        "chat",
        "compare",
        "sequence",
        "label_efficiency",
        "report",
        "monitor",
        "export",
        "serve",
    ],
)
def test_the_commands_of_help_compose(name: str) -> None:
    shown = yaml.safe_load((CONF / "hydra" / "help" / f"{name}.yaml").read_text(encoding="utf-8"))["header"]
    lines = [line.strip() for line in shown.splitlines() if "python -m rag_lightning" in line]
    assert lines
    for line in lines:
        typed = re.sub(
            r"(\s{2,}\(| < ).*$", "", line.partition("python -m ")[2]
        )  # a remark or a file behind the command
        module, *overrides = shlex.split(typed)
        assert module == f"rag_lightning.{name}"
        if "-m" not in overrides:
            compose(name, overrides)


# --- schema and YAML say the same -------------------------------------------------------------------------------


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """The dotted keys of a schema; mappings without a schema count as one."""
    found = set()
    for name, field in model.model_fields.items():
        inner = [o for o in (field.annotation, *getattr(field.annotation, "__args__", ())) if inspect.isclass(o)]
        nested = next((o for o in inner if issubclass(o, BaseModel)), None)
        found |= keys(nested, f"{prefix}{name}.") if nested else {prefix + name}
    return found


def listed(values: Any, known: set[str], prefix: str = "") -> set[str]:
    found = set()
    for name, value in values.items():
        key = prefix + name
        found |= {key} if key in known or not isinstance(value, dict) else listed(value, known, f"{key}.")
    return found


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("train", TrainConfig),
        ("evaluate", EvaluateConfig),
        ("predict", PredictConfig),
        ("chat", ChatConfig),
        ("report", ReportConfig),
        ("monitor", MonitorConfig),
        ("export", ExportConfig),
        ("serve", ServeConfig),
    ],  # fmt: skip
)
def test_the_schema_and_the_yaml_have_the_same_keys(name: str, schema: type[BaseModel]) -> None:
    composed = to_plain(compose(name, []), whole=False)
    known = keys(schema)
    may_stay_out = {"evaluate": ("data", "generation"), "predict": ("generation",), "chat": ("generation",)}
    for group in may_stay_out.get(name, ()):
        assert group not in composed  # what the run has
        known = {key for key in known if not key.startswith(f"{group}.")}
    assert listed(composed, known) == known


@pytest.mark.parametrize("group", ["model", "tuning", "scheduler"])
def test_every_option_of_a_group_lists_every_key(group: str) -> None:
    for name in options(group):
        composed = to_plain(compose("train", [f"{group}={name}"]), whole=False)[group]
        known = keys(TrainConfig.model_fields[group].annotation)  # type: ignore[arg-type]
        assert listed(composed, known) == known, f"{group}={name}"


def test_every_key_is_described() -> None:
    def undescribed(model: type[BaseModel], prefix: str = "") -> list[str]:
        missing = []
        for name, field in model.model_fields.items():
            inner = field.annotation if inspect.isclass(field.annotation) else None
            if inner and issubclass(inner, BaseModel):
                missing += undescribed(inner, f"{prefix}{name}.")
            elif not field.description and f"{prefix}{name}" not in GROUPS:
                missing.append(prefix + name)
        return missing

    assert undescribed(TrainConfig) == []


@pytest.mark.parametrize("name", options("task"))
def test_every_task_has_a_module_a_yaml_with_all_its_options_and_a_sample(name: str) -> None:
    config = compose("train", [f"task={name}"])
    task = get_task(to_plain(config)["task"])
    assert task.name == name
    assert set(to_plain(config)["task"]) == set(task.options.model_fields)
    assert task.headline
    splits = load_splits(DataConfig(**to_plain(config)["data"]), seed=1, reading=task.reading).splits
    assert set(splits) == set(SPLITS)
    validate_train(config)


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_composes_and_is_valid(group: str) -> None:
    for name in options(group):
        if group in ("task", "study", "comparison"):
            continue
        choice = f"{group}={name}"
        validate_train(compose("train", [choice, *FILLED_IN.get(choice, [])]))


@pytest.mark.parametrize("name", options("study"))
def test_every_study_is_made_of_runs_that_compose(name: str) -> None:
    study = StudyConfig(**to_plain(compose("label_efficiency", [f"study={name}"]))["study"])
    trials = list(trials_of(study, study.shared))
    assert {trial.arm for trial in trials} == set(study.arms)
    for overrides in {trial.arm: trial.overrides for trial in trials}.values():
        validate_train(compose("train", list(overrides)))


@pytest.mark.parametrize("name", options("comparison"))
def test_every_comparison_is_made_of_runs_that_compose(name: str) -> None:
    plain = to_plain(compose("compare", [f"comparison={name}"]))["comparison"]
    assert set(plain) == set(ComparisonConfig.model_fields)
    study = ComparisonConfig(**plain)
    trials = list(comparison_trials(study, study.shared))
    for overrides in {trial.arm: trial.overrides for trial in trials}.values():
        validate_train(compose("train", list(overrides)))


def test_the_sequence_is_made_of_runs_that_compose() -> None:
    plain = to_plain(compose("sequence", []))["sequence"]
    assert set(plain) == set(SequenceConfig.model_fields)
    study = SequenceConfig(**plain)
    for arm in study.arms:
        for task in study.tasks:
            validate_train(compose("train", words_of(study, study.shared, task, arm, 1)))


@pytest.mark.parametrize("name", options("retention"))
def test_every_retention_method_lists_all_its_options(name: str) -> None:
    node = to_plain(compose("train", [f"retention={name}"]))["retention"]
    for method, (_, chosen) in chosen_methods(node).items():
        assert set(node[method]) == set(type(chosen).model_fields)


# --- running ----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick_run(
    tiny_run: Callable[..., list[str]], no_pictures: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    def quick(*overrides: str) -> Any:
        return train(
            tiny_run("trainer.max_epochs=1", "batching.size=12", "trainer.enable_progress_bar=false", *overrides)
        )

    return quick


@every("optimizer", "scheduler", "callbacks", "tuning")
def test_every_way_to_train_runs(choice: str, quick_run: Callable[..., Any]) -> None:
    result = quick_run(choice)
    assert 0 <= result.metrics["test/f1"] <= 1
    assert result.metrics["test/loss"] > 0


@every("trainer")
def test_every_trainer_runs_or_is_refused_in_words(
    choice: str, quick_run: Callable[..., Any], tiny_run: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    overrides = [choice, "trainer.max_epochs=1"]
    config = to_plain(compose("train", tiny_run(*overrides)))
    if config["trainer"]["accelerator"] == "gpu":
        with pytest.raises(UserError, match="no GPU can be used on this machine.*Choose trainer=cpu or trainer=auto"):
            quick_run(*overrides)
    elif config["trainer"]["strategy"] == "auto":
        quick_run(*overrides)
    else:  # starts processes: tests/training/test_ddp.py runs it
        make_plan(compose("train", tiny_run(*overrides)))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true", "bf16-true"])
def test_every_precision_of_a_cpu_runs(precision: str, quick_run: Callable[..., Any]) -> None:
    assert quick_run(f"trainer.precision={precision}").metrics["test/loss"] > 0


@every("logger")
def test_every_logger_runs(
    choice: str, quick_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    folder = quick_run(choice).folder
    names = {
        "csv": ["csv"],
        "tensorboard": ["tensorboard"],
        "wandb": ["wandb"],
        "many": ["csv", "tensorboard", "wandb"],
    }
    for name in names.get(choice.partition("=")[2], []):
        assert any(path.is_file() for path in (folder / name).rglob("*")), name


# --- data -------------------------------------------------------------------------------------------------------

WORDS, TAGS = ["Ada", "lived", "in", "London", "."], ["B-PER", "O", "O", "B-LOC", "O"]


def _conll(folder: Path, split: str) -> None:
    lines = "\n".join(f"{word} _ {tag}" for word, tag in zip(WORDS, TAGS, strict=True))
    (folder / f"{split}.txt").write_text(f"-DOCSTART- -X- O\n\n{lines}\n\n{lines}\n")


def _jsonl(folder: Path, split: str) -> None:
    (folder / f"{split}.jsonl").write_text(json.dumps({"tokens": WORDS, "tags": TAGS}) + "\n")


def _csv(folder: Path, split: str) -> None:
    (folder / f"{split}.csv").write_text(f'tokens,tags\n"{" ".join(WORDS)}","{" ".join(TAGS)}"\n')


def _parquet(folder: Path, split: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"tokens": [WORDS], "ner_tags": [TAGS]}), folder / f"{split}.parquet")


def _wnut(folder: Path, split: str) -> None:
    name = {"train": "wnut17train.conll", "validation": "emerging.dev.conll", "test": "emerging.test.annotated"}[split]
    (folder / name).write_text("".join(f"{w}\t{t}\n" for w, t in zip(WORDS, TAGS, strict=True)) + "\t\n")


def _weibo(folder: Path, split: str) -> None:
    name = {"validation": "dev"}.get(split, split)
    rows = "".join(f"{w}\t{t}\n" for w, t in zip(WORDS, TAGS, strict=True))
    (folder / f"weiboNER_2nd_conll.{name}").write_text(rows + "\n")


WRITERS = {
    "conll": _conll,
    "conll2003": _conll,
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
    "hub": _parquet,
    "wnut17": _wnut,
    "weibo_ner": _weibo,
}
TEXT = "Ada lived in London ."


def _write(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("".join(f"{line}\n" for line in lines))


# Of each form of texts with labels: its files, and the label that it gives.
LABELLED: dict[str, tuple[Callable[[Path, str], None], str]] = {
    "jsonl": (lambda f, s: _write(f, f"{s}.jsonl", json.dumps({"text": TEXT, "label": "x"})), "x"),
    "csv": (lambda f, s: _write(f, f"{s}.csv", "text,label", f"{TEXT},x"), "x"),
    "labelled_lines": (lambda f, s: _write(f, f"{s}.txt", f"x {TEXT}"), "x"),
    "sst2": (lambda f, s: _write(f, f"{s}.tsv", "sentence\tlabel", f"{TEXT}\t1"), "positive"),
    "banking77": (lambda f, s: _write(f, f"{s}.csv", "text,category", f"{TEXT},x"), "x"),
    "ag_news": (lambda f, s: _write(f, f"{s}.csv", '"4","Ada lived","in London ."'), "Sci/Tech"),
    "trec": (
        lambda f, s: _write(f, {"train": "train_5500", "test": "TREC_10"}.get(s, s) + ".label", f"HUM:x {TEXT}"),
        "HUM",
    ),
}
OF_TEXTS = ("classification_sample", "financial_sample", "banking_sample", *LABELLED)


@pytest.mark.parametrize("name", OF_TEXTS)
def test_every_data_config_yields_texts(name: str, tmp_path: Path) -> None:
    config = to_plain(compose("train", ["task=classification", f"data={name}"]))["data"]
    if name in LABELLED:
        write, label = LABELLED[name]
        for split in SPLITS:
            write(tmp_path, split)
        config["path"] = str(tmp_path)
    splits = load_splits(DataConfig(**config), seed=1, reading=TEXTS).splits
    assert set(splits) == set(SPLITS)
    for records in splits.values():
        assert records[0]["text"] and records[0]["label"]
        if name in LABELLED:
            assert (records[0]["text"], records[0]["label"]) == (TEXT, label)


SAMPLES = [name for name in options("data") if name.endswith("_sample")]


@pytest.mark.parametrize(("name", "reading", "files", "expected"), OF_TASKS)
def test_every_data_config_yields_what_its_task_reads(
    name: str, reading: Reading, files: dict[str, str], expected: dict[str, Any], tmp_path: Path
) -> None:
    for file, content in files.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    config = to_plain(compose("train", [f"data={name}"]))["data"] | {"path": str(tmp_path)}
    for split in ("train", "test"):
        if split == "test" and len(files) == 1:
            continue  # one file, which is divided
        record = load_split(DataConfig(**config), split, reading).splits[split][0]
        assert {key: record.get(key) for key in expected} == expected
        assert not {"label", "labels", "score", "target", "answers"}.difference(reading.fields).intersection(record)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_read_whole(name: str) -> None:
    config = to_plain(compose("train", [f"data={name}"]))["data"]
    fields = tuple(field for field in config["fields"] if field in READ and field != "id")
    splits = load_splits(DataConfig(**config), 1, Reading(fields)).splits
    assert set(splits) == set(SPLITS)
    assert all(set(fields) <= set(record) for records in splits.values() for record in records)


def test_the_phrasebank_is_always_cut_alike(tmp_path: Path) -> None:
    """It has no splits of its own, is Latin-1, and a text may hold the separator."""
    config = to_plain(compose("train", ["task=classification", "data=financial_phrasebank"]))["data"]
    things = ("oil", "tin", "tea", "rye", "wool", "salt", "zinc", "silk", "corn", "rice")
    lines = [f"{thing} fell @ 5 öre a kilo on {day} .@negative" for day, thing in enumerate(things)]
    (tmp_path / "Sentences_50Agree.txt").write_bytes("\r\n".join(lines).encode("latin-1"))
    config["path"] = str(tmp_path)
    first, again = (load_splits(DataConfig(**config), seed=seed, reading=TEXTS).splits for seed in (1, 2))
    assert first == again and set(first) == set(SPLITS) and all(first.values())
    texts = sorted(record["text"] for records in first.values() for record in records)
    assert texts == sorted(line.removesuffix("@negative") for line in lines)


KNOWN = {"financial_phrasebank"} | {name for name, *_ in OF_TASKS} | {*OF_TEXTS, *SAMPLES}


@pytest.mark.parametrize("name", [name for name in options("data") if name not in KNOWN or name in WRITERS])
def test_every_data_config_yields_records(name: str, tmp_path: Path) -> None:
    config = to_plain(compose("train", [f"data={name}"]))["data"]
    assert name in WRITERS, "write an example of this form, here or in OF_TASKS"
    for split in SPLITS:
        WRITERS[name](tmp_path, split)
    config["path"] = str(tmp_path)
    splits = load_splits(DataConfig(**config), seed=1).splits
    assert set(splits) == set(SPLITS)
    for records in splits.values():
        assert len(records[0]["tokens"]) == len(records[0]["tags"]) > 0
        assert records[0]["tokens"] == ([word[0] for word in WORDS] if name == "weibo_ner" else WORDS)
        assert records[0]["tags"] == TAGS


@pytest.mark.parametrize("name", ["conll2003", "wnut17", "weibo_ner"])
def test_the_real_data_train(name: str, shared: Path, quick_run: Callable[..., Any]) -> None:
    result = quick_run(
        f"data={name}", f"data.path={shared}/data/{name}", "data.limit.train=40", "data.limit.validation=20",
        "data.limit.test=20",
    )  # fmt: skip
    assert "20 examples of" in (result.folder / "report.md").read_text(encoding="utf-8")


# --- models -----------------------------------------------------------------------------------------------------

FAMILY = {
    "albert-base-v2": "albert", "bart-base": "bart", "bert-base-cased": "bert", "bert-base-chinese": "bert",
    "bert-base-uncased": "bert", "deberta-v3-base": "deberta-v2", "distilbert-base-cased": "distilbert",
    "electra-base": "electra", "gpt2": "gpt2", "hub": "bert", "local": "bert", "minilm": "bert",
    "modernbert-base": "modernbert", "mpnet-base": "mpnet", "roberta-base": "roberta", "smollm2": "llama",
    "smollm2-135m": "llama",
    "t5-small": "t5", "xlm-roberta-base": "xlm-roberta",
}  # fmt: skip


@pytest.mark.parametrize("name", options("model"))
def test_every_model_can_do_the_task_or_is_refused_before_it_is_looked_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert name in FAMILY, "say here which model_type it is of"
    choice = f"model={name}"
    monkeypatch.setattr(plan, "read_config", lambda config: tiny_config(FAMILY[name]))
    reached: list[ModelConfig] = []

    class Reached(Exception):
        pass

    def looked_for(config: ModelConfig) -> None:
        reached.append(config)
        raise Reached

    monkeypatch.setattr(plan, "resolve", looked_for)
    config = compose("train", [choice, *FILLED_IN.get(choice, [])])
    if name == "bart-base":
        with pytest.raises(UserError, match="'bart' has no head for token labels") as caught:
            make_plan(config)
        assert caught.value.remedy
        assert not reached
    else:
        with pytest.raises(Reached):
            make_plan(config)
