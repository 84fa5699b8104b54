"""`missy net`: what the policy allows. No network."""

from __future__ import annotations

from typing import cast

import click

from missy.cli.app import App, emit, emit_json
from missy.errors import UsageError
from missy.policy import Category, InvalidURL, parse


@click.group("net")
def command() -> None:
    """The network policy: what may be reached, and by which rule.

    \b
    Example:
      missy net explain https://api.groq.com/openai/v1
      missy net list
    """


@command.command("explain")
@click.argument("url")
@click.option(
    "--category", type=click.Choice(["provider", "tool"]), default="provider", help="The kind of call."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def explain(app: App, url: str, category: str, as_json: bool) -> int:
    """Show which rule allows or denies URL. No DNS lookup. Exits with 3 if it is denied, 2 if it is not a URL.

    \b
    Example:
      missy net explain https://example.com:8443/ --json
    """
    try:
        target = parse(url)
    except InvalidURL as error:
        raise UsageError(f"{error}", hint="give a whole URL, such as https://api.openai.com/v1") from error
    decision = app.policy().decide(target, cast(Category, category))
    if as_json:
        emit_json(
            {
                "allowed": decision.allowed,
                "rule": decision.rule,
                "reason": decision.reason,
                "scheme": target.scheme,
                "host": target.host,
                "port": target.port,
                "category": category,
            }
        )
    else:
        emit(f"{'allowed' if decision.allowed else 'denied'}: {target} ({decision.rule})")
        emit(f"  {decision.reason}")
        if decision.fix:
            emit(f"  to allow it, add to config.yaml: {decision.fix}")
    return 0 if decision.allowed else 3


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_reachable(app: App, as_json: bool) -> None:
    """List all hosts that may be reached, and the rule for each.

    \b
    Example:
      missy net list
    """
    reaches = app.policy().reachable()
    if as_json:
        emit_json([reach._asdict() for reach in reaches])
        return
    if not reaches:
        emit("nothing may be reached")
        return
    from missy.cli.output.table import show_table

    show_table(
        ("HOST", "PORT", "SCHEME", "FOR", "RULE"),
        [(reach.host, reach.port or "any", reach.scheme, reach.category, reach.rule) for reach in reaches],
    )
