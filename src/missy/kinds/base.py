"""What a kind of provider is: its part of the configuration, and all that depends on the kind of an entry.

A kind must never know the runtime, a command or another kind's name: what it needs of them is in its `Context`.
Its module is loaded with every configuration, so heavy parts are imported on use.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from missy.config.kind_spec import KindSpec
from missy.errors import ConfigError, CredentialError, LimitError, PolicyError, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from missy.auth.ways import LoginWay
    from missy.checks import Check
    from missy.config.schema import Entry
    from missy.errors import MissyError
    from missy.kinds.context import Context
    from missy.providers.base import Provider, Request

Question = Literal["store", "login", "install", "check"]


class Kind(KindSpec, ABC):
    """A kind of provider.

    `title` and `about` are its option in the wizard, without a title it has none; `question` is what the wizard asks
    once the entry has a name. `asks_model`: whether a model can be chosen; `own_model` is the option to choose none.
    `offered_first`: the option comes before all others. `notice` is said before each answer. `own_server`: its provider
    starts a server on this machine, which takes seconds and is reached by a door of its own. `usage_page` shows how
    much of a plan is used, where only a browser is told. `own_use` says why its entries serve Missy alone; other
    programs may use any other kind's. `no_bulk` says why many prompts must not be sent to its entries by a program.
    """

    title: str = ""
    about: str = ""
    question: Question = "check"
    asks_model: bool = True
    own_model: tuple[str, str] | None = None
    offered_first: bool = False
    notice: str = ""
    own_server: bool = False
    usage_page: str = ""
    own_use: str = ""
    no_bulk: str = ""

    def login(self) -> LoginWay | None:
        """Return how to log in to an entry; None for a kind without a login."""
        return None

    @abstractmethod
    def build(self, entry: Entry, context: Context) -> Provider:
        """Return the provider of an entry. Raises MissyError where it cannot be had."""
        raise NotImplementedError

    def announce(self, entry: Entry) -> str:  # noqa: ARG002
        """Return what is said before an answer of this entry, "": nothing."""
        return self.notice

    def adapt(self, request: Request) -> Request:
        """Return the request as this kind's models take it."""
        return request

    def can_ask(self, entry: Entry, environ: Mapping[str, str]) -> bool:  # noqa: ARG002
        """Whether a question could be sent, so that connecting before it pays. Raises MissyError for no."""
        return False

    def known_models(self, entry: Entry) -> list[str]:  # noqa: ARG002
        """Return the models that an earlier answer left on disk. No network."""
        return []

    def readiness(self, entry: Entry, environ: Mapping[str, str]) -> tuple[str, str]:  # noqa: ARG002
        """Return where the credential comes from, and why the entry could not be used ("": it could). No network."""
        return "none", ""

    def examine(
        self,
        entry: Entry,  # noqa: ARG002
        environ: Mapping[str, str],  # noqa: ARG002
        provider: Callable[[], Any],  # noqa: ARG002
    ) -> Iterator[Check]:
        """Yield the doctor's checks of what comes between the connection and the list of models."""
        yield from ()

    def require_setup(self, entry: Entry) -> None:
        """Raise MissyError where `setup --no-prompt` must not write such an entry yet."""

    def fix(self, error: MissyError, entry: Entry, host: str, step: str) -> str:
        """Return what can be pasted against an error that ended a step of an entry's path."""
        import shlex

        from missy.checks import paste

        name, url = shlex.quote(entry.entry), shlex.quote(entry.endpoint or "")
        if isinstance(error, PolicyError | ConfigError):
            return paste(error)
        if isinstance(error, LimitError):
            return f"missy doctor --provider {name}"
        if isinstance(error, TimedOut):
            return f"missy doctor --provider {name} --timeout 60"
        if isinstance(error, CredentialError):
            return self.fix_credential(error, entry)
        if step == "dns":
            return f"getent hosts {shlex.quote(host)}"
        if step in ("tcp", "tls", "models"):
            return f"curl -sS -o /dev/null -m 10 {url}"
        return f"missy doctor --provider {name}"

    def fix_credential(self, error: CredentialError, entry: Entry) -> str:  # noqa: ARG002
        """Return what can be pasted against a credential that is missing or was refused."""
        import shlex

        return f"missy doctor --provider {shlex.quote(entry.entry)}"
