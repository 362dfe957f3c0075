"""What Prometheus is told, in a registry of the server's own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of a server; ``path`` is one of its routes, never what a client makes up."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter("rag_requests", "answered requests", ["path", "status"], registry=own)
        self.seconds = Histogram(
            "rag_request_seconds",
            "until the end of an answer",
            ["path"],
            buckets=_SECONDS,
            registry=own,
        )
        self.records = Counter("rag_records", "records answered", ["run"], registry=own)
        self.batches = Histogram("rag_batch_records", "records of a batch", ["run"], buckets=_SIZES, registry=own)
        self.waiting = Gauge("rag_waiting_records", "records that wait", ["run"], registry=own)
        self.open = Gauge("rag_open_requests", "requests that are being answered", registry=own)
        ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
