"""The simulator as a whole: issuer and backend, each on its own origin."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from tests.simulator.backend import PREFIX, Backend
from tests.simulator.faults import Faults
from tests.simulator.issuer import Account, Issuer
from tests.simulator.proxy import Proxy
from tests.simulator.server import Origin, Request

HOSTS = ("auth.openai.com", "chatgpt.com")


class Simulator:
    """Both servers, from construction to `close`; a context manager.

    Plain: `issuer_url` and `base_url` are http on loopback. With `tls_folder` they are the true https addresses, to be
    reached with `proxy_url` and the roots in `ca_bundle`, a file in that folder.
    """

    def __init__(self, *, tls_folder: Path | None = None, account: Account | None = None) -> None:
        self.issuer = Issuer(account=account or Account())
        self.backend = Backend(self.issuer)
        contexts: list[ssl.SSLContext | None] = [None, None]
        self.ca_bundle: Path | None = None
        if tls_folder is not None:
            contexts, self.ca_bundle = certify(tls_folder, HOSTS)
        self.issuer_origin = Origin("issuer", self.issuer.answer, contexts[0])
        self.backend_origin = Origin("backend", self.backend.answer, contexts[1])
        self.proxy: Proxy | None = None
        self.issuer_url, backend_url = self.issuer_origin.url, self.backend_origin.url
        if tls_folder is not None:
            ports = (self.issuer_origin.port, self.backend_origin.port)
            self.proxy = Proxy({f"{host}:443": port for host, port in zip(HOSTS, ports, strict=True)})
            self.issuer_url, backend_url = (f"https://{host}" for host in HOSTS)
        self.base_url = f"{backend_url}{PREFIX}/codex"
        self.issuer.url = self.issuer_url

    def __enter__(self) -> Simulator:  # noqa: PYI034
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.issuer_origin.close()
        self.backend_origin.close()
        if self.proxy is not None:
            self.proxy.close()

    @property
    def proxy_url(self) -> str | None:
        return self.proxy.url if self.proxy else None

    @property
    def issuer_faults(self) -> Faults:
        return self.issuer.faults

    @property
    def backend_faults(self) -> Faults:
        return self.backend.faults

    @property
    def journal(self) -> list[Request]:
        """Every request that either server was sent, the issuer's first."""
        return [*self.issuer_origin.journal, *self.backend_origin.journal]

    def count(self, path: str, **fields: str) -> int:
        """How many requests ended in `path` and carried these body fields, e.g. `grant_type="refresh_token"`."""
        return sum(
            request.path.endswith(path) and fields.items() <= request.fields().items()
            for request in self.journal
        )

    @property
    def renewals(self) -> int:
        """How many times a refresh token was sent."""
        return self.count("/oauth/token", grant_type="refresh_token")

    def config(self, **network: Any) -> str:
        """A config.yaml with one entry that talks to this simulator."""
        lines = ["providers:", "  openai-codex:", "    name: openai-codex"]
        if self.proxy is None:
            lines += [f"    base_url: {self.base_url}", f"    issuer: {self.issuer_url}"]
        else:
            network = {"proxy": self.proxy_url, "ca_bundle": self.ca_bundle, **network}
        if network:
            lines += ["network:", *[f"  {name}: {value}" for name, value in network.items()]]
        return "\n".join(lines) + "\n"


def certify(folder: Path, hosts: tuple[str, ...]) -> tuple[list[ssl.SSLContext | None], Path]:
    """Make a server's TLS context for each host, and the file with the roots that vouch for them."""
    import trustme

    authority = trustme.CA()
    bundle = folder / "simulator-ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    contexts: list[ssl.SSLContext | None] = []
    for host in hosts:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(host).configure_cert(context)
        contexts.append(context)
    return contexts, bundle
