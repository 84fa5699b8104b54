"""`missy doctor`: shows the walk of missy.diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from missy.cli.app import App, emit, emit_json
from missy.cli.values import SECONDS
from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.diagnosis import Check

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "skip": "skip"}


@click.command("doctor")
@click.option("--provider", "-p", metavar="ENTRY", help="Walk this entry only.")
@click.option(
    "--timeout",
    metavar="S",
    type=SECONDS,
    default=10.0,
    help="Seconds for each step.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def command(app: App, provider: str | None, timeout: float, as_json: bool) -> int:
    """Walk the true path of each entry: config, policy, DNS, TCP, TLS, credential, one models call; name the fix.

    Exits 0 when nothing fails, else with the exit code of the first failure.

    \b
    Example:
      missy doctor --provider openai
    """
    checks = []
    for check in _checks(app, provider, timeout):
        checks.append(check)
        if not as_json:
            _show(check)
    worst = next((check.exit_code for check in checks if check.status == "fail"), 0)
    if as_json:
        fields = ("name", "status", "detail", "fix")
        emit_json(
            {"ok": worst == 0, "checks": [{field: getattr(c, field) for field in fields} for c in checks]}
        )
    return worst


def _checks(app: App, provider: str | None, timeout: float) -> Iterator[Check]:
    from missy import diagnosis

    yield from diagnosis.examine_machine()
    try:
        config = app.config()
        entries = (
            [config.entry(provider)] if provider else list(config.providers.values()) or [config.entry()]
        )
    except MissyError as error:
        yield diagnosis.failed("config", error)
        return
    yield diagnosis.Check("config", "ok", str(config.path) if config.exists else "no config file: defaults")
    with app.assistant() as missy:
        for entry in entries:
            yield from diagnosis.examine(missy, entry, timeout)


def _show(check: Check) -> None:
    emit(f"{_MARKS[check.status]}  {check.name}: {check.detail}")
    if check.fix and check.status != "ok":
        emit(f"      fix: {check.fix}")
