"""`missy doctor`: shows the walk of missy.diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from missy.cli.app import App, emit, emit_json
from missy.cli.param_types import SECONDS
from missy.errors import MissyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.checks import Check
    from missy.config.schema import Config

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "skip": "skip"}


@click.command("doctor")
@click.option("--provider", "-p", metavar="ENTRY", help="Walk this entry only.")
@click.option("--timeout", metavar="S", type=SECONDS, default=10.0, help="Seconds for each step.")
@click.option("--all", "show_all", is_flag=True, help="Show what is as it should be, too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON: every check.")
@click.option(
    "--report", "as_report", is_flag=True, help="As a report to attach to a bug: it holds no secret."
)
@click.pass_obj
def command(
    app: App, provider: str | None, timeout: float, show_all: bool, as_json: bool, as_report: bool
) -> int:
    """Walk the true path of each entry: config, policy, DNS, TCP, TLS, credential, one models call; name the fix.

    Shows what is not as it should be, and in the last line which entries work. A fix can be pasted into a shell, or
    into config.yaml where it is YAML. Exits 0 when nothing fails, else with the exit code of the first failure.

    --report holds no secret and no host but those of known services, and always exits 0.

    \b
    Example:
      missy doctor
      missy doctor --provider openai
      missy doctor --report > report.md
    """
    if as_json and as_report:
        raise UsageError("--json and --report exclude each other", hint="leave one of them out")
    walk = _Walk(app, provider, timeout)
    checks: list[Check] = []
    for check in walk.checks():
        checks.append(check)
        if not as_json and not as_report and (show_all or check.status != "ok"):
            _show(check)
    if as_report:
        from missy.diagnosis.report import write_report

        emit(write_report(checks, walk.config))
        return 0
    worst = next((check.exit_code for check in checks if check.status == "fail"), 0)
    if as_json:
        fields = ("name", "status", "detail", "fix")
        rows = [{field: getattr(check, field) for field in fields} for check in checks]
        emit_json({"ok": not any(check.status == "fail" for check in checks), "checks": rows})
    else:
        emit(walk.count())
    return worst


class _Walk:
    """One walk; `config` is what it found, None where that cannot be used."""

    def __init__(self, app: App, provider: str | None, timeout: float) -> None:
        self.config: Config | None = None
        self._works: dict[str, bool | None] = {}  # None: disabled
        self._app = app
        self._provider = provider
        self._timeout = timeout

    def checks(self) -> Iterator[Check]:
        from missy.checks import failed
        from missy.diagnosis.entries import examine
        from missy.diagnosis.machine import examine_config, examine_machine

        yield from examine_machine()
        try:
            config = self.config = self._app.config()
            named = [config.entry(self._provider)] if self._provider else []
            entries = named or list(config.providers.values()) or [config.entry()]
        except MissyError as error:
            yield failed("config", error)
            return
        yield from examine_config(config)
        with self._app.assistant() as missy:
            for entry in entries:
                self._works[entry.entry] = True if entry.enabled else None
                for check in examine(missy, entry, self._timeout):
                    if check.status == "fail":
                        self._works[entry.entry] = False
                    yield check

    def count(self) -> str:
        """Say in one line which entries work and which do not."""
        if not self._works:
            return "no entry could be looked at"
        good, bad, off = (
            [name for name, works in self._works.items() if works is wanted] for wanted in (True, False, None)
        )
        said = f"{len(good)} {'entry works' if len(good) == 1 else 'entries work'}" if good else ""
        if bad:
            does = "does not" if len(bad) == 1 else "do not"
            said += f", {len(bad)} {does}: " if good else "no entry works: "
            said += ", ".join(bad)
        disabled = f"{len(off)} disabled" if off else ""
        return ", ".join(filter(None, (said, disabled)))


def _show(check: Check) -> None:
    emit(f"{_MARKS[check.status]}  {check.name}: {check.detail}")
    if check.fix and check.status != "ok":
        emit(f"      fix: {check.fix}")
