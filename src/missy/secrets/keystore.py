"""The system keyring (Keychain, Secret Service, KWallet, ...), through the optional `keyring` package.

A keyring backend that stores nothing is not used, and there is no silent fallback to another store.
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
    """Tell whether there is a system keyring that stores values. It is not unlocked."""
    try:
        _backend()
    except CredentialError:
        return False
    return True


def get(reference: str) -> Secret:
    """Return a value from the keyring. Raises CredentialError if there is no keyring or no such entry."""
    service, name = parse(reference)
    value = _call("read", reference, "get_password", service, name)
    if not value:
        raise CredentialError(
            f"the system keyring has nothing under {reference}",
            hint=f"store it with: keyring set {service} {name}",
        )
    return Secret(value)


def put(reference: str, value: Secret) -> None:
    """Store a value under a reference and read it back. Raises CredentialError if it was not stored."""
    service, name = parse(reference)
    _call("write", reference, "set_password", service, name, value.reveal())
    if _call("read", reference, "get_password", service, name) != value.reveal():
        raise CredentialError(
            f"the system keyring did not store {reference}", hint="check its settings: keyring diagnose"
        )


def delete(reference: str) -> None:
    """Remove an entry. Raises CredentialError if there is no keyring or no such entry."""
    service, name = parse(reference)
    _call("delete", reference, "delete_password", service, name)


def _backend() -> Any:
    try:
        keyring = importlib.import_module("keyring")  # optional dependency: type checkers must not require it
    except ImportError:
        hint = f"install it with: {to_install('keyring')}"
        raise CredentialError("the system keyring needs the keyring package", hint=hint) from None
    try:
        backend = keyring.get_keyring()
    except Exception as error:  # a backend is third-party code and may raise anything
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
    """Describe the failure by the error's type only: the backend's text could contain a secret."""
    return CredentialError(
        f"cannot {doing} {what}: {type(error).__name__}",
        hint="unlock the keyring, then see: keyring diagnose",
    )
