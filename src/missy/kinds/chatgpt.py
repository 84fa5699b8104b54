"""The kind `chatgpt`: the Plus or Pro plan of a person who signed in with ChatGPT, as OpenAI documents it for apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy import paths
from missy.errors import CredentialError
from missy.kinds.base import Kind
from missy.policy import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from missy.auth.ways import LoginStatus, LoginWay
    from missy.checks import Check
    from missy.config.schema import Entry
    from missy.kinds.context import Context
    from missy.providers.base import Provider

_CATALOGUE = "models/chatgpt.json"  # under MISSY_HOME
_FIXED = "the hosts of Sign in with ChatGPT are fixed"
_NO_KEY = "it is used with a sign-in, never with a key: missy auth login"
_TEMPLATE = (
    """\
  # The Plus or Pro plan of a ChatGPT account, the way OpenAI documents for apps: missy auth login chatgpt
  #chatgpt:
    #name: chatgpt
    #model: null                  # null: the first of the account's live list
    #timeout: 60
""",
)


class _ChatGPT(Kind):
    """See missy.kinds.base.Kind."""

    name = "chatgpt"
    base_url = "https://api.openai.com/v1"
    issuer = "https://auth.openai.com"
    keys = ("accepts",)
    timeout = 60.0
    template = _TEMPLATE
    login_by_name = True
    refused_keys = {  # noqa: RUF012 never changed
        "base_url": _FIXED,
        "issuer": _FIXED,
        "api_key": _NO_KEY,
        "api_keys": _NO_KEY,
        "api_key_header": _NO_KEY,
        "headers": _FIXED,
        "query": _FIXED,
    }
    title = "Continue with ChatGPT"
    about = "use your Plus or Pro plan: OpenAI's way for apps, with a browser"
    offered_first = True
    question = "login"
    own_model = ("the account's own default", "follows the live list")
    usage_page = "https://chatgpt.com/settings/usage"
    no_bulk = "the terms of Sign in with ChatGPT do not allow automated use"
    own_use = "OpenAI's terms allow a ChatGPT plan to Missy alone, not to other programs"
    unserved = own_use

    def login(self) -> LoginWay:
        """See Kind."""
        from missy.auth.siwc.way import SiwcLogin

        return SiwcLogin()

    def build(self, entry: Entry, context: Context) -> Provider:
        """See Kind."""
        from missy.auth.siwc.renewal import PlanLogins
        from missy.auth.siwc.store import ACCOUNTS_FILE
        from missy.providers.catalogue import Catalogue
        from missy.providers.plan import PlanProvider

        assert entry.endpoint is not None
        door, home = context.door(), context.home
        return PlanProvider(
            door,
            kind=entry.kind,
            entry=entry.entry,
            base_url=entry.endpoint,
            host=parse(entry.endpoint).host,
            logins=PlanLogins(home / ACCOUNTS_FILE, door, entry.entry, notice=context.notice),
            max_retries=entry.max_retries,
            catalogue=Catalogue(home / _CATALOGUE),
            timeout=entry.timeout,
            heads=context.heads(),
            own_use=self.own_use,
        )

    def announce(self, entry: Entry) -> str:
        """Say whose plan pays, as OpenAI's terms require of an app that uses one."""
        found = self._look(entry)
        if not found.plan_enabled:
            return ""
        several = found.accounts is not None and len(found.accounts) > 1
        label = next((one.label for one in found.accounts or () if one.active), "")
        return f"Using ChatGPT plan · {self.usage_page}" + (f" · {label}" if several and label else "")

    def can_ask(self, entry: Entry, environ: Mapping[str, str]) -> bool:  # noqa: ARG002
        """See Kind."""
        return self._look(entry).plan_enabled is True

    def known_models(self, entry: Entry) -> list[str]:
        """See Kind."""
        from missy.providers.catalogue import Catalogue

        return Catalogue(paths.home() / _CATALOGUE).cached(entry.entry)

    def readiness(self, entry: Entry, environ: Mapping[str, str]) -> tuple[str, str]:  # noqa: ARG002
        """See Kind."""
        found = self._look(entry)
        if found.state == "broken":
            return "oauth", found.why
        if not found.logged_in:
            return "none", found.why or f"not signed in: missy auth login {entry.entry}"
        off = f"plan use is off: missy auth login {entry.entry} --enable-plan"
        return "oauth", "" if found.plan_enabled else off

    def examine(
        self,
        entry: Entry,
        environ: Mapping[str, str],  # noqa: ARG002
        provider: Callable[[], Any],  # noqa: ARG002
    ) -> Iterator[Check]:
        """Say in which state the sign-in is, from its file alone. Whose it is stays out: reports are passed on."""
        import shlex

        from missy.checks import Check

        name, quoted = f"{entry.entry}: login", shlex.quote(entry.entry)
        found = self._look(entry)
        code = CredentialError.exit_code
        if not found.logged_in:
            # `why` names the account, but for a broken file
            why = found.why if found.state == "broken" else "not signed in"
            yield Check(name, "fail", why, f"missy auth login {quoted}", code)
        elif not found.plan_enabled:
            yield Check(name, "fail", "plan use is off", f"missy auth login {quoted} --enable-plan", code)
        elif found.state == "valid":
            yield Check(name, "ok", f"valid until {found.expires_at}" if found.expires_at else "valid")
        else:
            ends = "has ended" if found.state == "expired" else "ends within minutes"
            detail = f"the token {ends}; it is renewed when it is used next, not by a diagnosis"
            yield Check(name, "warn", detail, f"missy auth status {quoted} --refresh")

    def require_setup(self, entry: Entry) -> None:
        """Raise CredentialError, which says how to sign in, unless there is an account that may be used."""
        _, reason = self.readiness(entry, {})
        if reason:
            raise CredentialError(reason, hint=f"sign in first: missy auth login {self.name}")

    def fix_credential(self, error: CredentialError, entry: Entry) -> str:  # noqa: ARG002
        """See Kind."""
        import shlex

        return f"missy auth login {shlex.quote(entry.entry)}"

    def _look(self, entry: Entry) -> LoginStatus:
        """Read the accounts off the disk. Nothing is sent."""
        return self.login().status(entry)


KIND = _ChatGPT()
