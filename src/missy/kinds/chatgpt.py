"""The kind `chatgpt`: known to the configuration, and not to this version yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.errors import UsageError
from missy.kinds.base import Kind

if TYPE_CHECKING:
    from missy.config.schema import Entry
    from missy.kinds.context import Context
    from missy.providers.base import Provider

_TEMPLATE = (
    """\
  # Sign in with ChatGPT: missy auth login chatgpt. Its hosts are fixed and it takes no key.
  #chatgpt:
    #name: chatgpt
    #model: null
""",
)


class _ChatGPT(Kind):
    """See missy.kinds.base.Kind."""

    name = "chatgpt"
    base_url = "https://api.openai.com/v1"
    issuer = "https://auth.openai.com"
    not_yet = "use an entry of kind openai with an API key, or kind local"
    template = _TEMPLATE

    def build(self, entry: Entry, context: Context) -> Provider:  # noqa: ARG002
        """Refuse: no configuration with such an entry can be loaded."""
        raise UsageError(f"this version has no {self.name} yet", hint=self.not_yet)


KIND = _ChatGPT()
