"""The steps of one connection, run one at a time through the same gate, so that `missy doctor` can name the failing one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.net import names
from missy.net.gate import Attribution, RequestContext, refusal
from missy.net.limits import Clock
from missy.policy import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from missy.net.gate import Gate


class Step:
    """One step: its name, its result, and its error, if any."""

    __slots__ = ("detail", "error", "name")

    def __init__(self, name: str, detail: str, error: MissyError | None = None) -> None:
        self.name: str = name
        self.detail: str = detail
        self.error: MissyError | None = error


def probe(
    gate: Gate, url: str, *, entry: str, timeout: float, proxied: bool, ca_bundle: str | None
) -> Iterator[Step]:
    """Yield the steps policy, dns, tcp and tls towards `url`, up to the first that fails. Every connection is audited."""
    target = parse(url)
    decision = gate.policy.decide(target)
    if not decision.allowed:
        yield Step("policy", decision.reason, refusal(decision))
        return
    yield Step("policy", decision.reason)
    if proxied:
        yield Step("dns", "left to network.proxy")
        return
    request_context = RequestContext(Attribution(Clock(timeout), entry=entry), target, decision)

    def look_up() -> str:
        addresses = names.resolve(target.host, target.port, request_context.clock)
        gate.check_addresses(request_context, addresses)
        return ", ".join(addresses)

    step = _take("dns", look_up)
    yield step
    if step.error is None:
        yield from _connect(gate, request_context, ca_bundle)


def _connect(gate: Gate, request_context: RequestContext, ca_bundle: str | None) -> Iterator[Step]:
    from missy.net import tls
    from missy.net.streams import Backend, Stream

    target, streams = request_context.target, list[Stream]()

    def connect() -> str:
        streams.append(Backend(gate).connect_tcp(target.host, target.port, request_context))
        return f"connected to port {target.port}"

    def start_tls() -> str:
        streams.append(streams[0].start_tls(tls.context(ca_bundle), target.host, request_context))
        return streams[-1].tls_version()

    try:
        step = _take("tcp", connect)
        yield step
        if step.error is None and target.scheme == "https":
            yield _take("tls", start_tls)
    finally:
        for stream in streams[-1:]:
            stream.close()


def _take(name: str, act: Callable[[], str]) -> Step:
    try:
        return Step(name, act())
    except MissyError as error:
        return Step(name, error.message, error)
