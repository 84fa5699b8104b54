"""The presets that `network.presets` can name, as data. A preset allows exactly the hosts that it lists."""

from __future__ import annotations

from typing import NamedTuple

from missy.services import OPENAI, SERVICES, Service


class Preset(NamedTuple):
    """The hosts (with a port unless it is 443) that a preset allows, and what it is for."""

    hosts: tuple[str, ...]
    note: str


def _of(service: Service) -> Preset:
    if not service.here:
        return Preset(service.own_hosts, f"base_url {service.shown_url}")
    port = service.base_url.rpartition(":")[2].partition("/")[0]
    name = service.title.removesuffix(", on this machine")
    hosts = (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}")
    return Preset(hosts, f"{name} on this machine: base_url {service.base_url}")


def _has_own_host(service: Service) -> bool:
    return "{" in service.base_url.partition("://")[2].partition("/")[0]


PRESETS: dict[str, Preset] = {
    "openai": _of(OPENAI),
    # a service where every user has their own host name has no common host to allow
    **{name: _of(service) for name, service in SERVICES.items() if not _has_own_host(service)},
    "github": Preset(
        ("github.com", "api.github.com", "raw.githubusercontent.com", "codeload.github.com"),
        "GitHub: its pages, its API, files and archives",
    ),
}
