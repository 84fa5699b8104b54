"""Renders Markdown for a terminal. The only module that imports rich; it is imported when an answer begins.

What the model wrote cannot control the terminal: the text is sanitized before it is parsed, and again afterwards,
since Markdown can encode a character (`&#x202e;`, `%1b` in a link). The only escape sequences in the result are our
own colours and weights. Nothing is dropped: HTML and reference definitions are shown as source text, a link with its
URL.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.color import ColorSystem
from rich.console import Console
from rich.markdown import CodeBlock, Heading, Markdown
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text
from rich.theme import Theme

from missy.cli.output.sanitize import sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.console import ConsoleOptions, RenderableType, RenderResult

    from missy.cli.output.blocks import Block

_THEME = "ansi_dark"  # the terminal's own colours, no background: readable on any terminal
_STYLES = Theme({"markdown.code": "bold cyan", "markdown.code_block": "cyan"})  # no background here either
_MAX_BLOCK_CHARS = (
    20_000  # of one block; a longer one is shown as plain text, since parsing hostile text is not linear
)
_COLOR_SYSTEMS = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
}
_CODE = "code"  # the name of the mark on the line that stands for a code block
_MAX_NESTING = 12  # levels of lists and quotes; deeper ones have no room left on the line


class _Heading(Heading):
    """A heading at the left margin. Some versions of rich would centre it or draw a box."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text.copy()
        text.justify = "left"
        yield text


class _CodeBlock(CodeBlock):
    """Code inside a list item or a quote: one line that stands for it, which `Painter` replaces by the code."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment("\n")
        yield Segment(".", Style(meta={_CODE: (self.lexer_name, str(self.text))}))
        yield Segment("\n\n")


class _Markdown(Markdown):
    elements = {  # noqa: RUF012  the base class declares it
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _CodeBlock,
        "code_block": _CodeBlock,
    }


class Painter:
    """Renders complete blocks for a terminal that is `columns` wide. Reads TERM, COLORTERM and NO_COLOR from
    `environ`.
    """

    def __init__(self, columns: int, environ: Mapping[str, str]) -> None:
        known = {name: environ[name] for name in ("TERM", "COLORTERM") if name in environ}
        self._console = Console(
            file=io.StringIO(),
            force_terminal=True,
            force_jupyter=False,
            width=columns,
            no_color=bool(environ.get("NO_COLOR")),
            markup=False,
            emoji=False,
            highlight=False,
            theme=_STYLES,
            legacy_windows=False,
            _environ=known,
        )
        system = self._console.color_system
        self._colors = _COLOR_SYSTEMS.get(system or "")
        # One for all blocks, since it makes a parser of its own, which takes longer than most blocks.
        self._document = _Markdown("", code_theme=_THEME, hyperlinks=False)
        parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
        self._parser = parser.disable(["reference", "html_block", "html_inline"])

    def paint(self, block: Block) -> str:
        """Return the lines of `block`, each with its newline. A block that cannot be rendered is returned as plain
        text.
        """
        plain = block.raw.rstrip("\n") + "\n"
        if len(block.raw) > _MAX_BLOCK_CHARS:
            return plain
        try:
            if block.kind == "code":
                return self._print_lines(self._code(block.body, block.language))
            return self._print(self._markdown(block.body)).strip("\n") + "\n"
        except Exception:  # an error in the renderer must not lose the answer
            return plain

    def _code(self, code: str, language: str) -> Text:
        """Return the code in colours, character by character as it is, so that it can be copied."""
        syntax = Syntax("", language, theme=_THEME, background_color="default", tab_size=0)
        text = syntax.highlight(code.removesuffix("\n") + "\n")  # it would add a missing one
        text.remove_suffix("\n")
        return text

    def _print_lines(self, text: Text) -> str:
        """Return styled text without wrapping it or expanding its tabs: both are the terminal's business."""
        return self._to_text(text.render(self._console, end="")) + "\n"

    def _markdown(self, text: str) -> RenderableType:
        markdown = self._document
        markdown.parsed = self._parser.parse(text)
        if max((token.level for token in markdown.parsed), default=0) > _MAX_NESTING:
            raise ValueError("too deep")
        for token in markdown.parsed:
            token.content = sanitize(token.content)
            token.info = sanitize(token.info)
            token.children = list(_make_all_visible(token.children)) if token.children else token.children
        return markdown

    def _print(self, renderable: RenderableType) -> str:
        lines = self._console.render_lines(renderable, pad=False)
        return self._to_text(part for line in lines for part in self._line(line))

    def _to_text(self, segments: Iterable[Segment]) -> str:
        """Return segments with their colours and weights; `Console.print` would examine every one of them again."""
        if self._console.no_color:
            segments = Segment.remove_color(segments)
        colors = self._colors
        return "".join(
            style.render(text, color_system=colors) if style else text
            for text, style, control in segments
            if not control
        )

    def _line(self, line: list[Segment]) -> Iterator[Segment]:
        """Yield a line without padding; in place of the line that stands for code, the code, at the left margin."""
        for segment in line:
            if segment.style is not None and (code := segment.style.meta.get(_CODE)):
                language, text = code
                yield from self._code(text, language).render(self._console, end="\n")
                return
        yield from _strip_padding(line)


def _make_all_visible(tokens: list[Token]) -> Iterator[Token]:
    """Yield the tokens of a line so that all of it is visible: line breaks kept, images as text, a bare URL
    once.
    """
    bare = False
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        token.content = sanitize(token.content)
        if token.type == "softbreak":
            token.type = "hardbreak"
        elif token.type == "image":
            token = Token("text", "", 0, content=sanitize(f"{token.content} ({token.attrs.get('src', '')})"))  # noqa: PLW2901
        elif token.type == "link_open":
            url = sanitize(str(token.attrs.get("href", "")), newlines=False)
            token.attrs["href"] = url
            bare = token.markup == "autolink" or (after is not None and after.content == url)
        if not (bare and token.type.startswith("link_")):
            yield token


def _strip_padding(line: list[Segment]) -> Iterator[Segment]:
    """Yield `line` without the spaces that only fill it up to the edge."""
    while line and not line[-1].text.strip():
        line.pop()
    if line:
        last = line.pop()
        yield from line
        yield Segment(last.text.rstrip(), last.style)
    yield Segment("\n")
