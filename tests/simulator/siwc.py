"""The simulator of Sign in with ChatGPT as a whole: issuer and API under their true names, behind a CONNECT proxy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.simulator.browser import Page, callback_of, visit
from tests.simulator.proxy import Proxy
from tests.simulator.server import Origin, Request
from tests.simulator.siwc_backend import SiwcBackend
from tests.simulator.siwc_issuer import TOKEN, URL, SiwcIssuer
from tests.simulator.world import certify

HOSTS = ("auth.openai.com", "api.openai.com")


class SiwcSimulator:
    """Both servers, from construction to `close`; a context manager. Its hosts cannot be configured, so it is TLS alone."""

    def __init__(self, folder: Path) -> None:
        self.issuer = SiwcIssuer()
        self.backend = SiwcBackend(self.issuer)
        contexts, self.ca_bundle = certify(folder, HOSTS)
        self.issuer_origin = Origin("issuer", self.issuer.answer, contexts[0])
        self.backend_origin = Origin("backend", self.backend.answer, contexts[1])
        ports = (self.issuer_origin.port, self.backend_origin.port)
        self.proxy = Proxy({f"{host}:443": port for host, port in zip(HOSTS, ports, strict=True)})

    def __enter__(self) -> SiwcSimulator:  # noqa: PYI034
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.issuer_origin.close()
        self.backend_origin.close()
        self.proxy.close()

    @property
    def network(self) -> dict[str, Any]:
        """The `network` section that leads here."""
        return {"proxy": self.proxy.url, "ca_bundle": str(self.ca_bundle)}

    @property
    def journal(self) -> list[Request]:
        """Every request that either server was sent, the issuer's first."""
        return [*self.issuer_origin.journal, *self.backend_origin.journal]

    def count(self, path: str, **fields: str) -> int:
        """How many requests ended in `path` and carried these body fields."""
        return sum(one.path.endswith(path) and fields.items() <= one.fields().items() for one in self.journal)

    @property
    def renewals(self) -> int:
        """How many times a refresh token was sent."""
        return self.count(TOKEN, grant_type="refresh_token")

    def local(self, address: str) -> str:
        """Return an address of the sign-in page as the scripted browser can reach it."""
        return address.replace(URL, self.issuer_origin.url)

    def visit(self, address: str) -> Page:
        """Open an address as a browser does, wherever it leads first."""
        for _ in range(3):
            if address.startswith(URL) or "/open/" not in address:
                break
            address = callback_of(address)
        return visit(self.local(address), self.ca_bundle)

    def callback_of(self, address: str) -> str:
        """Open the sign-in page, and return the address that it sends the browser to, without going there."""
        return callback_of(self.local(address), self.ca_bundle)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the servers alone."""
        self.issuer.clock += seconds

    @property
    def now(self) -> float:
        return time.time() + self.issuer.clock
