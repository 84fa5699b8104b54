"""The checks of one entry: policy, DNS, TCP, TLS, credential or login, one models call, and the clock."""

from __future__ import annotations

import os
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

from missy.checks import Check, failed
from missy.diagnosis.base_url import find_v1
from missy.diagnosis.proxies import proxy_from
from missy.errors import MissyError
from missy.kinds import kind_of
from missy.plural import counted
from missy.policy import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.assistant import Missy
    from missy.config.schema import Entry
    from missy.policy import Target

_MAX_CLOCK_ERROR_SECONDS = 300.0


def examine(missy: Missy, entry: Entry, timeout: float) -> Iterator[Check]:
    """Yield the checks of one entry, up to the one after which it cannot continue. A login is read, never renewed."""
    if not entry.enabled:
        yield Check(entry.entry, "skip", "disabled")
    elif entry.endpoint is None:
        yield from _examine_without_endpoint(missy, entry, timeout)
    else:
        yield from _examine_remote(missy, entry, timeout)


def _examine_without_endpoint(missy: Missy, entry: Entry, timeout: float) -> Iterator[Check]:
    """Yield the checks of an entry that has no endpoint."""
    usable = True
    for check in _examine_kind(missy, entry):
        usable = usable and check.status != "fail"
        yield check
    if usable:
        yield _ask_models(missy, entry, timeout)


def _examine_kind(missy: Missy, entry: Entry) -> Iterator[Check]:
    return kind_of(entry).examine(entry, os.environ, lambda: missy.provider(entry))


def _examine_remote(missy: Missy, entry: Entry, timeout: float) -> Iterator[Check]:
    assert entry.endpoint is not None
    target = parse(entry.endpoint)
    broken = False
    for check in _connect(missy, entry, target, timeout):
        broken = broken or check.status == "fail"
        yield check
    usable = True
    for check in _examine_kind(missy, entry):
        usable = usable and check.status == "ok"
        yield check
    if broken or not usable:
        why = "the endpoint cannot be reached" if broken else "not asked without a valid credential"
        yield Check(f"{entry.entry}: models", "skip", why)
        return
    missy.door().gate.last_headers = ()
    yield _ask_models(missy, entry, timeout)
    yield from _examine_clock(missy, entry)


def _connect(missy: Missy, entry: Entry, target: Target, timeout: float) -> Iterator[Check]:
    """Yield the checks of policy, DNS, TCP and TLS, and of the proxy that may be needed if one fails."""
    from missy.net.gate import refusal
    from missy.net.probe import probe

    assert entry.endpoint is not None
    network = missy.config.network
    proxied = network.proxy is not None and target.scheme == "https" and not target.is_loopback
    probe_options: dict[str, Any] = {"timeout": timeout, "proxied": proxied, "ca_bundle": network.ca_bundle}
    for step in probe(missy.door().gate, entry.endpoint, entry=entry.entry, **probe_options):
        name = f"{entry.entry}: {step.name}"
        if step.error is None:
            yield Check(name, "ok", step.detail)
            continue
        yield failed(name, step.error, kind_of(entry).fix(step.error, entry, target.host, step.name))
        variable, line = proxy_from(os.environ)
        if step.name in ("dns", "tcp") and variable and network.proxy is None and not target.is_loopback:
            detail = f"{variable} is set, so this network may need a proxy"
            yield Check(f"{entry.entry}: proxy", "warn", detail, line)
    for url in entry.endpoints[1:]:
        decision = missy.door().gate.policy.decide(parse(url))
        if not decision.allowed:
            yield failed(f"{entry.entry}: policy", refusal(decision))


def _ask_models(missy: Missy, entry: Entry, timeout: float) -> Check:
    name = f"{entry.entry}: models"
    ask = f"missy ask --provider {shlex.quote(entry.entry)} hello"
    try:
        models = missy.models(entry.entry, timeout=timeout)
    except MissyError as error:
        if error.status in (404, 405):
            better = find_v1(missy.config, entry.entry, timeout)
            if better is not None:
                key = f"providers.{entry.entry}.base_url"
                fix = f"missy config set {shlex.quote(key)} {shlex.quote(better.url)}"
                return Check(name, "fail", better.advice, fix, error.exit_code)
            return Check(name, "warn", f"the endpoint lists no models ({error.status})", ask)
        host = parse(entry.endpoint).host if entry.endpoint else ""
        return failed(name, error, kind_of(entry).fix(error, entry, host, "models"))
    if not models:
        return Check(name, "warn", "the endpoint lists no models", ask)
    wanted = entry.model
    if wanted and not any(model == wanted or model.endswith(f"/{wanted}") for model in models):
        detail = f"{counted(len(models), 'model')}, but {wanted} is not among them"
        return Check(name, "warn", detail, f"missy models --provider {shlex.quote(entry.entry)}")
    return Check(name, "ok", counted(len(models), "model"))


def _examine_clock(missy: Missy, entry: Entry) -> Iterator[Check]:
    """Compare the clock of this machine with the Date header of the last reply."""
    from email.utils import parsedate_to_datetime

    reply_headers = {name.lower(): value for name, value in missy.door().gate.last_headers}
    if (
        b"date" not in reply_headers or b"age" in reply_headers
    ):  # a reply with Age comes from a cache, and its Date is old
        return
    try:
        error_seconds = (
            time.time() - parsedate_to_datetime(reply_headers[b"date"].decode("latin-1")).timestamp()
        )
    except (ValueError, OverflowError):
        return
    name = f"{entry.entry}: clock"
    if abs(error_seconds) <= _MAX_CLOCK_ERROR_SECONDS:
        yield Check(name, "ok", "within five minutes of the endpoint's")
        return
    side = "fast" if error_seconds > 0 else "slow"
    fix = "sudo sntp -sS time.apple.com" if sys.platform == "darwin" else "sudo timedatectl set-ntp true"
    yield Check(name, "warn", f"this machine's clock is {abs(error_seconds) / 60:.0f} minutes {side}", fix)
