"""`missy ask`: one answer. Reads the prompt, calls the library, and shows the events as they arrive."""

from __future__ import annotations

from typing import Any

import click

from missy.cli.answer_display import AnswerDisplay
from missy.cli.app import App
from missy.cli.param_types import DOLLARS, SECONDS, TEMPERATURE
from missy.cli.prompt import read_prompt
from missy.cli.session_choice import choose
from missy.cli.tool_options import exit_code, take_tools, tool_options
from missy.errors import MissyError, UsageError
from missy.events import Message


@click.command("ask")
@click.argument("prompt", required=False)
@click.option(
    "--provider", "-p", metavar="ENTRY", help="The entry to ask; another one only if its `fallback` says so."
)
@click.option("--model", "-m", metavar="M", help="The model, instead of the entry's.")
@click.option("--system", "-s", metavar="TEXT", help="Instructions that come before the prompt.")
@click.option(
    "--role", metavar="NAME", help="A role of the configuration: its instructions, entry and model."
)
@click.option(
    "--attach",
    "-a",
    metavar="FILE",
    multiple=True,
    type=click.Path(),
    help="A file to send along: an image, a PDF or UTF-8 text; may be repeated.",
)
@click.option(
    "--reasoning", type=click.Choice(["low", "medium", "high"]), help="How long the model should reason."
)
@click.option("--temperature", metavar="T", type=TEMPERATURE, help="0 to 2.")
@click.option("--max-tokens", metavar="N", type=click.IntRange(1), help="The longest answer, in tokens.")
@click.option("--max-cost", metavar="USD", type=DOLLARS, help="Do not ask if it could cost more.")
@click.option("--timeout", metavar="S", type=SECONDS, help="The idle timeout, in seconds.")
@click.option(
    "--schema",
    metavar="SCHEMA",
    help="What the answer must fit: a file, JSON, or 'name str, age int, tags: what for'.",
)
@click.option("--schema-multi", is_flag=True, help='Several such things, as {"items": [...]}.')
@click.option(
    "--no-repair", is_flag=True, help="Do not ask once more for an answer that does not fit its schema."
)
@click.option("--continue", "-c", "continued", is_flag=True, help="Continue the session that was used last.")
@click.option("--session", metavar="S", help="Continue this session, or begin one of this name.")
@tool_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object, on success and on failure.")
@click.option("--events", "as_events", is_flag=True, help="One JSON event per line, as it arrives.")
@click.option(
    "--no-stream", is_flag=True, help="Ask for the answer without streaming, and print it at the end."
)
@click.option("--dry-run", is_flag=True, help="Print the exact request, secrets masked, and send nothing.")
@click.pass_obj
def command(
    app: App,
    /,
    prompt: str | None,
    provider: str | None,
    role: str | None,
    attach: tuple[str, ...],
    as_json: bool,
    as_events: bool,
    no_stream: bool,
    dry_run: bool,
    schema: str | None,
    schema_multi: bool,
    no_repair: bool,
    continued: bool,
    session: str | None,
    **options: Any,
) -> int:
    """One answer, streamed to stdout as it arrives.

    Without PROMPT, or with -, the prompt is read from stdin; with a PROMPT, text that is piped in is appended to it.
    With a PROMPT, a pipe that stays open and empty for 3 seconds is ignored, with a notice.
    It is stored only with --continue or --session (an id, the beginning of one, or a name), or `sessions.save: all`.

    \b
    Example:
      missy ask "What is the capital of France?"
      missy ask --provider groq --json "One word: hello" | jq -r .text
      git diff | missy ask "Write a commit message for this"
    """
    if as_json and as_events:
        raise click.UsageError("--json prints one object and --events many: choose one")
    output_options = {
        "json": as_json and not dry_run,
        "events": as_events and not dry_run,
        "no_stream": no_stream,
        "structured": schema is not None,
    }
    display = AnswerDisplay(provider, output_options)
    try:
        text = read_prompt(prompt, attached=bool(attach))
        options |= {"provider": provider, "role": role, "stream": not no_stream}
        if attach:
            from missy.attachments.reading import read_attachments

            options["attachments"] = display.attachments = read_attachments(attach)
        of_role = _role_entry(app, role, options["system"])
        options |= _schema_options(schema, multi=schema_multi, repair=not no_repair)
        typed = prompt if prompt is not None and prompt != "-" else None
        options |= take_tools(app, options, words=typed, private=text != prompt, show=display.event)
        place = choose(app, session, continued=continued, dry_run=dry_run)
        will_ask = not dry_run and (text.strip() or attach)  # only then is a connection begun early
        entry = provider or of_role or (place.entry if place else None)
        app.warn(entry, asks=True)
        if attach:
            from missy.providers.accepted import require_accepted

            require_accepted(app.config().entry(entry), [Message("user", attachments=options["attachments"])])
        with app.assistant(preconnect=entry if will_ask else False) as missy:
            missy.record_at_close()  # what it cost, after it is shown
            asked = place.open(missy) if place else missy
            if dry_run:
                from missy.cli.request_preview import print_preview

                print_preview(asked.preview(text, **options), display.attachments, as_json=as_json)
                return 0
            answer = asked.ask(text, **options)
            display.show(answer)
            return exit_code(answer)
    except MissyError as error:
        display.fail(error)
        if as_json or as_events:
            return error.exit_code
        raise


def _role_entry(app: App, role: str | None, system: str | None) -> str | None:
    """Return the entry that a role names, None for none. Raises UsageError for a role that cannot be used."""
    if role is None:
        return None
    from missy.config.roles import with_role

    entry: str | None = with_role(app.config(), {"role": role, "system": system}).get("provider")
    return entry


def _schema_options(schema: str | None, *, multi: bool, repair: bool) -> dict[str, Any]:
    """Read the schema, before a connection is begun. Raises UsageError."""
    if schema is None:
        if multi or not repair:
            name = "--schema-multi" if multi else "--no-repair"
            raise UsageError(
                f"{name} says something about a schema, and there is none", hint="give --schema too"
            )
        return {}
    from missy.structured.reading import read_schema

    return {"schema": read_schema(schema, multi=multi), "repair": repair}
