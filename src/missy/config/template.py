"""The config.yaml that `missy init` writes, every key explained. It must load, uncommented as well."""

from __future__ import annotations

from missy.config.schema import NOT_YET

_HEAD = """\
# Missy's configuration. Every key is optional; `missy config schema` describes them all.
# A line that starts with # and no blank is a setting: take the # away to use it.
# After a change: missy config validate

#default_provider: openai        # else the first enabled entry

providers:
"""

# (the kind that a part needs, its text)
_ENTRIES = (
    (
        "openai",
        """\
  openai:                         # the name of the entry: what --provider takes
    name: openai                  # its kind
    model: gpt-4o
    # The key: the key itself, $ENV_VAR, vault://NAME or keyring://NAME.
    # null: OPENAI_API_KEY from the environment, which goes to api.openai.com only.
    api_key: null
    api_keys: []                  # a pool, tried in order when a key is refused or out of quota
    base_url: null                # any Chat Completions endpoint; null: https://api.openai.com/v1
    timeout: 30                   # seconds of silence allowed: connect, first sign of life, between signs of life
    patience: null                # seconds without progress (text, thinking, a call); null: 10 x timeout
    deadline: null                # seconds for the whole answer; null: no limit
    headers: {}                   # more HTTP headers for this endpoint alone; values as for api_key, or plain text
    query: {}                     # the same for the query string
    api_key_header: null          # the header for the bare key; null: Authorization: Bearer
    max_retries: 2
    enabled: true
    fallback: []                  # entries to try instead, in order; off unless written here
""",
    ),
    (
        "openai",
        """\
  # Another service with the same protocol. Its host is allowed because the entry names it.
  #groq:
    #name: openai
    #model: llama-3.1-70b-versatile
    #api_key: $GROQ_API_KEY
    #base_url: https://api.groq.com/openai/v1
""",
    ),
    (
        "openai",
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
    ),
    (
        "openai",
        """\
  # A server on this machine (llama.cpp, vLLM, Ollama): it needs no key.
  #my-server:
    #name: openai
    #model: qwen2.5-7b-instruct
    #base_url: http://127.0.0.1:8080/v1
""",
    ),
    (
        "openai-codex",
        """\
  # The Codex login of a ChatGPT plan: missy auth login openai-codex
  #openai-codex:
    #name: openai-codex
    #model: null                  # null: the default of the account's live list
    #timeout: 60
    #base_url: null               # null: https://chatgpt.com/backend-api/codex
    #issuer: null                 # null: https://auth.openai.com
""",
    ),
    (
        "chatgpt",
        """\
  # Sign in with ChatGPT: missy auth login chatgpt. Its hosts are fixed and it takes no key.
  #chatgpt:
    #name: chatgpt
    #model: null
""",
    ),
    (
        "local",
        """\
  # The model on this machine, without any server: missy local install
  #laptop:
    #name: local
    #model_path: null             # another GGUF file
""",
    ),
)

_TAIL = """\
budget:                           # in US dollars; null: no limit
  day_usd: null
  session_usd: null

network:
  default_deny: true              # refuse what no rule allows
  presets: []                     # openai, groq, ollama, github, ...: see `missy presets`
  provider_allowed_hosts: []      # provider calls only; the hosts of the entries are added by themselves
  tool_allowed_hosts: []          # tool calls only
  allowed_hosts: []               # all calls: host, host:port or [v6]:port. Without a port: 443
  allowed_domains: []             # example.com (exactly) or *.example.com (every name under it, and itself)
  allowed_cidrs: []               # addresses that a name may resolve to although they are not public
  proxy: null                     # http(s)://host:port, the only way to use one
  ca_bundle: null                 # PEM file added to the trusted roots
"""


def template() -> str:
    """Return the text of a new configuration file: what this version can do, and nothing else."""
    entries = [text for kind, text in _ENTRIES if kind not in NOT_YET]
    return "\n".join([_HEAD + entries[0], *entries[1:], _TAIL])
