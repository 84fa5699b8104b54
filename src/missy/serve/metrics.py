"""Counts of this process for Prometheus, in its text format. Names of keys and models are labels; nothing else is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.serve.ledger import Spent

MAX_SERIES = 2_000  # label values; what comes after them is counted as "other"
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)  # seconds
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counts since this process started."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()  # by key, model and result
        self._tokens: Counter[tuple[str, str, str]] = Counter()  # by key, model and direction
        self._cost: Counter[tuple[str, str]] = Counter()  # micro-dollars
        self._latency = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self.in_flight = 0
        self.store_up = True
        self.unsettled = 0

    def count(self, spent: Spent, result: str) -> None:
        """Count one request: `result` is ok, incomplete, or the code of an error."""
        model = f"{spent.entry}/{spent.model}" if spent.model else spent.entry
        key = (spent.key, model, result)
        if len(self._requests) >= MAX_SERIES and key not in self._requests:
            key = ("other", "other", result)
        who, model, _ = key
        self._requests[key] += 1
        if spent.requests:
            self._tokens[who, model, "input"] += spent.input_tokens
            self._tokens[who, model, "output"] += spent.output_tokens
            self._cost[who, model] += spent.cost_micro
            seconds = spent.latency_ms / 1000
            self._seconds += seconds
            self._latency[next((n for n, most in enumerate(BUCKETS) if seconds <= most), len(BUCKETS))] += 1

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return ("\n".join(self._lines()) + "\n").encode()

    def _lines(self) -> Iterator[str]:
        yield "# TYPE missy_requests_total counter"
        for (who, model, result), count in sorted(self._requests.items()):
            yield f"missy_requests_total{_labels(key=who, model=model, result=result)} {count}"
        yield "# TYPE missy_tokens_total counter"
        for (who, model, direction), count in sorted(self._tokens.items()):
            yield f"missy_tokens_total{_labels(key=who, model=model, direction=direction)} {count}"
        yield "# TYPE missy_cost_usd_total counter"
        for (who, model), micro in sorted(self._cost.items()):
            yield f"missy_cost_usd_total{_labels(key=who, model=model)} {micro / 1_000_000:.6f}"
        yield "# TYPE missy_request_seconds histogram"
        total = 0
        for most, count in zip((*BUCKETS, "+Inf"), self._latency, strict=True):
            total += count
            yield f'missy_request_seconds_bucket{{le="{most}"}} {total}'
        yield f"missy_request_seconds_sum {self._seconds:.3f}"
        yield f"missy_request_seconds_count {total}"
        for name, value in (
            ("missy_requests_in_flight", self.in_flight),
            ("missy_store_up", int(self.store_up)),
            ("missy_unsettled_requests", self.unsettled),
        ):
            yield f"# TYPE {name} gauge"
            yield f"{name} {value}"


def _labels(**values: str) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in values.items()) + "}"
