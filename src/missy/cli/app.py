"""What each command gets: configuration, policy and audit, each made on first use; and the functions that print."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Literal

from missy import paths
from missy.cli.output.sanitize import sanitize
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from missy.assistant import Missy
    from missy.audit import Audit
    from missy.config.schema import Config
    from missy.policy import Policy


class App:
    """The state of one run of the `missy` command."""

    def __init__(self, *, config_path: str | None = None) -> None:
        self.config_path = config_path
        self._config: Config | None = None
        self._shown_notices: set[str] = set()

    @classmethod
    def from_config(cls, config: Config) -> App:
        """Return an App for a configuration that is not written to a file yet."""
        app = cls()
        app._config = config
        return app

    def config(self) -> Config:
        """Load and check the configuration, once. Raises ConfigError."""
        if self._config is None:
            from missy.config.load import load_chosen
            from missy.kinds import KINDS

            self._config = load_chosen(self.config_path, KINDS)
        return self._config

    def warn(self, entry: str | None = None, *, asks: bool = False) -> None:
        """Print the warnings about an entry before it is used; None is the default entry.

        `asks`: a request to its endpoint follows. If the policy refuses that, the error says so; no warning does.
        """
        config = self.config()
        name = entry or config.default
        found = config.providers.get(name) if asks and name else None
        endpoint = found.endpoint if found else None
        self._notice_once(
            one
            for one in config.warnings
            if name in one.entries and (one.refused is None or one.refused != endpoint)
        )

    def warn_about_all(self) -> None:
        """Print the warnings about all entries."""
        self._notice_once(self.config().warnings)

    def _notice_once(self, texts: Iterable[str]) -> None:
        for text in texts:
            if text not in self._shown_notices:
                self._shown_notices.add(text)
                notice(text)

    def policy(self) -> Policy:
        """Return the policy of the configuration."""
        from missy.policy import Policy

        return Policy(self.config().rules())

    def audit(self) -> Audit:
        """Return the audit log of MISSY_HOME."""
        from missy.audit import Audit

        return Audit(paths.home() / "audit.jsonl")

    def assistant(self, *, preconnect: str | Literal[False] | None = False) -> Missy:
        """Return a Missy for the configuration. The caller closes it.

        `preconnect` is the entry that will be asked, None for the default one: its connection begins at once.
        """
        config = self.config()
        from missy.assistant import Missy

        missy = Missy(config, notice=notice)
        if preconnect is not False:
            missy.connect_ahead(preconnect)
        return missy


def emit(text: str, *, masked: bool = True) -> None:
    """Print one sanitized line to stdout. `masked=False`: do not mask what looks like a key."""
    sys.stdout.write(sanitize(redact(text) if masked else text) + "\n")


def emit_json(value: Any, *, masked: bool = True) -> None:
    """Print one JSON value to stdout. Non-ASCII is escaped, so that it cannot control a terminal."""
    sys.stdout.write(json.dumps(_redacted(value) if masked else value, indent=2) + "\n")


def _redacted(value: Any) -> Any:
    """Return a JSON value with all texts masked, names of members included."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {_redacted(key): _redacted(item) for key, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, list | tuple) else value


def notice(text: str) -> None:
    """Print one line to stderr."""
    sys.stderr.write(sanitize(redact(f"missy: {text}")) + "\n")
