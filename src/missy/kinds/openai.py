"""The kind `openai`: Chat Completions with a key, at OpenAI or at any endpoint that speaks it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from missy.errors import MissyError
from missy.kinds.base import Kind
from missy.policy import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from missy.checks import Check
    from missy.config.schema import Entry
    from missy.errors import CredentialError
    from missy.kinds.context import Context
    from missy.net.door import Door
    from missy.providers.base import Provider
    from missy.secrets.resolve import Credential

_TEMPLATE = (
    """\
  openai:                         # the name of the entry: what --provider takes
    name: openai                  # its kind
    model: gpt-4o
    # The key: the key itself, $ENV_VAR, vault://NAME or keyring://NAME.
    # null: OPENAI_API_KEY from the environment, which goes to api.openai.com only.
    api_key: null
    api_keys: []                  # a pool, tried in order when a key is refused or out of quota
    base_url: null                # any Chat Completions endpoint; null: https://api.openai.com/v1
    timeout: 30                   # idle timeout in seconds: while connecting, and without any byte
    patience: null                # seconds without progress (text, thinking, a call); null: 10 x timeout
    deadline: null                # seconds for the whole answer; null: no limit
    headers: {}                   # more HTTP headers for this endpoint alone; values as for api_key, or plain text
    query: {}                     # name: value, added to the query string; values as for headers
    api_key_header: null          # the header for the bare key; null: Authorization: Bearer
    max_retries: 2
    enabled: true
    accepts: null                 # files besides text: [image], [image, pdf]; null: pdf at api.openai.com only
    price: null                   # {input: 2.5, cached_input: 1.25, output: 10}: US dollars for a million tokens
    fallback: []                  # entries to try instead, in order; off unless written here
""",
    """\
  # Another service with the same protocol. Its host is allowed because the entry names it.
  #groq:
    #name: openai
    #model: llama-3.3-70b-versatile
    #api_key: $GROQ_API_KEY
    #base_url: https://api.groq.com/openai/v1
""",
    """\
  # Azure carries the bare key in a header of its own; a gateway wants more headers.
  #azure:
    #name: openai
    #model: my-deployment
    #api_key: $AZURE_OPENAI_API_KEY
    #api_key_header: api-key
    #base_url: https://my-resource.openai.azure.com/openai/v1
    #query: {api-version: preview}
  #portkey:
    #name: openai
    #model: gpt-4o
    #base_url: https://api.portkey.ai/v1
    #headers: {x-portkey-api-key: $PORTKEY_API_KEY, x-portkey-provider: openai}
""",
    """\
  # A server on this machine (llama.cpp, vLLM, Ollama): it needs no key.
  #my-server:
    #name: openai
    #model: qwen2.5-7b-instruct
    #base_url: http://127.0.0.1:8080/v1
""",
)


class _OpenAI(Kind):
    """See missy.kinds.base.Kind."""

    name = "openai"
    keys = ("api_key", "api_keys", "base_url", "headers", "query", "api_key_header", "accepts")
    base_url = "https://api.openai.com/v1"
    model = "gpt-4o"
    template = _TEMPLATE
    title = "OpenAI (API key)"
    about = "paid by use, at api.openai.com"
    question = "store"

    def build(self, entry: Entry, context: Context) -> Provider:
        """See Kind."""
        from missy.secrets.resolve import credentials

        assert entry.endpoint is not None
        return chat_provider(
            entry, context, context.door(), entry.endpoint, lambda: credentials(entry, os.environ)
        )

    def can_ask(self, entry: Entry, environ: Mapping[str, str]) -> bool:
        """See Kind."""
        from missy.secrets.resolve import credentials

        credentials(entry, environ)
        return True

    def readiness(self, entry: Entry, environ: Mapping[str, str]) -> tuple[str, str]:
        """See Kind."""
        from missy.secrets.resolve import source_of, what_is_missing

        return source_of(entry, environ), what_is_missing(entry, environ)

    def examine(
        self,
        entry: Entry,
        environ: Mapping[str, str],
        provider: Callable[[], Any],  # noqa: ARG002
    ) -> Iterator[Check]:
        """See Kind."""
        from missy.checks import Check, failed
        from missy.secrets.resolve import bound_elsewhere, credentials

        name, host = f"{entry.entry}: credential", parse(entry.endpoint or "").host
        try:
            found = credentials(entry, environ)
        except MissyError as error:
            yield failed(name, error, self.fix(error, entry, host, "credential"))
            bound = bound_elsewhere(entry, environ)
            if bound:
                detail = f"{bound[0]} is set, but goes to {bound[1]} only, not to {host}"
                yield Check(name, "warn", detail, f"api_key: ${bound[0]}")
            return
        yield Check(name, "ok", ", ".join(credential.source for credential in found))

    def fix_credential(self, error: CredentialError, entry: Entry) -> str:
        """See Kind."""
        import shlex

        from missy.secrets.resolve import name_to_export

        references = [key for key in (entry.api_key, *entry.api_keys) if key and key.startswith("vault://")]
        if error.status is None and "vault" in error.message and references:
            return f"missy vault set {shlex.quote(references[0].removeprefix('vault://'))}"
        if error.status is None and (entry.api_key or "").startswith("$"):
            return f"export {(entry.api_key or '')[1:]}=YOUR-KEY"
        variable = name_to_export(entry)
        if error.status is None and not entry.api_key and not entry.api_keys and variable:
            return f"export {variable}=YOUR-KEY"
        name = shlex.quote(entry.entry)
        url = f" --base-url {shlex.quote(entry.base_url)}" if entry.base_url else ""
        return f"missy setup --no-prompt --provider {self.name} --entry {name}{url} --api-key-stdin --force"


KIND = _OpenAI()


def chat_provider(
    entry: Entry, context: Context, door: Door, base_url: str, resolve: Callable[[], Sequence[Credential]]
) -> Provider:
    """Return the provider of an endpoint that speaks Chat Completions, wherever it is."""
    from missy.governor.registry import governor_of
    from missy.providers.openai import OpenAIProvider

    return OpenAIProvider(
        door,
        kind=entry.kind,
        entry=entry.entry,
        base_url=base_url,
        host=parse(base_url).host,
        credentials=resolve,
        max_retries=entry.max_retries,
        quirks=context.quirks(),
        heads=context.heads(),
        governor=governor_of(base_url, entry.entry, *entry.secrets),
        timeout=entry.timeout,
        # The vault and the keyring take a while, and a locked keyring asks the person first.
        may_wait=any("vault://" in text or "keyring://" in text for text in entry.secrets),
    )
