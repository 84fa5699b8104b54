"""The kind `openai-codex`: a ChatGPT subscription, used with a login in place of a key."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from missy import paths
from missy.errors import CredentialError
from missy.kinds.base import Kind
from missy.policy import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from missy.auth.login import Login
    from missy.auth.ways import LoginWay
    from missy.checks import Check
    from missy.config.schema import Entry
    from missy.kinds.context import Context
    from missy.providers.base import Provider

_CATALOGUE = "models/codex.json"  # under MISSY_HOME
_TEMPLATE = (
    """\
  # The Codex login of a ChatGPT plan: missy auth login openai-codex
  #openai-codex:
    #name: openai-codex
    #model: null                  # null: the default of the account's live list
    #timeout: 60
    #base_url: null               # null: https://chatgpt.com/backend-api/codex
    #issuer: null                 # null: https://auth.openai.com
""",
)


class _Codex(Kind):
    """See missy.kinds.base.Kind."""

    name = "openai-codex"
    keys = ("base_url", "issuer", "accepts")
    base_url = "https://chatgpt.com/backend-api/codex"
    issuer = "https://auth.openai.com"
    accepts_elsewhere = ("image", "pdf")
    timeout = 60.0
    template = _TEMPLATE
    no_bulk = "a plan's window is for a person, and a program that empties it puts the account at risk"
    title = "OpenAI (OAuth/Codex)"
    about = "any ChatGPT plan, also with a code; not documented by OpenAI for other apps"
    question = "login"
    unserved = "a ChatGPT plan is for its account's own use, not for other programs"
    own_model = ("the account's own default", "follows the live list")

    def build(self, entry: Entry, context: Context) -> Provider:
        """See Kind."""
        from missy.auth.login import LOGIN_FILE
        from missy.auth.tokens import Logins
        from missy.auth.usage import NOTE_FILE, UsageCache
        from missy.providers.catalogue import Catalogue
        from missy.providers.codex import PROFILE, CodexProvider

        assert entry.endpoint is not None
        door, home = context.door(), context.home
        logins = Logins(home / LOGIN_FILE, door, entry.issuer_url, entry.entry, notice=context.notice)
        return CodexProvider(
            door,
            kind=entry.kind,
            entry=entry.entry,
            base_url=entry.endpoint,
            host=parse(entry.endpoint).host,
            logins=logins,
            max_retries=entry.max_retries,
            catalogue=Catalogue(home / _CATALOGUE, query=PROFILE.models_query, by_priority=True),
            limits=UsageCache(home / NOTE_FILE),
            timeout=entry.timeout,
            heads=context.heads(),
        )

    def login(self) -> LoginWay:
        """See Kind."""
        from missy.auth.subscription import SubscriptionLogin

        return SubscriptionLogin()

    def can_ask(self, entry: Entry, environ: Mapping[str, str]) -> bool:  # noqa: ARG002
        """See Kind."""
        from missy.auth.login import LOGIN_FILE

        return (paths.home() / LOGIN_FILE).exists()

    def known_models(self, entry: Entry) -> list[str]:
        """See Kind."""
        from missy.providers.catalogue import Catalogue

        return Catalogue(paths.home() / _CATALOGUE, by_priority=True).cached(entry.entry)

    def readiness(self, entry: Entry, environ: Mapping[str, str]) -> tuple[str, str]:  # noqa: ARG002
        """See Kind."""
        state, _, why = _look(entry)
        if state == "none":
            return "none", why or f"not logged in: missy auth login {entry.entry}"
        return "oauth", why if state == "broken" else ""

    def examine(
        self,
        entry: Entry,
        environ: Mapping[str, str],  # noqa: ARG002
        provider: Callable[[], Any],  # noqa: ARG002
    ) -> Iterator[Check]:
        """Say in which state the login is, from its file alone. Whose it is stays out: reports are passed on."""
        import shlex

        from missy.auth.login import show_time
        from missy.checks import Check

        name, quoted = f"{entry.entry}: login", shlex.quote(entry.entry)
        state, login, why = _look(entry)
        if login is None:
            yield Check(
                name, "fail", why or "not logged in", f"missy auth login {quoted}", CredentialError.exit_code
            )
        elif state == "valid":
            until = show_time(login.expires_at)
            yield Check(name, "ok", f"valid until {until}" if until else "valid")
        else:
            ends = "has ended" if state == "expired" else "ends within minutes"
            detail = f"the token {ends}; it is renewed when it is used next, not by a diagnosis"
            yield Check(name, "warn", detail, f"missy auth status {quoted} --refresh")

    def require_setup(self, entry: Entry) -> None:
        """Raise CredentialError, which says how to log in, unless there is a login."""
        _, login, why = _look(entry)
        if login is None:
            raise CredentialError(why or "not logged in to ChatGPT", hint="log in first: missy auth login")

    def fix_credential(self, error: CredentialError, entry: Entry) -> str:  # noqa: ARG002
        """See Kind."""
        import shlex

        return f"missy auth login {shlex.quote(entry.entry)}"


KIND = _Codex()


def _look(entry: Entry) -> tuple[str, Login | None, str]:
    """Read an entry's login off the disk: its state, the login, and what is wrong with it. Nothing is sent."""
    from missy.auth.login import LOGIN_FILE, describe_state

    return describe_state(paths.home() / LOGIN_FILE, entry.issuer_url or "", time.time())
