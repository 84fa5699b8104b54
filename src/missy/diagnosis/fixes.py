"""From an error to what can be pasted against it: a command, or a line for config.yaml. No I/O."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from missy.diagnosis import Check
from missy.errors import ConfigError, CredentialError, LimitError, MissyError, PolicyError, TimedOut
from missy.secrets.resolve import environment_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.config.schema import Entry

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def failed(name: str, error: MissyError, fix: str = "") -> Check:
    """Return the check that an error ended. What its hint says and the fix does not stays in the detail."""
    fix = fix or paste(error)
    detail = error.message if fix == error.hint or not error.hint else f"{error.message}; {error.hint}"
    return Check(
        name, "fail", error.message if isinstance(error, PolicyError) else detail, fix, error.exit_code
    )


def paste(error: MissyError) -> str:
    """Return what can be pasted against an error that belongs to no entry."""
    if isinstance(error, PolicyError):
        _, found, line = error.hint.partition("config.yaml: ")
        return line if found else "missy net list"
    if isinstance(error, ConfigError) and error.file:
        place = f"+{error.line} " if error.line else ""
        return f"${{EDITOR:-vi}} {place}{shlex.quote(error.file)}"
    return "missy setup" if "no provider is configured" in error.message else "missy providers"


def for_entry(error: MissyError, entry: Entry, host: str, step: str) -> str:
    """Return what can be pasted against an error that ended a step of an entry's path."""
    name, url = shlex.quote(entry.entry), shlex.quote(entry.endpoint or "")
    if isinstance(error, PolicyError | ConfigError):
        return paste(error)
    if isinstance(error, LimitError):
        return f"missy doctor --provider {name}"
    if isinstance(error, TimedOut):
        return f"missy doctor --provider {name} --timeout 60"
    if isinstance(error, CredentialError):
        return _for_credential(error, entry)
    if step == "dns":
        return f"getent hosts {shlex.quote(host)}"
    if step in ("tcp", "tls", "models"):
        return f"curl -sS -o /dev/null -m 10 {url}"
    return f"missy doctor --provider {name}"


def _for_credential(error: CredentialError, entry: Entry) -> str:
    name = shlex.quote(entry.entry)
    if entry.kind == "openai-codex":
        return f"missy auth login {name}"
    references = [key for key in (entry.api_key, *entry.api_keys) if key and key.startswith("vault://")]
    if error.status is None and "vault" in error.message and references:
        return f"missy vault set {shlex.quote(references[0].removeprefix('vault://'))}"
    if error.status is None and (entry.api_key or "").startswith("$"):
        return f"export {(entry.api_key or '')[1:]}=YOUR-KEY"
    names = environment_names(entry)
    if error.status is None and not entry.api_key and not entry.api_keys and names:
        return f"export {names[0]}=YOUR-KEY"
    url = f" --base-url {shlex.quote(entry.base_url)}" if entry.base_url else ""
    return f"missy setup --no-prompt --provider openai --entry {name}{url} --api-key-stdin --force"


def proxy_from(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable that names a proxy, and the line for config.yaml; two empty texts without one.

    What cannot be written there, a user name with a password say, is not shown.
    """
    from missy.config.values import Wrong, proxy

    for name in _PROXIES:
        value = environ.get(name, "").strip()
        if value:
            try:
                found = proxy(value if "://" in value else f"http://{value}")
            except Wrong:
                found = "http://HOST:PORT"
            return name, f'network: {{proxy: "{found}"}}'
    return "", ""
