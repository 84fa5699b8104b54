"""Charts for the docs: bars in plain SVG, readable on a light and on a dark page."""

from __future__ import annotations

from html import escape

_WIDTH, _LEFT, _RIGHT, _BAR, _STEP = 720, 150, 90, 18, 28
_STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #57606a }
  .title { font-weight: 600; fill: #1f2328 }
  .own { font-weight: 600; fill: #1f2328 }
  .value { font-variant-numeric: tabular-nums }
  rect { fill: #afb8c1 }
  rect.own { fill: #1a7f5a }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .title, text.own { fill: #f0f6fc }
    rect { fill: #4b535d }
    rect.own { fill: #2ea97a }
  }"""
_ASKING = (
    ("stdlib", "stdlib ask"),
    ("httpx2", "httpx2 ask"),
    ("missy", "missy ask"),
    ("openai SDK", "sdk ask"),
    ("llm", "llm ask"),
)
_STARTING = (("python -c pass", "pass"), ("missy", "missy --version"), ("llm", "llm --version"))
_STREAMING = (("missy", "missy chunks"), ("openai SDK", "sdk chunks"))
# title, unit, figure, (label, case)
_PANELS = (
    ("CPU time of one answer, from start to end", "ms", "cpu", _ASKING),
    ("CPU time until its request is sent", "ms", "sent_cpu", _ASKING),
    ("CPU time of --version", "ms", "cpu", _STARTING),
    ("CPU time of a streamed chunk", "us", "chunk", _STREAMING),
)


def draw(results: dict[str, dict[str, list[float]]]) -> str:
    """Return the SVG: the least of each figure."""
    panels = []
    for title, unit, figure, bars in _PANELS:
        known = [
            (label, min(results[case][figure])) for label, case in bars if figure in results.get(case, {})
        ]
        panels.append((title, unit, known))
    return svg("How long Missy and others take", panels, _LEFT)


def svg(label: str, panels: list[tuple[str, str, list[tuple[str, float]]]], left: int) -> str:
    """Return an SVG of panels: title, unit, and bars as label and value. `left` is the width of the labels."""
    parts, top = [], 8
    for title, unit, bars in panels:
        if bars:
            parts.append(_panel(title, unit, bars, top, left))
            top += 34 + len(bars) * _STEP + 18
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top - 10}" width="{_WIDTH}" role="img" '
        f'aria-label="{escape(label)}">\n<style>{_STYLE}\n</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(title: str, unit: str, bars: list[tuple[str, float]], top: int, left: int) -> str:
    longest = max(1.0, *(value for _, value in bars))
    lines = [f'<text class="title" x="12" y="{top + 16}">{escape(title)}</text>']
    for index, (label, value) in enumerate(bars):
        y = top + 32 + index * _STEP
        width = max(2.0, value / longest * (_WIDTH - left - _RIGHT))
        own = " own" if label.partition(" ")[0] == "missy" else ""
        number = f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
        lines += [
            f'<text class="label{own}" x="{left - 10}" y="{y + 14}" text-anchor="end">{escape(label)}</text>',
            f'<rect class="bar{own}" x="{left}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="3"/>',
            f'<text class="value{own}" x="{left + width + 8:.1f}" y="{y + 14}">{number} {unit}</text>',
        ]
    return "\n".join(lines)
