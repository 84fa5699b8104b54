"""Plots of the page as SVG, drawn here: no script and no font from elsewhere. Pure.

A drawing holds bars alone and is stretched to the page; its words are HTML beside it, so they are readable at any width.
"""

from __future__ import annotations

from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT = 640, 130
_ROW_WIDTH, _ROW_HEIGHT = 400, 10


class Bar(NamedTuple):
    """One bar: its label, its parts from the ground up, and the whole as text."""

    label: str
    parts: tuple[float, ...]
    text: str


def columns(title: str, bars: list[Bar]) -> str:
    """Return columns over time, with the highest value above them and the first and last label below."""
    most = max((sum(bar.parts) for bar in bars), default=0.0)
    if most <= 0:
        return _nothing(title)
    step = _WIDTH / len(bars)
    width = max(1.0, min(step - 2, 40.0))
    drawn = []
    for place, bar in enumerate(bars):
        y = float(_HEIGHT)
        shapes = []
        for kind, part in enumerate(bar.parts):
            height = part / most * _HEIGHT
            y -= height
            shapes.append(_rect(place * step + (step - width) / 2, y, width, height, kind))
        drawn.append(f"<g><title>{escape(bar.label)}: {escape(bar.text)}</title>{''.join(shapes)}</g>")
    top = max(bars, key=lambda bar: sum(bar.parts))
    last = f"<span>{escape(bars[-1].label)}</span>" if len(bars) > 1 else ""
    return (
        f'<p class="note">most: {escape(top.text)}</p>{_svg("columns", title, _WIDTH, _HEIGHT, drawn)}'
        f'<p class="note ends"><span>{escape(bars[0].label)}</span>{last}</p>'
    )


def rows(title: str, bars: list[Bar]) -> str:
    """Return bars below each other, each with its label and its value."""
    most = max((sum(bar.parts) for bar in bars), default=0.0)
    if most <= 0:
        return _nothing(title)
    lines = []
    for bar in bars:
        x = 0.0
        shapes = []
        for kind, part in enumerate(bar.parts):
            width = part / most * _ROW_WIDTH
            shapes.append(_rect(x, 0, width, _ROW_HEIGHT, kind))
            x += width
        drawn = _svg("row", f"{title}: {bar.label}", _ROW_WIDTH, _ROW_HEIGHT, shapes)
        lines.append(f"<li><span>{escape(bar.label)}</span>{drawn}<span>{escape(bar.text)}</span></li>")
    return f'<ul class="rows">{"".join(lines)}</ul>'


def _nothing(title: str) -> str:
    return f'<p class="none">{escape(title)}: nothing yet</p>'


def _rect(x: float, y: float, width: float, height: float, kind: int) -> str:
    if width <= 0 or height <= 0:
        return ""
    return f'<rect class="part{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _svg(form: str, title: str, width: int, height: int, shapes: list[str]) -> str:
    return (
        f'<svg class="{form}" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(title)}; the table has the numbers">{"".join(shapes)}</svg>'
    )
