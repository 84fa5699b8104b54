"""`missy ask`: one answer. Reads the prompt, calls the library, and shows the events as they arrive."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from missy.cli.app import App, emit_json, notice
from missy.cli.param_types import SECONDS, TEMPERATURE
from missy.cli.piped_stdin import is_piped, read_piped
from missy.cli.session_choice import choose
from missy.errors import IncompleteError, MissyError, UsageError
from missy.events import Text

if TYPE_CHECKING:
    from missy.answer import Answer
    from missy.cli.output.renderer import Renderer, Summary
    from missy.events import Event, Image
    from missy.providers.base import Preview

_MAX_IMAGE_BYTES = 20 << 20  # of one attached image
_IMAGE_TYPES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


@click.command("ask")
@click.argument("prompt", required=False)
@click.option("--provider", "-p", metavar="ENTRY", help="The entry to ask; never another one instead.")
@click.option("--model", "-m", metavar="M", help="The model, instead of the entry's.")
@click.option("--system", "-s", metavar="TEXT", help="Instructions that come before the prompt.")
@click.option(
    "--attach",
    "-a",
    metavar="FILE",
    multiple=True,
    type=click.Path(),
    help="An image to send along; may be repeated.",
)
@click.option(
    "--reasoning", type=click.Choice(["low", "medium", "high"]), help="How long the model should reason."
)
@click.option("--temperature", metavar="T", type=TEMPERATURE, help="0 to 2.")
@click.option("--max-tokens", metavar="N", type=click.IntRange(1), help="The longest answer, in tokens.")
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
    display = _AnswerDisplay(provider, output_options)
    try:
        text = _read_prompt(prompt, attached=bool(attach))
        options |= {
            "provider": provider,
            "images": [_read_image(path) for path in attach],
            "stream": not no_stream,
        }
        options |= _schema_options(schema, multi=schema_multi, repair=not no_repair)
        place = choose(app, session, continued=continued, dry_run=dry_run)
        will_ask = not dry_run and (text.strip() or attach)  # only then is a connection begun early
        entry = provider or (place.entry if place else None)
        app.warn(entry)
        with app.assistant(preconnect=entry if will_ask else False) as missy:
            asked = place.open(missy) if place else missy
            if place:
                place.name_files(options, attach)
            if dry_run:
                _print_preview(asked.preview(text, **options), as_json=as_json)
                return 0
            display.show(asked.ask(text, **options))
    except MissyError as error:
        display.fail(error)
        if as_json or as_events:
            return error.exit_code
        raise
    return 0


class _AnswerDisplay:
    """Shows one answer, complete or not. The renderer is imported when the first event arrives."""

    def __init__(self, provider: str | None, output_options: dict[str, Any]) -> None:
        self._provider = provider
        self._output_options = output_options
        self._loaded_renderer: Renderer | None = None
        self._answer: Answer | None = None
        self._is_shown_as_value = output_options["structured"] and not (
            output_options["json"] or output_options["events"]
        )

    def _renderer(self) -> Renderer:
        if self._loaded_renderer is None:
            from missy.cli.output.select import make_renderer

            self._loaded_renderer = make_renderer(sys.stdout, environ=os.environ, **self._output_options)
            self._loaded_renderer.start()
        return self._loaded_renderer

    def show(self, answer: Answer) -> None:
        self._answer = answer
        try:
            for event in answer:
                if not gc.isenabled():
                    gc.freeze()  # loaded modules stay: the collector need not look at them
                    gc.enable()
                self._renderer().event(self._formatted(event) if self._is_shown_as_value else event)
        finally:
            answer.close()  # a session keeps what came of an answer that was stopped
        value = answer.value() if self._output_options["structured"] and not answer.tool_calls else None
        self._renderer().finish(self._summary(value))

    @staticmethod
    def _formatted(event: Event) -> Event:
        """Return a piece of text as its value is shown; other events as they are."""
        if not isinstance(event, Text):
            return event
        from missy.cli.output.value import format_value

        return Text("" if event.commentary else format_value(event.text, indented=sys.stdout.isatty()))

    def fail(self, error: MissyError) -> None:
        text = error.text if isinstance(error, IncompleteError) and self._output_options["json"] else ""
        self._renderer().fail(error, text, self._summary())

    def _summary(self, value: Any = None) -> Summary:
        from missy.cli.output.renderer import Summary

        answer = self._answer
        if answer is None:
            return Summary(provider=self._provider)
        return Summary(
            provider=answer.provider,
            model=answer.model,
            session=getattr(answer, "session", None),
            turn=getattr(answer, "turn", None),
            ttft_ms=answer.ttft_ms,
            duration_ms=answer.duration_ms,
            value=value,
        )


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


def _read_prompt(prompt: str | None, *, attached: bool) -> str:
    """Return the prompt from the argument and stdin. Raises UsageError."""
    if prompt is not None:
        try:
            prompt.encode()
        except UnicodeEncodeError:
            raise UsageError("the prompt is not valid UTF-8", hint="check the terminal's encoding") from None
    if prompt is None or prompt == "-":
        if sys.stdin is None or sys.stdin.isatty():
            if attached:
                return ""
            if prompt is None:
                raise UsageError("there is no prompt", hint='try: missy ask "What is the capital of France?"')
            notice("type the prompt, then Ctrl-D on an empty line")
        return read_piped(optional=False)
    if prompt.startswith("@") and os.path.isfile(os.path.expanduser(prompt[1:])):
        notice(f"the prompt is the text {prompt} itself; to send the file: missy ask ... < {prompt[1:]}")
    piped = read_piped(optional=True) if is_piped() else ""
    return f"{prompt}\n\n{piped}" if piped.strip() else prompt


def _read_image(path: str) -> Image:
    """Read an attached image. Raises UsageError if it cannot be read or is not an image."""
    from missy.events import Image

    try:
        with open(os.path.expanduser(path), "rb") as file:
            data = file.read(_MAX_IMAGE_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="--attach takes image files"
        ) from None
    if len(data) > _MAX_IMAGE_BYTES:
        raise UsageError(f"{path} is larger than {_MAX_IMAGE_BYTES >> 20} MiB", hint="make it smaller first")
    kind = next((kind for magic, kind in _IMAGE_TYPES.items() if data.startswith(magic)), None)
    if kind is None or (kind == "image/webp" and data[8:12] != b"WEBP"):
        raise UsageError(
            f"{path} is not a PNG, JPEG, GIF or WebP image",
            hint="put text into the prompt: missy ask ... < FILE",
        )
    return Image(data, kind)


def _print_preview(preview: Preview, *, as_json: bool) -> None:
    """Print the request that would be sent."""
    import json

    from missy.secrets.redact import redact

    if as_json:
        body = json.loads(preview.body) if preview.body else None
        request = {"method": preview.method, "url": redact(preview.url), "credential": preview.credential}
        emit_json({**request, "headers": preview.headers, "body": body}, masked=False)
        return
    from missy.cli.output.sanitize import sanitize

    head = [
        f"{preview.method} {redact(preview.url)}",
        f"# credential: {preview.credential}",  # not a header: it says where the key comes from
        *(f"{name}: {value}" for name, value in preview.headers.items()),
    ]
    sys.stdout.write(sanitize("\n".join(head)) + "\n\n" + sanitize(preview.body.decode()) + "\n")
