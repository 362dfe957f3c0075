"""What the config group ``model`` may hold."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Pooling = Literal["auto", "native", "mean", "cls", "entities"]


class ModelConfig(BaseModel):
    """A backbone: a folder, a Python package that carries one, or a name on the Hugging Face Hub.

    ``path`` wins over ``package``, which wins over the Hub.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    name: str = Field(min_length=1, description="Name on the Hub, or a free label for a folder or package.")
    path: Path | None = Field(
        None,
        description="Folder with config.json, *.safetensors and a tokenizer, or a .gguf file; wins over all else.",
    )
    package: str | None = Field(None, description="Python package that carries the model; never imported.")
    package_folder: str = Field(
        "model",
        description="The model's folder inside that package, or its .gguf file, which is unpacked once into the cache.",
    )
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="Expected sha256 of the package's model.safetensors or .gguf file, verified before use.",
    )
    revision: str | None = Field(None, description="Branch, tag or commit on the Hub; null is main.")
    max_length: int | None = Field(
        None, ge=8, description="Longest window in sub-words; null is the model's own limit, at most 512."
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Dropout of hidden states and head; null keeps the model's."
    )
    attn_dropout: float | None = Field(
        None, ge=0, lt=1, description="Dropout of attention weights; null keeps the model's."
    )
    pooling: Pooling = Field(
        "auto",
        description="What a text's label is read off: native (the family's own head, which transformers' pipeline "
        "runs too), mean or cls (of the last hidden states), entities (the states at the two entities, for "
        "task=relation); auto is entities for task=relation, mean for sentence encoders, else native.",
    )
    trust_remote_code: bool = Field(
        False, description="Run Python code that comes with the model. Only for a source that you trust."
    )
    suggested_lr: float = Field(
        5e-5, gt=0, description="Learning rate that suits this backbone, taken where optimizer.lr is not given."
    )
    random_init: bool = Field(
        False, description="Architecture and tokenizer only, with random weights: a from-scratch baseline."
    )
