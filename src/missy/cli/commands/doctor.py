"""`missy doctor`: prints the checks of missy.diagnosis."""

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
@click.option("--provider", "-p", metavar="ENTRY", help="Check only this entry.")
@click.option("--timeout", metavar="S", type=SECONDS, default=10.0, help="Seconds for each step.")
@click.option("--all", "show_all", is_flag=True, help="Show checks that passed, too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every check.")
@click.option(
    "--report",
    "as_report",
    is_flag=True,
    help="As a report to attach to a bug report; it contains no secret.",
)
@click.pass_obj
def command(
    app: App, provider: str | None, timeout: float, show_all: bool, as_json: bool, as_report: bool
) -> int:
    """Check each entry step by step: config, policy, DNS, TCP, TLS, credential, one models call; name the fix.

    Shows the checks that did not pass, and in the last line which entries work. A fix can be pasted into a shell, or
    into config.yaml if it is YAML. Exits with 0 if no check failed, else with the exit code of the first failure.

    --report contains no secret and only the hosts of known services, and always exits with 0.

    \b
    Example:
      missy doctor
      missy doctor --provider openai
      missy doctor --report > report.md
    """
    if as_json and as_report:
        raise UsageError("--json and --report exclude each other", hint="leave one of them out")
    diagnosis = _Diagnosis(app, provider, timeout)
    checks: list[Check] = []
    for check in diagnosis.checks():
        checks.append(check)
        if not as_json and not as_report and (show_all or check.status != "ok"):
            _show(check)
    if as_report:
        from missy.diagnosis.report import write_report

        emit(write_report(checks, diagnosis.config))
        return 0
    worst = next((check.exit_code for check in checks if check.status == "fail"), 0)
    if as_json:
        fields = ("name", "status", "detail", "fix")
        rows = [{field: getattr(check, field) for field in fields} for check in checks]
        emit_json({"ok": not any(check.status == "fail" for check in checks), "checks": rows})
    else:
        emit(diagnosis.summary())
    return worst


class _Diagnosis:
    """One run of all checks. `config` is the configuration, None if it cannot be used."""

    def __init__(self, app: App, provider: str | None, timeout: float) -> None:
        self.config: Config | None = None
        self._working: dict[str, bool | None] = {}  # None: disabled
        self._app = app
        self._provider = provider
        self._timeout = timeout

    def checks(self) -> Iterator[Check]:
        from missy.checks import failed
        from missy.diagnosis.entries import examine
        from missy.diagnosis.machine import examine_config, examine_machine
        from missy.diagnosis.sandbox import examine_sandbox

        yield from examine_machine()
        try:
            config = self.config = self._app.config()
            named = [config.entry(self._provider)] if self._provider else []
            entries = named or list(config.providers.values()) or [config.entry()]
        except MissyError as error:
            yield failed("config", error)
            return
        yield from examine_config(config)
        yield from examine_sandbox()
        if not self._provider:
            from missy.diagnosis.mcp import examine_servers

            yield from examine_servers(config, self._app.audit())
        if not self._provider and config.serve.entries:
            from missy.diagnosis.gateway import examine_gateway

            yield from examine_gateway(config)
        with self._app.assistant() as missy:
            for entry in entries:
                self._working[entry.entry] = True if entry.enabled else None
                for check in examine(missy, entry, self._timeout):
                    if check.status == "fail":
                        self._working[entry.entry] = False
                    yield check

    def summary(self) -> str:
        """Return one line that says which entries work and which do not."""
        if not self._working:
            return "no entry could be checked"
        good, bad, off = (
            [name for name, works in self._working.items() if works is wanted]
            for wanted in (True, False, None)
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
