"""The table: what was measured, beside what it is compared with and what it must reach."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

_PASS = ("pass", "cpu")


@dataclass(frozen=True)
class Row:
    """One line of the table. `target` bounds the ratio to `base`, or the figure itself where there is no base.

    `more` says that more is better: then the target is a least, and the best of several is the largest.
    """

    label: str
    figure: tuple[str, str]
    base: tuple[str, str] | None
    target: float | None
    unit: str = "ms"
    more: bool = False


ROWS = (
    Row("missy --version", ("missy --version", "cpu"), _PASS, 4),
    Row("missy --help", ("missy --help", "cpu"), _PASS, 4),
    Row("llm --version", ("llm --version", "cpu"), _PASS, None),
    Row("missy providers", ("missy providers", "cpu"), _PASS, 6.5),
    Row("missy config show", ("missy config show", "cpu"), _PASS, 6.5),
    Row("missy net explain", ("missy net explain", "cpu"), _PASS, 6.5),
    Row("missy audit recent", ("missy audit recent", "cpu"), _PASS, 6.5),
    Row("missy auth status", ("missy auth status", "cpu"), _PASS, 6.5),
    Row("missy ask, to the request", ("missy ask", "sent_cpu"), ("sdk ask", "sent_cpu"), 0.25),
    Row("  beside the httpx2 script", ("missy ask", "sent_cpu"), ("httpx2 ask", "sent_cpu"), 1.0),
    Row("  the first call of an endpoint", ("missy first ask", "sent_cpu"), ("sdk ask", "sent_cpu"), None),
    Row("  the same, wall", ("missy ask", "sent_wall"), ("sdk ask", "sent_wall"), None),
    Row("  httpx2 script", ("httpx2 ask", "sent_cpu"), ("sdk ask", "sent_cpu"), None),
    Row("  stdlib script", ("stdlib ask", "sent_cpu"), ("sdk ask", "sent_cpu"), None),
    Row("  curl", ("curl ask", "sent_cpu"), ("sdk ask", "sent_cpu"), None),
    Row("  llm", ("llm ask", "sent_cpu"), ("sdk ask", "sent_cpu"), None),
    Row("missy ask, whole", ("missy ask", "cpu"), ("sdk ask", "cpu"), None),
    Row("  the same, wall", ("missy ask", "wall"), ("sdk ask", "wall"), None),
    Row("  httpx2 script", ("httpx2 ask", "cpu"), ("sdk ask", "cpu"), None),
    Row("  stdlib script", ("stdlib ask", "cpu"), ("sdk ask", "cpu"), None),
    Row("  llm", ("llm ask", "cpu"), ("sdk ask", "cpu"), None),
    Row("missy ask, peak memory", ("missy ask", "peak"), None, 36, "MiB"),
    Row("  SDK script", ("sdk ask", "peak"), None, None, "MiB"),
    Row("  httpx2 script", ("httpx2 ask", "peak"), None, None, "MiB"),
    Row("  llm", ("llm ask", "peak"), None, None, "MiB"),
    Row("a streamed chunk, warm", ("missy chunks", "chunk"), ("sdk chunks", "chunk"), 0.11, "us"),
    Row("a request, warm", ("missy warm whole", "request"), ("sdk warm whole", "request"), 0.35, "us"),
    Row(
        "  the same, streamed",
        ("missy warm streamed", "request"),
        ("sdk warm streamed", "request"),
        0.35,
        "us",
    ),
    Row(
        "async, 100 at a time", ("missy flood whole", "rate"), ("sdk flood whole", "rate"), 4, "/s", more=True
    ),
    Row(
        "  the same, streamed",
        ("missy flood streamed", "rate"),
        ("sdk flood streamed", "rate"),
        4,
        "/s",
        more=True,
    ),
    Row("  CPU of each", ("missy flood whole", "request"), ("sdk flood whole", "request"), None, "us"),
    Row(
        "  CPU of each, streamed",
        ("missy flood streamed", "request"),
        ("sdk flood streamed", "request"),
        None,
        "us",
    ),
    Row("body for `hi`", ("missy ask", "body"), None, 160, "bytes"),
    Row("  llm", ("llm ask", "body"), None, None, "bytes"),
    Row("policy and opening audit line", ("missy record", "opening"), None, 60, "us"),
    Row("  with the closing line", ("missy record", "both"), None, None, "us"),
    Row("memory over 1,000,000 chunks", ("missy soak sync", "growth"), None, None, "MiB"),
    Row("  the same, async", ("missy soak async", "growth"), None, None, "MiB"),
)


def tabulate(results: dict[str, dict[str, list[float]]]) -> list[dict[str, object]]:
    """Return a record for each row that was measured."""
    return [_record(row, results) for row in ROWS if row.figure[1] in results.get(row.figure[0], {})]


def _record(row: Row, results: dict[str, dict[str, list[float]]]) -> dict[str, object]:
    figures = results[row.figure[0]][row.figure[1]]
    best = max if row.more else min
    made = {"label": row.label, "unit": row.unit, "best": best(figures), "median": median(figures)}
    judged = made["best"]
    if row.base and row.base[0] in results:
        base = results[row.base[0]][row.base[1]]
        judged = made["ratio"] = best(figures) / best(base)
        made |= {"base": row.base[0], "base_best": best(base), "median_ratio": median(figures) / median(base)}
    if row.target is not None:
        made |= {"target": row.target, "met": judged >= row.target if row.more else judged <= row.target}
    return made


def show(records: list[dict[str, object]]) -> str:
    """Return the table as text: least (or most), median, the base's, the ratios, the target."""
    head = ("", "best", "median", "", "of", "best", "ratio", "median", "target", "")
    lines = [head, *map(_cells, records)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, 3, 4, 9) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(record: dict[str, object]) -> tuple[str, ...]:
    bound = ""
    if "target" in record:
        least = record["unit"] == "/s"
        bound = f"{'>=' if least else '<='} {record['target']:g}"
    return (
        str(record["label"]),
        _number(record["best"]),
        _number(record["median"]),
        str(record["unit"]),
        str(record.get("base", "")),
        _number(record.get("base_best")),
        _number(record.get("ratio")),
        _number(record.get("median_ratio")),
        bound,
        {True: "ok", False: "MISSED", None: ""}[record.get("met")],
    )


def _number(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
