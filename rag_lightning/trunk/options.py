"""What ``encoding.trunk`` may hold."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _switch(value: Any) -> Any:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class TrunkConfig(BaseModel):
    """Whether the states that come out of frozen layers are kept on disk, and how much of it they may take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    use: Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)] = Field(
        "auto", description="auto: where it is right and saves time; on: wherever it is right; off: never"
    )
    limit_gib: float = Field(10, gt=0, description="of disk, for all that is kept; what was used longest ago goes")
