"""The walk of `missy doctor`: each entry's true path, step by step, and the fix for what is wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.policy import parse
from missy.secrets.resolve import credentials, environment_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.assistant import Missy
    from missy.config.schema import Entry

# What users of other clients may think counts; it changes nothing here.
_IGNORED = (
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPENAI_CUSTOM_HEADERS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSLKEYLOGFILE",
)


class Check:
    """One check: `status` is ok, warn, fail or skip; `fix` can be pasted or done; `exit_code` is that of the failure."""

    __slots__ = ("detail", "exit_code", "fix", "name", "status")

    def __init__(self, name: str, status: str, detail: str, fix: str = "", exit_code: int = 0) -> None:
        self.name = name
        self.status = status
        self.detail = detail
        self.fix = fix
        self.exit_code = exit_code


def failed(name: str, error: MissyError) -> Check:
    """Return the check that an error ended."""
    return Check(name, "fail", error.message, error.hint, error.exit_code)


def examine_machine() -> Iterator[Check]:
    """Look at the home folder and the environment."""
    from missy import paths

    try:
        home = paths.home()
        if home.exists():
            paths.ensure_dir(home)
        yield Check("home", "ok", str(home))
    except MissyError as error:
        yield failed("home", error)
    for name in _IGNORED:
        found = name if os.environ.get(name) else name.lower() if os.environ.get(name.lower()) else None
        if found:
            yield Check("environment", "warn", f"{found} is set, and changes nothing here", _instead(name))


def _instead(name: str) -> str:
    """Say where in the configuration a user says what the variable would have said to another client."""
    if "PROXY" in name:
        return "if a proxy is needed, set network.proxy in config.yaml"
    if name.startswith("SSL_CERT"):
        return "if a root certificate is missing, set network.ca_bundle in config.yaml"
    return "set base_url in an entry, if you mean it" if name == "OPENAI_BASE_URL" else "nothing to do"


def examine(missy: Missy, entry: Entry, timeout: float) -> Iterator[Check]:
    """Walk one entry's path: policy, dns, tcp, tls, credential, one models call. Stops where it cannot go on."""
    if not entry.enabled:
        yield Check(entry.entry, "skip", "disabled")
        return
    if entry.kind == "local":
        yield from _examine_local(missy, entry, timeout)
        return
    yield from _examine_remote(missy, entry, timeout)


def _examine_remote(missy: Missy, entry: Entry, timeout: float) -> Iterator[Check]:
    from missy.net.probe import probe

    assert entry.endpoint is not None
    target = parse(entry.endpoint)
    network = missy.config.network
    proxied = network.proxy is not None and target.scheme == "https" and not target.is_loopback
    broken = False
    for step in probe(
        missy.door().gate,
        entry.endpoint,
        entry=entry.entry,
        timeout=timeout,
        proxied=proxied,
        ca_bundle=network.ca_bundle,
    ):
        name = f"{entry.entry}: {step.name}"
        broken = broken or step.error is not None
        yield failed(name, step.error) if step.error else Check(name, "ok", step.detail)
    try:
        found = credentials(
            entry.entry,
            api_key=entry.api_key,
            api_keys=entry.api_keys,
            host=target.host,
            loopback=target.is_loopback,
            environ=os.environ,
        )
    except MissyError as error:
        yield failed(f"{entry.entry}: credential", error)
        yield from _stray_key(entry, target.host)
        yield Check(f"{entry.entry}: models", "skip", "not asked without a credential")
        return
    yield Check(f"{entry.entry}: credential", "ok", ", ".join(credential.source for credential in found))
    if broken:
        yield Check(f"{entry.entry}: models", "skip", "there is no way to the endpoint")
        return
    yield _ask_models(missy, entry, timeout)


def _stray_key(entry: Entry, host: str) -> Iterator[Check]:
    if os.environ.get("OPENAI_API_KEY") and "OPENAI_API_KEY" not in environment_names(entry.entry, host):
        yield Check(
            f"{entry.entry}: credential",
            "warn",
            f"OPENAI_API_KEY is set, but goes to api.openai.com only, not to {host}",
            "if you do mean to send it there: api_key: $OPENAI_API_KEY in that entry",
        )


def _examine_local(missy: Missy, entry: Entry, timeout: float) -> Iterator[Check]:
    try:
        missy.provider(entry)
    except MissyError as error:
        yield failed(f"{entry.entry}: model", error)
        return
    yield Check(f"{entry.entry}: model", "ok", "the model is loaded and its server is up")
    yield _ask_models(missy, entry, timeout)


def _ask_models(missy: Missy, entry: Entry, timeout: float) -> Check:
    name = f"{entry.entry}: models"
    try:
        models = missy.models(entry.entry, timeout=timeout)
    except MissyError as error:
        if error.status == 404:
            return Check(name, "warn", "the endpoint lists no models (404)", "try: missy ask hello")
        return failed(name, error)
    if (
        entry.model
        and models
        and entry.model not in models
        and not any(m.endswith("/" + entry.model) for m in models)
    ):
        return Check(
            name,
            "warn",
            f"{len(models)} models, but {entry.model} is not among them",
            f"missy models --provider {entry.entry}",
        )
    return Check(name, "ok", f"{len(models)} models")
