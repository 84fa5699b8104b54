"""A proxy that the environment names, and Missy ignores: as the line for config.yaml. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


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
