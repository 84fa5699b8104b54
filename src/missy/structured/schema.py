"""A schema that can be sent and validates answers. No I/O, except that the validator is imported on use."""

from __future__ import annotations

import json
import re
from typing import Any

from missy.errors import SchemaMismatch
from missy.structured.strictness import is_strict
from missy.structured.validator import Fault, Validator

MAX_ANSWER_CHARS = 4 << 20
_MIN_FENCE = 3  # backticks or tildes


class Schema:
    """The schema of an answer. `convert` turns a valid value into the caller's own type, or raises ValueError.

    Raises UsageError for a schema that is not valid.
    """

    def __init__(self, body: dict[str, Any], *, convert: Any = None) -> None:
        self.body = body
        self._validator = Validator(body)
        self.strict: bool = is_strict(body)
        self._convert = convert

    @property
    def name(self) -> str:
        """The name to send: of the schema's title, in the characters that are allowed there."""
        title = self.body.get("title")
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", title if isinstance(title, str) else "").strip("_")
        return plain[:64] or "answer"

    def instruction(self) -> str:
        """Return the instruction for an endpoint that does not accept a schema."""
        written = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))
        return f"Answer with one JSON value and nothing else. It must be valid under this JSON Schema:\n{written}"

    def read(self, text: str) -> Any:
        """Return the value that an answer gives, checked. Raises SchemaMismatch."""
        try:
            value = _parse(text)
        except ValueError as error:
            raise mismatch([Fault("", str(error))], text) from None
        faults = self._validator.faults(value)
        if faults:
            raise mismatch(faults, text)
        return self._converted(value, text)

    def parse(self, text: str) -> Any:
        """Return the JSON value of an answer that was checked already."""
        return _parse(text)

    def _converted(self, value: Any, text: str) -> Any:
        if self._convert is None:
            return value
        try:
            return self._convert(value)
        except ValueError as error:
            raise mismatch(_conversion_faults(error), text) from None


def unfenced(text: str) -> str:
    """Return the text without a fence around the whole of it."""
    bare = text.strip()
    mark = bare[:1]
    head, newline, body = bare.partition("\n")
    size = len(head) - len(head.lstrip(mark)) if mark and mark in "`~" else 0
    if size < _MIN_FENCE or not newline or "`" in head[size:]:
        return bare
    inner = body.rstrip(mark)
    return inner.strip() if len(body) - len(inner) >= size else bare


def repair_prompt(faults: tuple[tuple[str, str], ...]) -> str:
    """Return the prompt that asks for a corrected answer."""
    told = "\n".join(f"- {Fault(*fault)}" for fault in faults)
    return f"Your answer does not fit the schema:\n{told}\nAnswer again with the corrected JSON only, and nothing else."


def mismatch(faults: list[Fault], text: str) -> SchemaMismatch:
    """Return the error for an answer with these faults."""
    told = "; ".join(map(str, faults))
    return SchemaMismatch(
        f"the answer does not fit the schema: {told}",
        faults=tuple((fault.pointer, fault.message) for fault in faults),
        text=text,
    )


def _parse(text: str) -> Any:
    """Parse an answer. Raises ValueError that describes the fault."""
    if len(text) > MAX_ANSWER_CHARS:
        raise ValueError(f"it is longer than {MAX_ANSWER_CHARS >> 20} million characters")
    try:
        return json.loads(unfenced(text), parse_constant=_refuse_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it is not JSON: {name} is no number there")


def _finite(digits: str) -> float:
    number = float(digits)
    if abs(number) == float("inf"):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number


def _conversion_faults(error: ValueError) -> list[Fault]:
    listed = getattr(error, "errors", None)
    if not callable(listed):
        return [Fault("", str(error)[:200])]
    return [
        Fault("".join(f"/{part}" for part in one.get("loc", ())), str(one.get("msg", ""))[:200])
        for one in listed()[:5]
    ]
