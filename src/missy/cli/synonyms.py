"""Words from other tools, and the Missy commands that do the same. Data only.

A text that begins with `missy ` is a command; any other text is shown unchanged. `{name}` stands for the name of the
entry that was typed, if it is a known name.
"""

from __future__ import annotations

_CONVERSATION = "missy run"
_CONTINUE = "missy run --continue"
_TOOLS = "what the model may do: missy tools list; servers of tools: missy mcp list; agents are not in this version"
_HOW_TO_UPDATE = "in the clone: git pull && {python} -m pip install '.[local,keyring,mcp]'"
_HOW_TO_ALLOW = "what may be reached: missy net list; the line that allows one more: missy net explain URL"


def _one_entry_per_word(table: dict[str, str]) -> dict[str, str]:
    """Return a table with one entry for each word of a line."""
    return {word: meant for words, meant in table.items() for word in words.split()}


ROOT_SYNONYMS = _one_entry_per_word(
    {
        "chat talk repl shell converse conversation dialog interactive interact i console": _CONVERSATION,
        "session conversations chats threads": "missy sessions",
        "resume continue": _CONTINUE,
        "agent agents tool plugin plugins skills": _TOOLS,
        "prompt query question q say send complete generate answer gpt chatgpt": 'missy ask "..."',
        "login signin sign-in": "missy auth login",
        "logout signout sign-out": "missy auth logout",
        "whoami account": "missy auth status",
        "status check diagnose health ping test verify-setup": "missy doctor",
        "key apikey api-key secret secrets credential credentials token password": "missy vault set {name}",
        "logs log history trace": "missy audit recent",
        "verify": "missy audit verify",
        "export": "missy audit export",
        "update upgrade self-update": _HOW_TO_UPDATE,
        "uninstall": "remove the environment that it was installed into, and MISSY_HOME (see: missy config path)",
        "version": "missy --version",
        "list ls provider entries endpoints": "missy providers",
        "switch use default select": "missy providers switch {name}",
        "model list-models": "missy models",
        "configure wizard onboard onboarding quickstart start add new install connect": "missy setup",
        "set": "missy config set KEY VALUE",
        "unset remove delete rm": "missy config unset KEY",
        "get show settings preferences options": "missy config show",
        "edit": '"${EDITOR:-vi}" "$(missy config path)"',
        "validate lint": "missy config validate",
        "schema": "missy config schema",
        "path": "missy config path",
        "backup backups": "missy config backups",
        "rollback undo restore": "missy config rollback",
        "diff": "missy config diff",
        "allow deny permit block": _HOW_TO_ALLOW,
        "network policy hosts firewall rules": "missy net list",
        "explain": "missy net explain URL",
        "preset services": "missy presets",
        "server gateway proxy": "missy serve",
        "download pull fetch": "missy local install",
        "cost costs limits limit quota tokens spend": "missy usage",
        "completions autocomplete": "missy completion bash",
        "report bug issue": "missy doctor --report",
    }
)

COMMAND_SYNONYMS: dict[str, dict[str, str]] = {
    "keys": _one_entry_per_word(
        {
            "set save store": "missy vault set {name}",
            "new add make generate": "missy keys create NAME",
            "delete remove rm disable": "missy keys revoke NAME",
            "ls": "missy keys list",
        }
    ),
    "models": _one_entry_per_word(
        {
            "list ls show all": "missy models",
            "default set use": "missy config set providers.NAME.model MODEL",
        }
    ),
    "providers": _one_entry_per_word(
        {
            "show ls get status": "missy providers list",
            "use default set select": "missy providers switch {name}",
            "add new create configure": "missy setup",
            "remove delete rm del": "missy config unset providers.{name}",
            "edit update change": "missy config set providers.{name}.KEY VALUE",
            "test check": "missy doctor --provider {name}",
        }
    ),
    "auth": _one_entry_per_word(
        {
            "signin add": "missy auth login",
            "signout remove delete": "missy auth logout",
            "whoami show list info check": "missy auth status",
            "refresh renew": "missy auth status --refresh",
        }
    ),
    "net": _one_entry_per_word(
        {
            "allow add permit deny block remove": _HOW_TO_ALLOW,
            "ls show status rules": "missy net list",
            "test check why": "missy net explain URL",
        }
    ),
    "audit": _one_entry_per_word(
        {
            "show list ls log logs tail view last history": "missy audit recent",
            "check validate": "missy audit verify",
            "dump save": "missy audit export",
        }
    ),
    "vault": _one_entry_per_word(
        {
            "add put create store save new": "missy vault set {name}",
            "show read reveal": "missy vault get {name}",
            "ls names": "missy vault list",
            "remove rm del unset": "missy vault delete {name}",
        }
    ),
    "config": _one_entry_per_word(
        {
            "edit open": '"${EDITOR:-vi}" "$(missy config path)"',
            "get list ls view print dump": "missy config show",
            "add put": "missy config set KEY VALUE",
            "delete remove rm del": "missy config unset KEY",
            "init create new": "missy init",
            "check test lint": "missy config validate",
            "undo restore revert": "missy config rollback",
            "where file location": "missy config path",
            "history backup": "missy config backups",
        }
    ),
    "local": _one_entry_per_word(
        {
            "start run": "missy local serve",
            "download pull fetch get": "missy local install",
            "list ls show info": "missy local status",
            "stop": "press Ctrl-C in the terminal of: missy local serve",
            "uninstall remove delete rm": "delete the file that is named by: missy local status",
        }
    ),
    "doctor": _one_entry_per_word({"run all check": "missy doctor"}),
    "sessions": _one_entry_per_word(
        {
            "ls all recent history": "missy sessions list",
            "view get cat open print": "missy sessions show ID",
            "find grep query": "missy sessions search WORDS",
            "remove rm del clear purge": "missy sessions delete ID",
            "name title": "missy sessions rename ID NAME",
            "save dump": "missy sessions export ID",
            "copy branch": "missy sessions fork ID",
            "continue resume": _CONTINUE,
            "new create start": "missy run --session NAME",
            "verify validate": "missy sessions check",
        }
    ),
    "presets": _one_entry_per_word({"list ls show": "missy presets"}),
    "usage": _one_entry_per_word({"show status": "missy usage"}),
}
