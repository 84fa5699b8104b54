"""The config.yaml that `missy init` writes, every key explained. It must load, also with every setting uncommented."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from missy.config.kind_spec import Kinds

_HEAD = """\
# Missy's configuration. Every key is optional; `missy config schema` describes them all.
# A line that starts with # and no space is a setting: remove the # to use it.
# After a change: missy config validate

#default_provider: openai        # else the first enabled entry

providers:
"""

_TAIL = """\
#roles:                           # named instructions: missy ask --role terse ...
  #terse:
    #system: Answer in one line.
    #provider: null               # the entry that it asks; null: as without the role
    #model: null
    #temperature: null            # 0 to 2

budget:                           # in US dollars; null: no limit
  day_usd: null
  session_usd: null

sessions:
  save: run                       # which conversations are stored unasked: run | all (those of `ask` too) | none
  keep_days: null                 # delete those that were last used longer ago; null: never

run:                              # the conversation: missy run
  history: true                   # keep the lines that were typed, for the Up key
  clipboard: true                 # /copy may write to the terminal's clipboard
  screen_reader: false            # as --plain: nothing is drawn over, no colour, no status line
  status: true                    # the line below the input: entry, model, tokens, cost

audit:                            # the record of what left the machine
  segment_mb: 64                  # it begins another file when it has so many MiB
  keep: null                      # how many ended files stay; null: all

batch:                            # bulk work: missy batch run
  keep_days: null                 # delete jobs that were last run longer ago; null: never

network:
  default_deny: true              # refuse what no rule allows
  presets: []                     # openai, groq, ollama, github, ...: see `missy presets`
  provider_allowed_hosts: []      # provider calls only; the hosts of the entries are added automatically
  tool_allowed_hosts: []          # tool calls only
  allowed_hosts: []               # all calls: host, host:port or [v6]:port. Without a port: 443
  allowed_domains: []             # example.com (exactly) or *.example.com (it and every name under it)
  allowed_cidrs: []               # addresses that a name may resolve to although they are not public
  proxy: null                     # http(s)://host:port, the only way to use one
  ca_bundle: null                 # PEM file added to the trusted roots

serve:                            # a gateway for the other programs on this machine: docs/serve.md
  listen: 127.0.0.1:8484          # other than loopback needs TLS, or behind_proxy: true
  hosts: []                       # more names that clients may call it by
  behind_proxy: false
  entries: []                     # the entries that programs may use; none by default
  aliases: {}                     # more names of models, such as fast: groq/llama-3.3-70b-versatile
  store: sqlite                   # or a postgresql:// URL, $ENV_VAR or vault://NAME
  reserve_output_tokens: 4096     # where the caller names no max_tokens
  on_store_failure: refuse        # refuse | allow

tools:                            # what the model may do: docs/tools.md
  workspace: .                    # the one folder that tools reach; . is the folder that Missy is started in
  use: []                         # unasked: read, list, search, write, edit, run, fetch; none without --tools
  approve: ask                    # what no rule allows: ask | never
  allow: []                       # rules such as "read: docs/**" or "run: git status"
  deny: []                        # the same; these come first
  sandbox: {read: [], write: [], network: none}   # for commands; network: none | tool (through the policy)
  limits: {rounds: 20, calls: 50, seconds: 600, output: 64KiB, command_seconds: 120, tokens: null}

#mcp:                             # tools of MCP servers: docs/mcp.md; `missy mcp add` writes an entry
  #time:
    #command: [mcp-server-time]   # a program, in the sandbox; or url: and key:
    #tools: [get_current_time]    # the ones to offer; []: all that were approved
    #workspace: none              # none | read | write
    #network: none                # none | tool (through the policy)
"""


def template(kinds: Kinds) -> str:
    """Return the text of a new configuration file, with only what this version supports."""
    first, *others = (text for spec in kinds.values() for text in spec.template)
    return "\n".join([_HEAD + first, *others, _TAIL])
