"""The table of commands and the text of `missy --help`. It imports nothing, so that `--help` is fast."""

from __future__ import annotations

# name -> (module, one line for --help); the module is imported when the command is called
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("missy.cli.commands.init", "Write a commented config.yaml and the folders."),
    "setup": ("missy.cli.commands.setup", "The wizard: an entry, its key or login, a live check."),
    "ask": ("missy.cli.commands.ask", "One answer, streamed as it arrives."),
    "run": ("missy.cli.commands.run", "A conversation on the terminal."),
    "batch": (
        "missy.cli.commands.batch",
        "Many prompts from a file, each asked once; resumable, with a cap.",
    ),
    "sessions": (
        "missy.cli.commands.sessions",
        "Conversations: list, show, search, rename, fork, export, delete.",
    ),
    "providers": (
        "missy.cli.commands.providers",
        "The entries: kind, model, endpoint, credential, ready or why not.",
    ),
    "models": ("missy.cli.commands.models", "The endpoint's current list of models."),
    "auth": ("missy.cli.commands.auth", "The ChatGPT logins: login, status, use, logout."),
    "usage": ("missy.cli.commands.usage", "What calls took and cost, and how much of a plan is used."),
    "doctor": ("missy.cli.commands.doctor", "Check each entry step by step and name the fix."),
    "net": ("missy.cli.commands.net", "The network policy: what may be reached, and by which rule."),
    "tools": ("missy.cli.commands.tools", "What the model may do, and by which rule."),
    "mcp": ("missy.cli.commands.mcp", "Servers of tools: add, approve, test, remove."),
    "audit": ("missy.cli.commands.audit", "The record of what left the machine."),
    "vault": ("missy.cli.commands.vault", "Encrypted secrets."),
    "config": ("missy.cli.commands.config", "The configuration file: show it, check it, change it."),
    "presets": ("missy.cli.commands.presets", "The services that setup and network.presets know by name."),
    "local": ("missy.cli.commands.local", "The model on this machine: install, status, serve."),
    "serve": ("missy.cli.commands.serve", "A gateway for the other programs on this machine."),
    "keys": ("missy.cli.commands.keys", "The keys with which programs use the gateway."),
    "completion": ("missy.cli.commands.completion", "The completion script for bash, zsh or fish."),
}

OPTIONS = (
    ("--config FILE", "Another config file than MISSY_HOME/config.yaml."),
    ("--debug", "Show a traceback with an error. Secrets stay masked."),
    ("--version", "Show the version and exit."),
    ("-h, --help", "Show this message and exit."),
)


def first_page() -> str:
    """Return the text of `missy --help`."""
    options = "\n".join(f"  {name:<15}{text}" for name, text in OPTIONS)
    commands = "\n".join(f"  {name:<15}{text}" for name, (_, text) in COMMANDS.items())
    return f"""Usage: missy [OPTIONS] COMMAND [ARGS]...

  Ask language models. A key goes only to its own host, and what is sent is on record.

Example:
  missy setup
  missy ask "What is the capital of France?"
  missy run
  git diff | missy ask "Write a commit message for this"

Options:
{options}

Commands:
{commands}

  missy COMMAND --help says more, with an example.
"""
