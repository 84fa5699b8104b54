"""The command line: a file a command, imported when it is called. It prints; nothing below it does."""

from __future__ import annotations


def main() -> None:
    """Run the `missy` command and exit with the code that the contract gives to what happened."""
    from missy.cli.main import run

    raise SystemExit(run())
