"""Which requests are looked at: by their Host and Origin. Pure.

A page in a browser can make requests to loopback, and with a name that it lets resolve to loopback (DNS rebinding) it
could read the replies. So the Host must be one of this gateway's, and pages of other origins are refused.
"""

from __future__ import annotations

from missy.serve.faults import Refused

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def hosts_of(listen_host: str, port: int, named: tuple[str, ...], *, tls: bool) -> frozenset[str]:
    """Return the values of Host that are this gateway's: loopback, where it listens, and the names of the configuration."""
    literal = f"[{listen_host}]" if ":" in listen_host else listen_host
    any_address = listen_host in ("0.0.0.0", "::")  # noqa: S104 compared, not bound
    names = [*_LOOPBACK, *named, *([] if any_address else [literal])]
    with_port = {f"{name}:{port}" for name in names}
    # A proxy in front, or the default port, leaves the port out.
    bare = set(named) | (set(names) if port == (443 if tls else 80) else set())
    return frozenset(with_port | bare)


def require_own(hosts: frozenset[str], host: str, origin: str, fetch_site: str, *, is_page: bool) -> None:
    """Raise Refused for a request to another name, or from a page of another origin."""
    if host.lower() not in hosts:
        raise Refused(403, "policy_refused", "the Host header does not name this gateway; see serve.hosts")
    own_origin = origin.partition("://")[2].lower() in hosts
    if origin and not (is_page and own_origin):
        raise Refused(403, "policy_refused", "requests of web pages are refused: an Origin header was sent")
    if not is_page and fetch_site not in ("", "none"):
        raise Refused(403, "policy_refused", "requests of web pages are refused: sec-fetch-site was sent")
