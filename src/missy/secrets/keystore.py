"""The system keyring (Keychain, Secret Service, KWallet, ...), through the optional `keyring` package.

It must never take a keyring that keeps nothing for one, and never fall back to another place on its own.
"""

from __future__ import annotations

import importlib
from typing import Any

from missy.errors import CredentialError, UsageError
from missy.hints import to_install
from missy.secrets.redact import Secret

SCHEME = "keyring://"
_SERVICE = "missy"
_NOT_REAL = ("keyring.backends.fail", "keyring.backends.null")


def parse(reference: str) -> tuple[str, str]:
    """Split `keyring://NAME` (its service is missy) or `keyring://SERVICE/NAME`. Raises UsageError."""
    service, slash, name = reference.removeprefix(SCHEME).partition("/")
    if not slash:
        service, name = _SERVICE, service
    if not reference.startswith(SCHEME) or not service or not name or not reference.isprintable():
        raise UsageError(
            f"{reference!r} names nothing in the keyring",
            hint="write keyring://NAME or keyring://SERVICE/NAME",
        )
    return service, name


def available() -> bool:
    """Whether there is a system keyring that keeps what it is given. It is not opened."""
    try:
        _backend()
    except CredentialError:
        return False
    return True


def get(reference: str) -> Secret:
    """Return what the keyring keeps. Raises CredentialError if there is no keyring or no such entry."""
    service, name = parse(reference)
    value = _call("read", reference, "get_password", service, name)
    if not value:
        raise CredentialError(
            f"the system keyring has nothing under {reference}",
            hint=f"store it with: keyring set {service} {name}",
        )
    return Secret(value)


def put(reference: str, value: Secret) -> None:
    """Keep a value under a reference and read it back. Raises CredentialError if it is not there then."""
    service, name = parse(reference)
    _call("write", reference, "set_password", service, name, value.reveal())
    if _call("read", reference, "get_password", service, name) != value.reveal():
        raise CredentialError(
            f"the system keyring did not keep {reference}", hint="check its settings: keyring diagnose"
        )


def delete(reference: str) -> None:
    """Remove an entry. Raises CredentialError if there is no keyring or no such entry."""
    service, name = parse(reference)
    _call("delete", reference, "delete_password", service, name)


def _backend() -> Any:
    try:
        keyring = importlib.import_module("keyring")  # optional, so no checker may ask for it
    except ImportError:
        hint = f"install it with: {to_install('keyring')}"
        raise CredentialError("the system keyring needs the keyring package", hint=hint) from None
    try:
        backend = keyring.get_keyring()
    except Exception as error:  # a backend is foreign code: it raises what it likes
        raise _failure("open", "the system keyring", error) from None
    if type(backend).__module__.startswith(_NOT_REAL) or getattr(backend, "backends", True) == []:
        raise CredentialError(
            "there is no system keyring here", hint="keep the key in the vault instead: missy vault set NAME"
        )
    return backend


def _call(doing: str, reference: str, method: str, *arguments: str) -> str | None:
    backend = _backend()
    try:
        answer: str | None = getattr(backend, method)(*arguments)
    except Exception as error:
        raise _failure(doing, reference, error) from None
    return answer


def _failure(doing: str, what: str, error: Exception) -> CredentialError:
    """Say what failed by the error's kind alone: its text is the backend's and could hold anything."""
    return CredentialError(
        f"cannot {doing} {what}: {type(error).__name__}",
        hint="unlock the keyring, then see: keyring diagnose",
    )
