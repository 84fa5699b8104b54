"""The environment: none of what other clients read from it changes a byte of a request, or where it goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command import Command
from tests.net.conftest import ask
from tests.servers import Origin, chat_stream, response


def hostile(trap: Origin, folder: Path) -> dict[str, str]:
    """Return the variables of the contract, each with a value that would do harm if it were read."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), f"http://127.0.0.1:{trap.port}")
    variables = {
        "OPENAI_BASE_URL": trap.url,
        "OPENAI_ORG_ID": "org-canary",
        "OPENAI_PROJECT_ID": "proj_canary",
        "OPENAI_CUSTOM_HEADERS": "X-Canary: 1\nAuthorization: Bearer canary",
        "OPENAI_ADMIN_KEY": "sk-admin-canary",
        "OPENAI_API_KEY": "sk-openai-canary",
        "OPENAI_WEBHOOK_SECRET": "whsec_canary",
        **proxies,
        "NO_PROXY": "nowhere.example",
        "SSL_CERT_FILE": "/nonexistent/roots.pem",
        "SSL_CERT_DIR": "/nonexistent",
        "SSLKEYLOGFILE": str(folder / "keys.log"),
        "NETRC": str(folder / "netrc"),
        "REQUESTS_CA_BUNDLE": "/nonexistent/roots.pem",
        "CURL_CA_BUNDLE": "/nonexistent/roots.pem",
    }
    return variables | {name.lower(): value for name, value in variables.items() if "PROXY" in name}


@pytest.fixture
def trap(serve) -> Origin:
    """A server where nobody should come by."""
    return serve(response(200, b"trapped"))


@pytest.fixture
def endpoint(serve, certify) -> Origin:
    """An https endpoint on this machine, so that roots and key logs are in play."""
    return serve(chat_stream("hello"), tls=certify("127.0.0.1"))


def write_netrc(folder: Path) -> None:
    for name in ("netrc", ".netrc"):
        path = folder / name
        path.write_text(
            "machine 127.0.0.1 login canary password canary\ndefault login canary password canary\n"
        )
        path.chmod(0o600)


def test_all_variables_together_change_nothing(missy: Command, trap, endpoint, ca_bundle, tmp_path):
    """The real command, with every variable set, sends the bytes that it sends without them, to the same place."""
    missy.entry(endpoint.url, api_key="sk-of-the-entry", network={"ca_bundle": str(ca_bundle)})
    assert missy("ask", "hi").code == 0
    person = missy.home.parent
    write_netrc(person)
    write_netrc(tmp_path)
    variables = hostile(trap, tmp_path)
    assert missy("ask", "hi", env=variables).text == "hello\n"
    plain, hostile_ = ((r.method, r.path, r.headers, r.body) for r in endpoint.requests)
    assert hostile_ == plain
    assert trap.connections == 0
    assert not (tmp_path / "keys.log").exists()


NAMES = [
    "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS", "OPENAI_ADMIN_KEY", "OPENAI_API_KEY",
    "OPENAI_WEBHOOK_SECRET", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy",
    "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "NETRC", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_variable_alone_changes_anything(
    name, way, write_config, trap, endpoint, ca_bundle, tmp_path, monkeypatch
):
    """One by one, in the library, sync and async: byte for byte the same request."""
    path = write_config(endpoint.url, api_key="sk-of-the-entry", network={"ca_bundle": str(ca_bundle)})
    assert ask(way, path).text == "hello"
    write_netrc(tmp_path)
    write_netrc(Path(os.environ["HOME"]))
    monkeypatch.setenv(name, hostile(trap, tmp_path)[name])
    assert ask(way, path).text == "hello"
    plain, hostile_ = ((r.method, r.path, r.headers, r.body) for r in endpoint.requests)
    assert hostile_ == plain
    assert trap.connections == 0
    assert not (tmp_path / "keys.log").exists()


def test_without_a_key_of_its_own_no_key_is_borrowed(
    way, write_config, trap, endpoint, ca_bundle, tmp_path, monkeypatch
):
    """An endpoint on this machine needs no key, and gets none of those that lie about."""
    for name, value in hostile(trap, tmp_path).items():
        monkeypatch.setenv(name, value)
    path = write_config(endpoint.url, network={"ca_bundle": str(ca_bundle)})
    assert ask(way, path).text == "hello"
    assert endpoint.last.header("authorization") is None
    assert not any("canary" in value for _, value in endpoint.last.headers)


def test_the_users_own_client_reads_no_environment(write_config, trap, serve, tmp_path, monkeypatch):
    """`openai_client()` goes to the entry's endpoint with the entry's key, whatever the environment says."""
    from missy import Missy
    from tests.servers import chat_answer

    for name, value in hostile(trap, tmp_path).items():
        monkeypatch.setenv(name, value)
    origin = serve(chat_answer("hello"))
    with Missy.open(write_config(origin.url, api_key="sk-of-the-entry")) as missy:
        client = missy.openai_client()
        made = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert made.choices[0].message.content == "hello"
    assert origin.last.header("authorization") == "Bearer sk-of-the-entry"
    assert not any("canary" in value for _, value in origin.last.headers)
    assert trap.connections == 0


def test_the_users_own_client_without_a_key_sends_none(write_config, endpoint, ca_bundle):
    """Where the entry has no key, `openai_client()` makes none up."""
    from missy import Missy

    path = write_config(endpoint.url, network={"ca_bundle": str(ca_bundle)})
    with Missy.open(path) as missy:
        missy.openai_client().chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert endpoint.last.header("authorization") is None


def test_a_key_log_that_the_environment_names_is_not_written_by_the_door(
    way, make_door, serve, certify, ca_bundle, tmp_path, monkeypatch
):
    """No session key is written down: the recorded traffic stays closed."""
    from tests.net.conftest import send

    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    origin = serve(response(200, b"ok"), tls=certify("127.0.0.1"))
    assert send(way, make_door(origin.url, ca_bundle=ca_bundle), origin.url).body == b"ok"
    assert not (tmp_path / "keys.log").exists()
