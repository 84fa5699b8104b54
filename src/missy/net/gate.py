"""Authorization and audit of every request, shared by sync and async code.

`Gate.authorize` decides on the host name and writes the first audit line; `Gate.check_addresses` decides on the
addresses; `RequestContext` carries one request's clock, decision and byte counters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import MissyError, PolicyError
from missy.net.limits import Clock
from missy.policy import InvalidURL, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from missy.audit import Audit, PendingRecord
    from missy.policy import Category, Decision, Policy, Target

MAX_CACHED_DECISIONS = 256  # decisions kept; a process talks to a handful of origins


class Attribution:
    """Which entry and credential a request belongs to, and its clock; set by the code that makes the request.

    `extras` are the names of the entry's additional headers and parameters.
    `live`: every byte of the response resets the clock, because events cannot be recognized here.
    `may_stop`: closing the response early is not a failure.
    """

    __slots__ = ("category", "clock", "credential", "entry", "extras", "live", "may_stop")

    def __init__(
        self,
        clock: Clock,
        *,
        category: Category = "provider",
        entry: str = "",
        credential: str = "none",
        extras: Mapping[str, Any] | None = None,
        live: bool = False,
        may_stop: bool = False,
    ) -> None:
        self.clock: Clock = clock
        self.category = category
        self.entry: str = entry
        self.credential: str = credential
        self.extras: Mapping[str, Any] | dict[str, Any] = extras or {}
        self.live: bool = live
        self.may_stop: bool = may_stop


class RequestContext:
    """The state of one request.

    Each read and write of a connection is given it, and so has the clock, the decision and the counters of its request.
    """

    __slots__ = (
        "attribution",
        "bytes_in",
        "bytes_out",
        "clock",
        "decision",
        "ended",
        "is_preconnected",
        "opened",
        "target",
    )

    def __init__(self, attribution: Attribution, target: Target, decision: Decision) -> None:
        self.attribution: Attribution = attribution
        self.clock: Clock = attribution.clock
        self.target: Target = target
        self.decision: Decision = decision
        self.opened: PendingRecord | None = None
        self.bytes_out: int = 0
        self.bytes_in: int = 0
        self.ended: bool = False
        self.is_preconnected: bool = False  # whether its connection was opened by preconnect


def refusal(decision: Decision) -> PolicyError:
    """Return the error for a refusal: the rule, the reason, and the YAML that would allow the request."""
    hint = (
        f"to allow it, add to config.yaml: {decision.fix}"
        if decision.fix
        else "see what is allowed: missy net list"
    )
    return PolicyError(
        f"refused by the policy ({decision.rule}): {decision.reason}",
        hint=hint,
        rule=decision.rule,
        host=decision.target.host,
    )


class Gate:
    """Applies the policy to every request and records it in the audit."""

    def __init__(self, policy: Policy, audit: Audit) -> None:
        self.policy = policy
        self.audit = audit
        self.last_headers: Sequence[
            tuple[bytes, bytes]
        ] = ()  # the headers of the last response, for `missy doctor`
        self._decided: dict[tuple[str, Category], tuple[Target, Decision]] = {}

    def authorize(self, origin: str, method: str, path: str, attribution: Attribution) -> RequestContext:
        """Authorize one request and start its audit record. Raises PolicyError before any lookup or connection."""
        target, decision = self._decide(origin, attribution)
        context = RequestContext(attribution, target, decision)
        if not decision.allowed:
            self.deny(context, decision, method, path)
        context.opened = self.audit.begin(
            kind="request",
            category=attribution.category,
            host=target.host,
            port=target.port,
            method=method,
            path=path,
            credential=attribution.credential,
            rule=decision.rule,
            entry=attribution.entry,
            **attribution.extras,
        )
        return context

    def require(self, url: str, attribution: Attribution, method: str = "POST") -> None:
        """Raise PolicyError, and record it, if a request to `url` would be refused for its host name.

        Called before a credential is looked up: a refused target needs none.
        """
        target, decision = self._decide(url, attribution)
        if not decision.allowed:
            path = "/" + url.partition("://")[2].partition("/")[2]
            self.deny(RequestContext(attribution, target, decision), decision, method, path)

    def _decide(self, origin: str, attribution: Attribution) -> tuple[Target, Decision]:
        key = (origin, attribution.category)
        known = self._decided.get(key)
        if known is None:
            try:
                target = parse(origin)
            except InvalidURL as error:
                raise self.invalid(str(error), attribution, host=origin) from error
            known = target, self.policy.decide(target, attribution.category)
            if len(self._decided) < MAX_CACHED_DECISIONS:
                self._decided[key] = known
        return known

    def invalid(self, why: str, attribution: Attribution, *, host: str = "") -> PolicyError:
        """Record a request with an invalid URL, and return its refusal. `host` must not contain a secret."""
        self._record_refusal(attribution, "invalid", host[:200], 0, "", "")
        return PolicyError(f"refused: {why}", hint="give a plain https URL", rule="invalid", host=host)

    def deny_outright(
        self,
        target: Target,
        attribution: Attribution,
        why: str,
        *,
        rule: str,
        hint: str,
        method: str = "",
        path: str = "",
    ) -> PolicyError:
        """Record a request that no rule can allow, and return its refusal."""
        self._record_refusal(attribution, rule, target.host, target.port, method, path)
        return PolicyError(f"refused by the policy ({rule}): {why}", hint=hint, rule=rule, host=target.host)

    def deny(
        self, context: RequestContext, decision: Decision, method: str = "CONNECT", path: str = ""
    ) -> None:
        """Record a refusal and raise it as PolicyError."""
        target = context.target
        self._record_refusal(context.attribution, decision.rule, target.host, target.port, method, path)
        raise refusal(decision)

    def _record_refusal(
        self, attribution: Attribution, rule: str, host: str, port: int, method: str, path: str
    ) -> None:
        """Record a refusal: of a request, or, without a path, of the connection that it needs."""
        self.audit.begin(
            kind="request",
            category=attribution.category,
            host=host,
            port=port,
            method=method,
            path=path,
            credential=attribution.credential,
            rule=rule,
            entry=attribution.entry,
            allowed=False,
        )

    def check_addresses(self, context: RequestContext, addresses: Sequence[str]) -> None:
        """Check the addresses of a name before connecting to any of them. Raises PolicyError."""
        decision = self.policy.check_addresses(context.target, context.decision, addresses)
        if not decision.allowed:
            self.deny(context, decision)

    def attempt(
        self, context: RequestContext, host: str, address: str, port: int, *, proxy: bool = False
    ) -> PendingRecord:
        """Start the audit record of one connection attempt to `host`, which is the proxy's host if there is a proxy."""
        attribution = context.attribution
        return self.audit.begin(
            kind="connect",
            category="proxy" if proxy else attribution.category,
            host=host,
            port=port,
            credential="none",
            rule=context.decision.rule,
            entry=attribution.entry,
            address=address,
        )

    def end(
        self, context: RequestContext, *, status: int | None = None, error: BaseException | None = None
    ) -> None:
        """Finish the request's audit record, once."""
        if context.ended or context.opened is None:
            return
        context.ended = True
        self.audit.finish(
            context.opened,
            status=status,
            bytes_out=context.bytes_out,
            bytes_in=context.bytes_in,
            outcome="ok" if error is None else "failed",
            error=error.type if isinstance(error, MissyError) else type(error).__name__ if error else "",
        )
