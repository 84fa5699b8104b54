"""`missy vault`: encrypted secrets. A value comes from a prompt, stdin or a file, never from the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from missy import os_errors, paths
from missy.cli.app import emit, emit_json, notice
from missy.cli.confirm import interruptible, require_yes
from missy.cli.piped_stdin import read_bytes
from missy.errors import UsageError
from missy.secrets.redact import Secret
from missy.secrets.vault import Vault, check_name

if TYPE_CHECKING:
    from pathlib import Path

_MAX_READ_BYTES = 1 << 17  # a secret has at most 64 KiB


@click.group()
def command() -> None:
    """Encrypted secrets, for `api_key: vault://NAME` in the configuration.

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
    """Store a value under NAME; replaces an existing one. The value is read from a pipe, or asked for and not shown.

    One newline at the end of the value is removed.

    \b
    Example:
      missy vault set groq
      pass show groq | missy vault set groq
      missy vault set groq --from-file ~/groq.key
    """
    check_name(name)  # before a secret is typed
    if rest:  # never shown: it is probably the value
        raise UsageError(
            "a value cannot be an argument: the shell's history and other users would see it",
            hint=f"missy vault set {name} asks for it, or reads it from a pipe; or use --from-file FILE",
        )
    if from_stdin and file is not None:
        raise UsageError("--stdin and --from-file exclude each other", hint="leave one of them out")
    vault = Vault(paths.home())
    new = vault.key_place() is None
    if file is not None:
        value = _read_file(paths.expand(file))
    else:
        asks = not from_stdin and sys.stdin.isatty()
        value = _prompt_for_value(name) if asks else _read_stdin()
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
        emit(value, masked=False)
    else:  # unchanged, whatever the encoding of the stream
        sys.stdout.flush()
        sys.stdout.buffer.write(value.encode() + b"\n")


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_(as_json: bool) -> None:
    """Print the names, never the values. Does not need the key of the vault.

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
    if name in vault.names():
        require_yes(f"Delete {name} from the vault?", yes=yes)
    vault.delete(name)
    notice(f"deleted {name}")


def _read_stdin() -> Secret:
    value = _decode(read_bytes(_MAX_READ_BYTES), "stdin")
    if not value.reveal():
        raise UsageError(
            "no value was given: stdin is empty", hint="pipe the value in, or use --from-file FILE"
        )
    return value


def _prompt_for_value(name: str) -> Secret:
    import getpass

    try:
        with interruptible():
            return Secret(getpass.getpass(f"Value of {name} (not shown): ", stream=sys.stderr))
    except EOFError:
        raise UsageError("no value was given", hint="type it, or pipe it in") from None


def _read_file(path: Path) -> Secret:
    with os_errors.faults("read", path), path.open("rb") as file:
        data = file.read(_MAX_READ_BYTES)
    return _decode(data, str(path))


def _decode(data: bytes, where: str) -> Secret:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"what is in {where} is not UTF-8 text", hint="encode it as text, with base64 for example"
        ) from None
    return Secret(text.removesuffix("\n").removesuffix("\r"))
