"""The decision and the record of every request: what is shared by the sync and the async way out.

`Gate.authorize` decides on the name and writes the audit's opening line; `Gate.check_addresses` decides on the addresses;
`RequestContext` is the request on its way: its clock, its decision, the bytes that it moved.
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
    """Who sends and on whose account: set around a request by the room that makes it.

    `extras` names what the entry sends besides its key.
    `live`: every byte of the reply restarts the clock, since nobody here can tell which of them are events.
    `may_stop`: whoever reads may stop before the reply is over, and that is no failure.
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
        self.clock = clock
        self.category = category
        self.entry = entry
        self.credential = credential
        self.extras = extras or {}
        self.live = live
        self.may_stop = may_stop


class RequestContext:
    """One request on its way through the door.

    httpcore2 hands a request's timeouts to the network backend and its streams unread; a RequestContext travels in their
    place, so that each read and write knows the clock, the decision and the counters of the request that it serves.
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
        self.attribution = attribution
        self.clock = attribution.clock
        self.target = target
        self.decision = decision
        self.opened: PendingRecord | None = None
        self.bytes_out = 0
        self.bytes_in = 0
        self.ended = False
        self.is_preconnected = False  # whether its connection was there before it


def refusal(decision: Decision) -> PolicyError:
    """Return the error for a refused decision: the rule, the reason, and the line that would allow it."""
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
    """The policy and the audit, asked on every request."""

    def __init__(self, policy: Policy, audit: Audit) -> None:
        self.policy = policy
        self.audit = audit
        self.last_headers: Sequence[
            tuple[bytes, bytes]
        ] = ()  # the headers of the last reply, for a diagnosis
        self._decided: dict[tuple[str, Category], tuple[Target, Decision]] = {}

    def authorize(self, origin: str, method: str, path: str, attribution: Attribution) -> RequestContext:
        """Decide on one request and open its audit line. Raises PolicyError; nothing has been sent or looked up."""
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

    def require(self, url: str, attribution: Attribution) -> None:
        """Raise PolicyError, and put it on record, where a request to `url` would be refused for its name.

        For who is about to look for a credential: what may not be reached needs none.
        """
        target, decision = self._decide(url, attribution)
        if not decision.allowed:
            path = "/" + url.partition("://")[2].partition("/")[2]
            self.deny(RequestContext(attribution, target, decision), decision, "POST", path)

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
        """Put a request on record whose URL is none, and return its refusal. `host` holds nothing secret."""
        self.audit.begin(
            kind="request",
            category=attribution.category,
            host=host[:200],
            port=0,
            credential=attribution.credential,
            rule="invalid",
            entry=attribution.entry,
            allowed=False,
        )
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
        """Put a request on record that no rule of the configuration could allow, and return its refusal."""
        self.audit.begin(
            kind="request" if path else "connect",
            category=attribution.category,
            host=target.host,
            port=target.port,
            method=method,
            path=path,
            credential=attribution.credential,
            rule=rule,
            entry=attribution.entry,
            allowed=False,
        )
        return PolicyError(f"refused by the policy ({rule}): {why}", hint=hint, rule=rule, host=target.host)

    def deny(
        self, context: RequestContext, decision: Decision, method: str = "CONNECT", path: str = ""
    ) -> None:
        """Put a refusal on record and raise it as PolicyError."""
        target, attribution = context.target, context.attribution
        self.audit.begin(
            kind="request" if path else "connect",
            category=attribution.category,
            host=target.host,
            port=target.port,
            method=method,
            path=path,
            credential=attribution.credential,
            rule=decision.rule,
            entry=attribution.entry,
            allowed=False,
        )
        raise refusal(decision)

    def check_addresses(self, context: RequestContext, addresses: Sequence[str]) -> None:
        """Decide on the addresses of a name before any is connected to. Raises PolicyError."""
        decision = self.policy.check_addresses(context.target, context.decision, addresses)
        if not decision.allowed:
            self.deny(context, decision)

    def attempt(
        self, context: RequestContext, host: str, address: str, port: int, *, proxy: bool = False
    ) -> PendingRecord:
        """Open the audit line of one connection attempt: to `host`, which is the proxy's where one stands between."""
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
        """Close the request's audit line, once."""
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
