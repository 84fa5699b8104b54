"""`missy serve`: a gateway for the other programs on this machine, its state and its usage."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import click

from missy import paths
from missy.cli.app import App, emit, emit_json, notice
from missy.cli.garbage import collect_from_now_on
from missy.cli.param_types import seconds_of_age
from missy.cli.served import with_ledger
from missy.cost.money import format_usd
from missy.serve.keys import MICRO

_NOTE = "serve.json"  # under MISSY_HOME: which gateway runs
_BY = ("key", "model", "entry", "day")


@click.group("serve", invoke_without_command=True)
@click.option("--host", metavar="HOST", help="Where to listen; default from serve.listen, 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="The port; default from serve.listen, 8484. 0: any."
)
@click.option("--tls-cert", type=click.Path(dir_okay=False), metavar="FILE", help="The certificate, PEM.")
@click.option("--tls-key", type=click.Path(dir_okay=False), metavar="FILE", help="Its key, PEM.")
@click.option(
    "--store",
    metavar="URL",
    help="sqlite, or $ENV_VAR or vault://NAME of a postgresql URL; default: serve.store.",
)
@click.option("--json", "as_json", is_flag=True, help="Say where it listens as one JSON object.")
@click.pass_context
def command(
    ctx: click.Context,
    host: str | None,
    port: int | None,
    tls_cert: str | None,
    tls_key: str | None,
    store: str | None,
    as_json: bool,
) -> int | None:
    """Serve Chat Completions to the other programs on this machine, through the policy and on the record.

    The entries are those of serve.entries; each program needs a key (missy keys create). Ctrl-C ends it in order.

    \b
    Example:
      missy config set serve.entries '[openai]'
      missy keys create editor
      missy serve
    """
    if ctx.invoked_subcommand is not None:
        return None
    from missy.errors import UsageError
    from missy.serve.opening import open_store, require_server
    from missy.serve.server import Listen, parse_listen, require_safe, serve

    app: App = ctx.obj
    config = app.config()
    if (tls_cert is None) != (tls_key is None):
        raise UsageError("--tls-cert and --tls-key belong together", hint="give both")
    own_host, own_port = parse_listen(config.serve.listen)
    listen = Listen(host or own_host, own_port if port is None else port, tls_cert, tls_key)
    require_safe(listen, config)
    require_server()
    app.warn_about_all()
    chosen = config.serve.store if store is None else _checked_store(store)
    note = paths.home() / _NOTE

    def ready(bound: int) -> None:
        from missy import files

        name = f"[{listen.host}]" if ":" in listen.host else listen.host
        url = f"{'https' if tls_cert else 'http'}://{name}:{bound}/v1"
        files.write_note(note, {"pid": os.getpid(), "url": url})
        if as_json:
            sys.stdout.write(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
        else:
            emit(url)
            notice(f"serving {', '.join(config.serve.entries)}; Ctrl-C ends it")
        sys.stdout.flush()

    try:
        collect_from_now_on()
        return serve(config, open_store(chosen), listen, ready, notice)
    finally:
        if _running()[0] == os.getpid():
            note.unlink(missing_ok=True)


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def status(app: App, as_json: bool) -> None:
    """Show whether a gateway of this MISSY_HOME runs, what it serves, and its keys. Nothing is sent.

    \b
    Example:
      missy serve status
    """
    from missy.serve.ledger import Ledger

    async def count(ledger: Ledger) -> int:
        now = time.time()
        return sum(key.state(now) == "valid" for key in await ledger.keys())

    pid, url = _running()
    config = app.config().serve
    found: dict[str, Any] = {
        "running": pid is not None,
        "url": url,
        "pid": pid,
        "listen": config.listen,
        "entries": list(config.entries),
        "aliases": dict(config.aliases),
        "keys": with_ledger(app, count),
    }
    if as_json:
        emit_json(found)
        return
    emit(
        f"running at {url} (process {pid})"
        if pid is not None
        else f"not running; it would listen on {config.listen}"
    )
    emit(f"entries: {', '.join(config.entries) or 'none: see serve.entries'}")
    emit(f"keys that can be used: {found['keys']}")


@command.command("usage")
@click.option("--by", type=click.Choice(_BY), default="key", show_default=True, help="What to sum by.")
@click.option("--since", metavar="AGE", default="30d", show_default=True, help="12h, 30d, 4w.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def usage(app: App, by: str, since: str, as_json: bool) -> None:
    """Show what programs took and what it cost, by key, model, entry or day (UTC).

    \b
    Example:
      missy serve usage
      missy serve usage --by model --since 7d --json
    """
    start = int(time.time() - seconds_of_age(since)) // 60
    rows = with_ledger(app, lambda ledger: ledger.usage(by, start))
    if as_json:
        emit_json({"by": by, "since": since, "rows": [_with_usd(row) for row in rows]})
        return
    if not rows:
        notice(f"no request is on record since {since} ago")
        return
    from missy.cli.output.table import show_table

    head = (by.upper(), "REQUESTS", "REFUSED", "FAILED", "CUT", "IN", "OUT", "COST")
    show_table(head, [_cells(row) for row in rows])


def _checked_store(text: str) -> str:
    """Return the value of --store. Raises UsageError, which does not repeat it: it may hold a password."""
    from missy.config.serve_fields import check_store
    from missy.config.values import Wrong
    from missy.errors import UsageError

    try:
        return str(check_store(text))
    except Wrong:
        raise UsageError(
            "--store names no store",
            hint="write sqlite, '$ENV_VAR' or vault://NAME; a postgresql:// URL on the command line is seen by other users",
        ) from None


def _cells(row: dict[str, Any]) -> list[object]:
    cost = format_usd(
        row["cost_micro"] / MICRO, estimated=bool(row["estimated"]), at_least=bool(row["unpriced"])
    )
    names = ("key", "requests", "refused", "failed", "incomplete", "input_tokens", "output_tokens")
    return [*(row[name] for name in names), cost]


def _with_usd(row: dict[str, Any]) -> dict[str, Any]:
    shown = {**row, "cost_usd": row["cost_micro"] / MICRO, "cost_complete": not row["unpriced"]}
    del shown["cost_micro"]
    return shown


def _running() -> tuple[int | None, str | None]:
    """Return the process and URL of the gateway that runs, by its note."""
    from missy import files

    found = files.read_note(paths.home() / _NOTE)
    pid, url = found.get("pid"), found.get("url")
    if not isinstance(pid, int) or not isinstance(url, str):
        return None, None
    try:
        os.kill(pid, 0)
    except OSError:
        return None, None
    return pid, url
