"""`missy vault`: secrets that are kept encrypted. A value comes by prompt, stdin or file, never by argv."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, BinaryIO

import click

from missy import os_errors, paths
from missy.cli.app import emit, emit_json, notice
from missy.errors import UsageError
from missy.secrets.redact import Secret
from missy.secrets.vault import Vault, check_name

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT = 1 << 17  # bytes read of what should be a secret of 64 KiB at most


@click.group()
def command() -> None:
    """Secrets that are kept encrypted, for `api_key: vault://NAME` in the configuration.

    \b
    Example:
      missy vault set groq
      missy vault set groq < key.txt
      missy vault list
    """


@command.command(name="set")
@click.argument("name")
@click.argument("rest", nargs=-1, metavar="")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the value from stdin, a terminal too.")
@click.option("--from-file", "file", metavar="FILE", help="Read the value from a file.")
def set_(name: str, rest: tuple[str, ...], from_stdin: bool, file: str | None) -> None:
    """Store a value under NAME, over what was there: what is piped in, or else it is asked for and not shown.

    One line end at the end of the value is left out.

    \b
    Example:
      missy vault set groq
      pass show groq | missy vault set groq
      missy vault set groq --from-file ~/groq.key
    """
    check_name(name)  # before anybody types a secret
    if rest:  # never shown: it is the value, most likely
        raise UsageError(
            "a value is no argument: the shell's history and other users would see it",
            hint=f"missy vault set {name} asks for it, or takes what is piped in, or use --from-file FILE",
        )
    if from_stdin and file is not None:
        raise UsageError("--stdin and --from-file name two values", hint="give one of them")
    vault = Vault(paths.home())
    new = vault.key_place() is None
    if file is not None:
        value = _read_file(paths.expand(file))
    else:
        asks = not from_stdin and sys.stdin is not None and sys.stdin.isatty()
        value = _ask(name) if asks else _read_stdin()
    vault.set(name, value)
    if new and vault.key_place() == "file":
        notice(f"no system keyring here: the vault's key is in {vault.key_file}, readable by you alone")
    notice(f"stored: use it as vault://{name}")


@command.command()
@click.argument("name")
def get(name: str) -> None:
    """Print the value of NAME to stdout.

    \b
    Example:
      missy vault get groq | wc -c
    """
    value = Vault(paths.home()).get(name).reveal()
    if sys.stdout.isatty():
        emit(value)
    else:  # as it is, whatever characters the stream's own encoding lacks
        sys.stdout.flush()
        sys.stdout.buffer.write(value.encode() + b"\n")


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_(as_json: bool) -> None:
    """Print the names, never the values. Needs no key.

    \b
    Example:
      missy vault list --json
    """
    names = Vault(paths.home()).names()
    if as_json:
        return emit_json([{"name": name, "version": version} for name, version in names.items()])
    for name in names:
        emit(name)
    if not names:
        notice("the vault is empty: store something with `missy vault set NAME`")
    return None


@command.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Remove NAME and its value.

    \b
    Example:
      missy vault delete groq --yes
    """
    vault = Vault(paths.home())
    check_name(name)
    if not yes and name in vault.names():
        if not sys.stdin.isatty():
            raise UsageError(
                f"deleting {name} wants a yes, and there is no terminal to ask on", hint="add --yes"
            )
        click.confirm(f"Delete {name} from the vault?", abort=True, err=True)
    vault.delete(name)
    notice(f"deleted {name}")


def _read_stdin() -> Secret:
    value = _read(sys.stdin.buffer, "stdin") if sys.stdin is not None else None
    if value is None or not value.reveal():
        raise UsageError(
            "no value was given: stdin is empty", hint="pipe the value in, or use --from-file FILE"
        )
    return value


def _ask(name: str) -> Secret:
    import getpass

    try:
        return Secret(getpass.getpass(f"Value of {name} (not shown): ", stream=sys.stderr))
    except EOFError:
        raise UsageError("no value was given", hint="type it, or pipe it in") from None


def _read_file(path: Path) -> Secret:
    with os_errors.faults("read", path), path.open("rb") as file:
        return _read(file, str(path))


def _read(file: BinaryIO, where: str) -> Secret:
    data = file.read(_LIMIT)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"what {where} holds is not UTF-8 text", hint="encode it as text, with base64 say"
        ) from None
    return Secret(text.removesuffix("\n").removesuffix("\r"))
