"""The TLS context: the system's root certificates and the user's `ca_bundle`; the environment is ignored."""

from __future__ import annotations

import os
import ssl

from missy.errors import ConfigError

# Where systems store root certificates, for when OpenSSL's compiled-in paths are empty.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)


def context(ca_bundle: str | None = None) -> ssl.SSLContext:
    """Return a client context that verifies certificate and host name. Raises ConfigError for an invalid ca_bundle.

    Built by hand: `ssl.create_default_context()` honours SSLKEYLOGFILE and OpenSSL's default paths honour SSL_CERT_FILE
    and SSL_CERT_DIR, which would let the environment add roots or log the session keys.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    _load_system_roots(made)
    if ca_bundle:
        try:
            made.load_verify_locations(cafile=os.path.expanduser(ca_bundle))
        except (OSError, ssl.SSLError) as error:
            reason = (
                error.strerror
                if isinstance(error, OSError) and error.strerror
                else "it contains no PEM certificate"
            )
            raise ConfigError(
                f"network.ca_bundle {ca_bundle!r} cannot be used: {reason}",
                hint="name a PEM file with the certificates to trust",
                key="network.ca_bundle",
            ) from error
    return made


def _load_system_roots(made: ssl.SSLContext) -> None:
    paths = ssl.get_default_verify_paths()
    # From a hashed folder, certificates are read only when needed: 0.1 ms here, where loading the bundle takes 25.
    for folder in (paths.openssl_capath, "/etc/ssl/certs"):
        if _is_hashed(folder):
            made.load_verify_locations(capath=folder)
            return
    for bundle in (paths.openssl_cafile, *_BUNDLES):
        if os.path.isfile(bundle):
            made.load_verify_locations(cafile=bundle)
            return


def _is_hashed(folder: str) -> bool:
    try:
        with os.scandir(folder) as files:
            return any(name.name.endswith(".0") for name in files)
    except OSError:
        return False
