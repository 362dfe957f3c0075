"""What ``conf/serve.yaml`` says."""

from pydantic import BaseModel, ConfigDict, Field


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BatchOptions(_Options):
    enabled: bool = Field(True, description="answer what waits together; false: one request after the other")
    records: int = Field(64, ge=1, description="records that are answered together at most")
    wait_ms: float = Field(4.0, ge=0, description="how long the first one waits for others, in milliseconds")
    tokens: int = Field(4096, ge=1, description="padded tokens in a batch; texts of similar length stand together")


class LimitOptions(_Options):
    body_bytes: int = Field(1_000_000, ge=1, description="of a request; more: 413")
    text_chars: int = Field(100_000, ge=1, description="of all texts of a record; more: 422")
    records: int = Field(256, ge=1, description="of a request; more: 422")
    queue: int = Field(1024, ge=1, description="records of a run that wait; more: 429")
    requests: int = Field(512, ge=1, description="requests at a time; more: 503")
    seconds: float = Field(60.0, gt=0, description="until an answer; longer: 503")
    upload_seconds: float = Field(20.0, gt=0, description="for a request to arrive; longer: 408")


class ServeConfig(_Options):
    run: str | list[str] = Field(description="the folder of a finished run, or of several: [A,B]")
    host: str = Field("127.0.0.1", description="0.0.0.0: all that reach this machine")
    port: int = Field(8000, ge=0, lt=65536, description="0: a free one")
    token_env: str = Field(
        "RAG_LIGHTNING_TOKEN",
        description="environment variable with the bearer token; unset: none is asked for",
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 …")
    batch: BatchOptions
    limits: LimitOptions
    shutdown_seconds: float = Field(30.0, ge=0, description="on SIGTERM: how long what is in flight may take")

    @property
    def runs(self) -> list[str]:
        """The folders."""
        return [self.run] if isinstance(self.run, str) else list(self.run)
