"""Certificates: only one that fits the origin's name, is valid now and leads to a known root opens a connection."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading

import pytest

from missy import ConfigError, ConnectionFailed
from missy.net.tls import context
from tests.command import Command
from tests.net.conftest import ask, send
from tests.servers import chat_answer, response

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
OWN = {"allowed_cidrs": ("127.0.0.1/32",)}


def server(leaf) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(made)
    return made


def self_signed(name: str) -> ssl.SSLContext:
    """Make a server whose certificate is signed by itself."""
    import tempfile

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        made.load_cert_chain(file.name)
    return made


def bad_certificates(authority):
    import trustme

    return {
        "wrong host": (server(authority.issue_cert("other.example.com")), "mismatch"),
        "parent domain": (server(authority.issue_cert("example.com")), "mismatch"),
        "wildcard too high": (server(authority.issue_cert("*.com")), "mismatch"),
        "address only": (server(authority.issue_cert("127.0.0.1")), "mismatch"),
        "expired": (
            server(authority.issue_cert("api.example.com", not_before=NOW - 9 * DAY, not_after=NOW - DAY)),
            "expired",
        ),
        "not yet valid": (
            server(authority.issue_cert("api.example.com", not_before=NOW + DAY, not_after=NOW + 9 * DAY)),
            "not yet valid",
        ),
        "self-signed": (self_signed("api.example.com"), "self-signed"),
        "unknown root": (server(trustme.CA().issue_cert("api.example.com")), "unable to get local issuer"),
    }


@pytest.fixture(scope="module")
def bad(authority):
    return bad_certificates(authority)


@pytest.mark.parametrize(
    "name",
    [
        "wrong host",
        "parent domain",
        "wildcard too high",
        "address only",
        "expired",
        "not yet valid",
        "self-signed",
        "unknown root",
    ],
)
def test_a_bad_certificate_ends_the_connection_before_a_byte_is_sent(
    name, bad, way, make_door, table, serve, ca_bundle, record
):
    """The handshake fails with the reason and what to do; no request reaches the server."""
    tls, reason = bad[name]
    origin = serve(response(200, b"ok"), tls=tls)
    table.names["api.example.com"] = ["127.0.0.1"]
    url = f"https://api.example.com:{origin.port}/v1"
    with pytest.raises(ConnectionFailed) as raised:
        send(way, make_door(url, ca_bundle=ca_bundle, **OWN), url, headers={"Authorization": "Bearer sk"})
    assert reason in raised.value.message.replace("Hostname mismatch", "mismatch").replace(
        "self signed", "self-signed"
    )
    assert f"api.example.com:{origin.port}" in raised.value.message
    assert "network.ca_bundle" in raised.value.hint
    assert origin.requests == []
    assert (record.lines()[-1]["outcome"], record.lines()[-1]["bytes_out"]) == ("failed", 0)


def test_the_right_certificate_is_taken(way, make_door, table, serve, certify, ca_bundle):
    """With the root in ca_bundle the same server answers; the server was asked for the origin's name."""
    asked: list[str | None] = []
    tls = certify("api.example.com")
    tls.sni_callback = lambda _sock, name, _context: asked.append(name)
    origin = serve(response(200, b"ok"), tls=tls)
    table.names["api.example.com"] = ["127.0.0.1"]
    url = f"https://api.example.com:{origin.port}/v1"
    assert send(way, make_door(url, ca_bundle=ca_bundle, **OWN), url).body == b"ok"
    assert asked == ["api.example.com"]
    assert origin.last.header("host") == f"api.example.com:{origin.port}"


def test_without_ca_bundle_the_test_root_is_unknown(way, make_door, table, serve, certify):
    """The roots are the system's; a root of one's own counts only where it is named."""
    origin = serve(response(200, b"ok"), tls=certify("api.example.com"))
    table.names["api.example.com"] = ["127.0.0.1"]
    url = f"https://api.example.com:{origin.port}/v1"
    with pytest.raises(ConnectionFailed, match="is not trusted"):
        send(way, make_door(url, **OWN), url)
    assert origin.requests == []


def test_a_server_that_speaks_no_tls_is_told_apart(way, make_door):
    """Plain HTTP behind an https URL is a failed connection that says so, not a certificate's fault."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(65536)
                sock.sendall(response(400, b"this is http"))

        threading.Thread(target=answer, daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(ConnectionFailed) as raised:
            send(way, make_door(url), url)
    assert "TLS" in raised.value.message
    assert "https" in raised.value.hint


def test_old_versions_of_tls_are_refused(way, make_door, serve, authority, ca_bundle):
    """Nothing below TLS 1.2 is spoken."""
    import warnings

    tls = server(authority.issue_cert("127.0.0.1"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tls.minimum_version = ssl.TLSVersion.TLSv1
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    origin = serve(response(200, b"ok"), tls=tls)
    with pytest.raises(ConnectionFailed):
        send(way, make_door(origin.url, ca_bundle=ca_bundle), origin.url)
    assert origin.requests == []


def test_the_context_verifies_names_and_certificates():
    """No setting turns verification off."""
    made = context()
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert made.check_hostname
    assert made.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert made.keylog_filename is None


@pytest.mark.parametrize(
    "content", [None, b"", b"no pem", b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"]
)
def test_a_ca_bundle_that_cannot_be_used_is_a_config_error(content, tmp_path):
    """A missing, empty or broken file is told with its key; nothing is sent with fewer roots than were asked for."""
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="ca_bundle"):
        context(str(path))


def test_a_tilde_in_ca_bundle_is_ones_home(ca_bundle, tmp_path, monkeypatch):
    """`~` is expanded, as in every path."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "roots.pem").write_bytes(ca_bundle.read_bytes())
    assert context("~/roots.pem").verify_mode == ssl.CERT_REQUIRED


def test_the_command_exits_5_for_a_bad_certificate(missy: Command, serve, certify):
    """A user sees what is wrong with the certificate, and no traceback."""
    origin = serve(chat_answer("hi"), tls=certify("127.0.0.1"))
    missy.entry(origin.url)
    done = missy("ask", "hi")
    assert done.code == 5
    assert "certificate" in done.err
    assert "Traceback" not in done.err
    assert origin.requests == []


def test_ca_bundle_in_the_config_lets_the_library_answer(way, write_config, serve, certify, ca_bundle):
    """`network.ca_bundle` is what a config needs for a server with a root of its own."""
    origin = serve(chat_answer("hello"), tls=certify("127.0.0.1"))
    assert ask(way, write_config(origin.url), stream=False).code == 5
    assert (
        ask(way, write_config(origin.url, network={"ca_bundle": str(ca_bundle)}), stream=False).text
        == "hello"
    )
