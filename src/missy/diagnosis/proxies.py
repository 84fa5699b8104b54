"""Finds a proxy in the environment, which Missy ignores, and makes the line for config.yaml. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def proxy_from(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable that names a proxy and the line for config.yaml; two empty texts if there is none.

    A value that is not valid there, one with a password for example, is not shown.
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
