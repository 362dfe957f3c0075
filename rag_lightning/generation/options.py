"""How text is written: greedily, with beams, or by drawing."""

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_DRAWING = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}
_BEAMS = {"length_penalty": 1.0, "early_stopping": False}


class GenerationOptions(BaseModel):
    """Without beams and drawing: greedy, the likeliest token at each step.

    An option that would have no effect is refused instead of ignored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_new_tokens: int = Field(64, ge=1, description="tokens written at most; room for them is kept in the window")
    min_new_tokens: int = Field(0, ge=0, description="tokens written at least: no end of text before")
    num_beams: int = Field(1, ge=1, description="hypotheses kept at each step; 1: none beside the likeliest")
    length_penalty: float = Field(
        1.0,
        description="with beams: a hypothesis' log-probability is divided by its length to this power; above 1 favours "
        "longer texts",
    )
    early_stopping: bool = Field(
        False, description="with beams: end as soon as num_beams hypotheses are complete, without looking for better"
    )
    do_sample: bool = Field(False, description="draw each token from the model's distribution, by the seed")
    temperature: float = Field(1.0, gt=0, description="of drawing: below 1 sharpens the distribution")
    top_p: float = Field(1.0, gt=0, le=1, description="draw from the likeliest tokens that hold this share (nucleus)")
    top_k: int = Field(0, ge=0, description="draw from this many likeliest tokens; 0: from all")
    seed: int = Field(0, ge=0, lt=2**63, description="of drawing")
    repetition_penalty: float = Field(
        1.0, gt=0, description="above 1 makes tokens less likely that were written before (the prompt does not count)"
    )
    no_repeat_ngram_size: int = Field(0, ge=0, description="no run of so many tokens is written twice; 0: any may")
    stop: tuple[str, ...] = Field((), description="texts at which writing ends; what follows is left out, as they are")

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _no_contradiction(self) -> "GenerationOptions":
        if self.do_sample and self.num_beams > 1:
            raise ValueError(
                "beams look for the likeliest text and do_sample draws one: set num_beams=1 or do_sample=false"
            )
        for name, neutral in _DRAWING.items():
            if not self.do_sample and getattr(self, name) != neutral:
                raise ValueError(f"{name} has no effect without do_sample=true")
        for name, neutral in _BEAMS.items():
            if self.num_beams == 1 and getattr(self, name) != neutral:
                raise ValueError(f"{name} has no effect without beams: set num_beams=4, for example")
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f"min_new_tokens={self.min_new_tokens} is more than max_new_tokens={self.max_new_tokens}")
        if "" in self.stop:
            raise ValueError("stop holds an empty text, which would stop everything at once")
        return self


GREEDY = GenerationOptions()
