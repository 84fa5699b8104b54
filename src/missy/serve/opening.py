"""Opens the store that the configuration names: `serve.db`, or a PostgreSQL database that replicas share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from missy import paths
from missy.config.section_schema import SQLITE
from missy.errors import MissyError
from missy.hints import to_install
from missy.secrets.redact import Secret

if TYPE_CHECKING:
    from missy.serve.store import Store


def open_store(text: str) -> Store:
    """Return the store, not opened yet. Raises MissyError if its package is not installed, CredentialError."""
    if text == SQLITE:
        from missy.serve.store_sqlite import FILE, SqliteStore

        return SqliteStore(paths.home() / FILE)
    from missy.secrets.references import read

    try:
        from missy.serve.store_postgres import PostgresStore
    except ImportError as error:
        raise MissyError(
            "serve.store names PostgreSQL, and its driver is not installed", hint=to_install("serve-team")
        ) from error
    url = read(text, "store").look_up("serve", os.environ)
    Secret(url)  # from here on it is masked wherever it might be shown
    return PostgresStore(url)


def require_server() -> None:
    """Raise MissyError if the package of the gateway is not installed."""
    from importlib.util import find_spec

    if find_spec("uvicorn") is None:
        raise MissyError("missy serve needs one more package", hint=to_install("serve"))
