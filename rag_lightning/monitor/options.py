"""The settings of ``python -m rag_lightning.monitor``."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]


class AlertOptions(BaseModel):
    """When negative messages count as a surge."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field("negative", description="label of the sentiment run that is watched")
    baseline: Share | dict[str, Share] | None = Field(
        None, description="its share as usual, or one for each topic; null: of a topic's first messages"
    )
    learn: int = Field(200, ge=20, description="messages of a topic from which its share as usual is estimated")
    confidence: float = Field(
        0.95, ge=0.5, lt=1, description="with which the share as usual is not above what is assumed after learning"
    )
    odds: float = Field(
        3.0, ge=1.2, le=100, description="odds of the label in a surge, as a multiple of those as usual"
    )
    false_alarm_every: float = Field(
        10_000, ge=10, le=1e7, description="messages of a topic between two false alarms, on average at least"
    )


class MonitorConfig(BaseModel):
    """A stream of messages, what judges them, and where the results lie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str | None = Field(None, description="folder of the run that says the sentiment; not needed for report=true")
    topics: str | None = Field(None, description="folder of a run that says the topic; null: the rules do")
    rules: dict[str, Any] = Field(default_factory=dict, description="a rule file whose labels are topics")
    source: str = Field("-", description="a file, which may grow, or - for standard input")
    follow: bool = Field(False, description="at the end of the file wait for more")
    format: Literal["auto", "text", "json"] = Field(
        "auto", description="of a line: text, JSON with text, time and id, or JSON where it begins with a brace"
    )
    folder: str = Field("monitor", description="for the state, the alerts and the page")
    report: bool = Field(False, description="write the page of what is there, read nothing")
    page_every: float = Field(60, ge=1, description="seconds between two pages while messages come")
    hours: float | None = Field(None, gt=0, description="the last hours that the page shows; null: all")
    alert: AlertOptions = Field(default_factory=AlertOptions)
    batch: int = Field(256, ge=1, description="messages that are judged and written at a time, at most")
    poll: float = Field(1.0, gt=0, le=60, description="seconds between two looks at a file")
    tokens: int = Field(4096, ge=1, description="padded tokens in a batch of the model")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 …")
