"""`missy local`: the model on this machine. It prints the key of a server only with --show-key."""

from __future__ import annotations

import sys

import click

from missy.cli.app import App, emit, emit_json, notice
from missy.errors import MissyError
from missy.hints import to_install

MODEL_NOTE = "a 135M model: good enough to try everything without a key, not to be believed"


@click.group("local")
def command() -> None:
    """The model on this machine: install, status, serve.

    \b
    Example:
      missy local install
      missy ask --provider local "What is the capital of France?"
    """


@command.command(short_help="Download the model with your own pip or uv.")
@click.pass_obj
def install(app: App) -> None:
    """Download the model with your own pip or uv, verify it, and store it in MISSY_HOME.

    93 MB once. Nothing is installed into your Python. Run it again at any time: a model that is installed
    and intact is left as it is.

    \b
    Example:
      missy local install
    """
    from missy.local import model
    from missy.local.installed import require_server

    require_server()  # before 93 MB are downloaded that could not be served
    path = model.install(app.audit(), notice)
    emit(str(path))
    notice(f"{model.NAME} is ready ({MODEL_NOTE})")


@command.command(short_help="Is the model installed, is its server running? No network.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(as_json: bool) -> None:
    """Show whether the model and its server are installed, and whether a server is running. No network.

    \b
    Example:
      missy local status --json
    """
    facts = _gather_facts()
    if as_json:
        return emit_json(facts)
    emit(f"model    {facts['model']}: {_describe_state(facts)}")
    emit(f"file     {facts['path']}")
    emit(f"server   {'xllamacpp ' + str(facts['xllamacpp']) if facts['xllamacpp'] else 'not installed'}")
    emit(f"running  {facts['running'] or 'no'}")
    if facts["fix"]:
        emit(f"fix      {facts['fix']}")
    return None


@command.command(short_help="Serve the model on 127.0.0.1 until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: a free one.")
@click.option("--show-key", is_flag=True, help="Print the key too, on the second line of stdout.")
@click.option("--model", "model_path", metavar="FILE", help="Another GGUF file than the installed model.")
def serve(port: int, show_key: bool, model_path: str | None) -> None:
    """Serve the model on 127.0.0.1 until Ctrl-C, with a new key each time.

    Prints the base URL. The key is in a file that only you can read; its name is printed to stderr.

    \b
    Example:
      missy local serve --port 8811
    """
    from missy.local import model
    from missy.local.server import LocalServer, publish

    with LocalServer.start(model_path or model.require(), port=port) as server, publish(server) as file:
        emit(server.base_url)
        if show_key:
            sys.stdout.write(server.key.reveal() + "\n")
        sys.stdout.flush()
        notice(f"the key is in {file}; Ctrl-C ends the server")
        code = server.wait()
    raise MissyError(
        f"the model server ended by itself, with code {code}", hint="start it again: missy local serve"
    )


def _gather_facts() -> dict[str, object]:
    """Return the fields of `status --json`."""
    from missy.local import model
    from missy.local.installed import server_version
    from missy.local.server import running

    found, version, server = model.state(), server_version(), running()
    fix = "" if found.verified else "missy local install"
    if version is None:
        fix = to_install("local")
    return {
        "model": model.NAME,
        "installed": found.size is not None,
        "path": str(found.path),
        "size": found.size,
        "hash_ok": found.verified if found.size is not None else None,
        "xllamacpp": version,
        "running": server[0] if server else None,
        "fix": fix,
    }


def _describe_state(facts: dict[str, object]) -> str:
    if not facts["installed"]:
        return "not installed"
    return f"installed, {facts['size']} bytes" if facts["hash_ok"] else "installed, but it is another file"
