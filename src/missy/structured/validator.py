"""The only module that uses the validator library: it compiles a schema and lists a value's faults. No I/O.

Regular expressions run in linear time; those that cannot (look-around, back-references) are stopped after so many steps.
"""

from __future__ import annotations

from itertools import islice
from time import thread_time
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from missy.errors import UsageError
from missy.structured.effort import Effort, count_places

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FAULTS = 5
MAX_DEPTH = 128  # of a value
MAX_MESSAGE_CHARS = 200
# The validator makes the words of all faults at once: of more values than these, only the first fault is asked for.
MAX_VALUES_FOR_ALL_FAULTS = 10_000
_BACKTRACKS = 100_000
_FEW_PATTERNS = 10
_MAX_COMPILE_SECONDS = 1.0  # of this thread's own time, so a busy machine refuses no more than an idle one


class Fault(NamedTuple):
    """Where a value does not fit (a JSON pointer, "" for the whole of it), and how."""

    pointer: str
    message: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message


class Validator:
    """A compiled schema. Raises UsageError for one that is not valid."""

    def __init__(self, schema: dict[str, Any]) -> None:
        import jsonschema_rs

        self._effort = Effort(schema)
        try:
            _check_patterns(schema, jsonschema_rs.validator_for)
            self._validator = jsonschema_rs.validator_for(
                schema,
                retriever=_refuse,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS),
            )
        except ValueError as error:
            message = _short(str(error).split("\n", 1)[0])
            raise UsageError(
                f"the schema is not valid: {message}", hint="is it JSON Schema? see json-schema.org"
            ) from None

    def faults(self, value: Any) -> list[Fault]:
        """Return the first faults of a value, none where it fits."""
        places = count_places(value, MAX_DEPTH)
        if places is None:
            return [Fault("", f"it is nested more than {MAX_DEPTH} levels deep")]
        if not self._effort.is_bearable(places):
            return [Fault("", "it cannot be checked: the schema asks for too many steps")]
        found: list[Any]
        try:
            if self._validator.is_valid(value):
                return []
            if sum(places) > MAX_VALUES_FOR_ALL_FAULTS:
                self._validator.validate(value)
            found = list(islice(self._validator.iter_errors(value), MAX_FAULTS))
        except UnicodeError:
            return [Fault("", "it contains lone surrogates, which are not valid text")]
        except ValueError as error:  # of validate(), and what the validator itself cannot read
            found = [error]
        return [Fault(_pointer(getattr(one, "instance_path", [])), _words(one)) for one in found]


def _check_patterns(schema: dict[str, Any], compiled: Any) -> None:
    """Refuse patterns that together take too long to compile: each has its limit, thousands of them have none."""
    patterns = list(_patterns(schema))
    if len(patterns) <= _FEW_PATTERNS:
        return
    began = thread_time()
    for pattern in patterns:
        compiled({"pattern": pattern}, retriever=_refuse)
        if thread_time() - began > _MAX_COMPILE_SECONDS:
            raise UsageError(
                "the schema's patterns are too large: they take too long to compile",
                hint="use fewer of them, or smaller counts in {...}",
            )


def _patterns(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        if isinstance(value.get("patternProperties"), dict):
            yield from value["patternProperties"]
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _patterns(inner)


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"nothing is fetched: {uri[:100]}")


def _words(error: Any) -> str:
    return _short(str(getattr(error, "message", error)))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return (
        line
        if len(line) <= MAX_MESSAGE_CHARS
        else f"{line[: MAX_MESSAGE_CHARS // 2]} ... {line[-MAX_MESSAGE_CHARS // 2 :]}"
    )


def _pointer(path: list[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
