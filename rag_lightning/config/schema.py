"""The whole configuration as typed, documented models: an unknown key or a wrong type is an error.

Groups with a ``_target_`` (optimizer, trainer, callbacks, logger) come straight from torch and Lightning; their
keys are the arguments of the class they name and are checked in :mod:`rag_lightning.config.targets`.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.options import DataConfig
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.guidance.options import GuidanceConfig
from rag_lightning.model.options import ModelConfig
from rag_lightning.speed.options import SpeedConfig
from rag_lightning.template.options import TemplateConfig
from rag_lightning.trunk.options import TrunkConfig
from rag_lightning.tuning.options import TuningConfig


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SchedulerConfig(Strict):
    """A schedule of transformers' ``get_scheduler``."""

    name: str = Field(description="linear, cosine, constant_with_warmup, … as transformers names them")
    warmup: float = Field(0.1, ge=0, description="below 1: share of all steps; from 1 on: steps")
    options: dict[str, Any] = Field(default_factory=dict, description="further arguments, such as num_cycles")


class BatchingConfig(Strict):
    size: int = Field(16, ge=1, description="examples of average length in a batch (over all devices)")
    tokens: int | None = Field(None, ge=1, description="padded tokens in a batch; null: size x average length")
    eval_tokens: int = Field(4096, ge=1, description="padded tokens in a batch of evaluation")
    by_length: bool | Literal["auto"] = Field(
        "auto",
        description="training batches of examples of similar length, which have little padding; auto: where there are "
        "2,000 examples or more, since batches of all lengths teach a little more",
    )
    workers: int = Field(0, ge=0, description="loader processes; 0 is best for encoded text on CPU")


class EncodingConfig(Strict):
    overlap: float = Field(0.25, ge=0, le=0.5, description="share of a window that the next one repeats")
    cache: bool = Field(True, description="keep encoded data on disk and reuse it")
    trunk: TrunkConfig = Field(default_factory=TrunkConfig, description="keep what frozen layers say of the data")


class CheckpointConfig(Strict):
    every_seconds: float | None = Field(60, gt=0, description="save for resuming at least this often")
    every_steps: int | None = Field(None, ge=1, description="save for resuming every n optimizer steps")
    keep: int = Field(2, ge=2, description="resume points kept: if the newest is damaged the one before serves")
    use: Literal["best", "last"] = Field("best", description="weights that are tested and exported")


class RunConfig(Strict):
    name: str | None = Field(None, description="for tables and dashboards; null: what differs from the defaults")
    group: str | None = Field(None, description="W&B group; null: the task")
    folder: str | None = Field(None, description="null: <output_dir>/<task>-<model>-<fingerprint>")
    id: str | None = Field(None, description="the fingerprint, filled in by the run")
    pictures: bool | Literal["auto"] = Field("auto", description="curves and confusion matrix; auto: not of trials")


class SweepConfig(Strict):
    """What a sweep does beside choosing trials, which is ``hydra.sweeper``."""

    folder: str | None = Field(None, description="null: <output_dir>/sweeps/<name>-<hash of what is asked>")
    again: Literal["none", "failed"] = Field("none", description="failed: try again what failed in this sweep")
    tries: int = Field(3, ge=1, description="a trial that has ended so many workers counts as failed")
    stop: Literal["none", "median", "halving"] = Field(
        "none",
        description="stop hopeless trials: worse than the median of the others at that epoch, or not among the best "
        "1/factor of them at epochs stop_from, stop_from x factor, …",
    )
    stop_after: int = Field(4, ge=1, description="trials that end before any is stopped")
    stop_from: float = Field(1.0, gt=0, description="epochs that every trial is given")
    stop_factor: int = Field(3, ge=2, description="of halving")


class TrainConfig(Strict):
    """Everything that a training run is made of."""

    task: dict[str, Any] = Field(description="checked by the task's own options")
    data: DataConfig
    general_text: DataConfig = Field(description="running text of no task, on which knowledge is kept and measured")
    model: ModelConfig
    rules: dict[str, Any] = Field(
        description="a rule file's content, or where it lies; checked by the rules' own reader"
    )
    template: TemplateConfig
    guidance: GuidanceConfig
    generation: GenerationOptions
    tuning: TuningConfig
    retention: dict[str, dict[str, Any]] = Field(description="methods by name; checked by each method's own options")
    optimizer: dict[str, Any]
    scheduler: SchedulerConfig
    trainer: dict[str, Any]
    probe: dict[str, Any] = Field(
        default_factory=dict, description="probes by name; checked by each probe's own options"
    )
    callbacks: dict[str, dict[str, Any]] | None = None
    logger: dict[str, dict[str, Any]] | None = None
    batching: BatchingConfig
    encoding: EncodingConfig
    checkpoint: CheckpointConfig
    speed: SpeedConfig
    seed: int = Field(ge=0, lt=2**32, description="of splits, order, dropout and new weights")
    output_dir: str = Field(description="folder that holds the run folders")
    run: RunConfig
    force: bool = Field(description="run again what is finished, from the start")
    dry_run: bool = Field(False, description="only say what would run, what is done, and what is refused and why")
    sweep: SweepConfig = Field(default_factory=SweepConfig, description="of a sweep (-m)")


class EvaluateConfig(Strict):
    run: str
    data: DataConfig | None = None
    generation: GenerationOptions | None = Field(None, description="null: as the run writes")
    backbone: str | None = Field(
        None, description="a run's or a model's folder: its backbone under this run's head, to see what was forgotten"
    )
    split: Literal["train", "validation", "test"] = "test"
    output: str | None = Field(None, description="folder for the report; null: inside the run's folder")
    trainer: dict[str, Any]
    eval_tokens: int = Field(4096, ge=1)


class ProbeRunConfig(Strict):
    run: str
    probe: dict[str, Any] = Field(description="as in training")
    general_text: DataConfig | None = Field(None, description="null: the run's own")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 …")


class ReportConfig(Strict):
    sweep: str = Field(description="the folder of a sweep, finished or not")
    rows: int = Field(20, ge=1, description="of the leaderboard that are printed")
    wandb_sweep: Literal["auto", "grid", "random", "bayes"] | bool | None = Field(
        None, description="also write wandb-sweep.yaml, with this method; auto: the one that the sweep used"
    )


class PredictConfig(Strict):
    run: str
    input: str = Field("-", description="a file, a folder of .txt/.jsonl/.conll files, or - for standard input")
    text: str | None = Field(None, description="one text, instead of input")
    output: str = Field("-", description="a .jsonl file, or - for standard output")
    generation: GenerationOptions | None = Field(None, description="null: as the run writes")
    ner: str | None = Field(None, description="for a relation run: the folder of a NER run, which finds the entities")
    pairs: int = Field(100, ge=1, description="with ner: pairs of entities in a text at most, the nearest first")
    tokens: int = Field(4096, ge=1, description="padded tokens in a batch")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 …")


class ChatConfig(Strict):
    run: str
    generation: GenerationOptions | None = None
    context: bool = Field(False, description="say before each answer what was looked up for it")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 …")
