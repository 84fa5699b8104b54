"""Parsing error bodies: any of the known formats to one ErrorBody. Pure.

It finds the server's message, codes and status; error_meaning decides what they mean. Nothing is masked here: code
that shows any of it must mask it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 6  # levels of nesting that are searched
MAX_VALUES = 200  # values that are examined
MAX_MESSAGE_CHARS = 600  # characters kept of one server's message
MAX_LISTED_ERRORS = 3  # errors of a list that are reported

# Names are compared in lower case without `_` and `-`: errorMessage is error_message is ErrorMessage.
_MESSAGES = (
    "message", "msg", "errormessage", "errormsg", "errmsg", "statusmsg", "statusmessage", "errordescription", "detail",
    "faultstring", "description", "reason",
)  # fmt: skip
_CODES = ("code", "errorcode", "errcode", "type", "errortype", "status", "reason", "finishreason")
_STATUSES = ("status", "statuscode", "httpstatus", "httpcode", "httpstatuscode", "code", "errorcode")
_WITHIN = (
    "error", "errors", "detail", "details", "fault", "baseresp", "innererror", "metadata", "raw", "exception", "cause",
    "response", "status", "responsemetadata", "body", "fieldviolations",
)  # fmt: skip
_TOLD = ("errormessage", "errormsg", "errmsg", "faultstring")  # names that only an error has
_WELL = frozenset({"", "0", "200", "20000", "ok", "success", "none", "completed", "null"})
_ERROR_TYPES = re.compile(r"error|exception|invalid|denied|exceeded|failed|unavailable", re.IGNORECASE)
_NAMED_STATUS = re.compile(r"\b(?:error|status)(?: code)?:? ([45][0-9]{2})\b", re.IGNORECASE)
_XML = re.compile(r"<(code|message)>([^<]{1,600})</\1>", re.IGNORECASE)


class ErrorBody:
    """One error from a server: `message` in one line, `codes` in lower case, and further details.

    `code` is the server's first error code; `status` the HTTP status in the body; `params` the request parameters that
    it names as wrong; `provider` the provider behind a gateway; `fields` every value by its normalized name.
    """

    __slots__ = ("code", "codes", "fields", "message", "params", "provider", "status")

    def __init__(self, value: Any) -> None:
        self.message: str = ""
        self.code: str | None = None
        self.codes: frozenset[str] = frozenset()
        self.status: int | None = None
        self.params: tuple[str, ...] = ()
        self.provider: str = ""
        self.fields: dict[str, Any] = {}
        self._read(_open(value))

    def _read(self, value: Any) -> None:
        codes: list[str] = []
        params: list[str] = []
        for table in _tables(value, 0, [MAX_VALUES]):
            for name, field in table.items():
                self.fields.setdefault(plain(name), field)
            codes += _codes(table)
            params += _params(table)
            self.status = self.status or _status(table)
        if isinstance(value, str):
            codes.append(value[:100])
        self.code = next(iter(codes), None)
        self.codes = frozenset(code.lower() for code in codes)
        self.params = tuple(dict.fromkeys(params))
        provider = self.fields.get("providername")
        self.provider = provider if isinstance(provider, str) else ""
        self.message = _line(_say(value, 0), MAX_MESSAGE_CHARS)
        named = _NAMED_STATUS.search(self.message[:100])
        if self.status is None and named:
            self.status = int(named[1])


def read_error_body(text: str) -> ErrorBody:
    """Parse the body of a response with an error status, JSON or not."""
    return ErrorBody(text)


def complains(value: Any, *, answers: tuple[str, ...] = ("choices",)) -> bool:
    """Tell whether JSON received instead of an answer is an error. `answers` are the field names of an answer."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict) and complains(value[0], answers=answers)
    if not isinstance(value, dict):
        return False
    names = {plain(name): field for name, field in value.items()}
    if names.get("error") or names.get("object") == "error" or names.get("type") == "error":
        return True
    if any(value.get(name) for name in answers):
        return False
    wrapped = any(isinstance(field, dict) and field.get("error") for field in value.values())
    if names.get("errors") or names.get("success") is False or names.get("ok") is False or wrapped:
        return True
    if any(isinstance(names.get(name), str) and names[name] for name in (*_TOLD, "detail")):
        return True
    told = names.get("detail") or names.get("fault")
    base = names.get("baseresp")
    if isinstance(base, dict) and _is_bad(base):
        return True
    return isinstance(told, (dict, list)) or (_has_message(names) and (_is_bad(value) or _is_bare(names)))


def _has_message(names: dict[str, Any]) -> bool:
    return any(isinstance(names.get(name), str) and names[name] for name in _MESSAGES)


def _is_bad(table: dict[str, Any]) -> bool:
    """Tell whether a code or a status next to a message is not one of success."""
    for name, field in table.items():
        if plain(name) in (*_STATUSES, "errcode"):
            if not isinstance(field, (str, int)) or isinstance(field, bool):
                continue
            if str(field).strip().lower() not in _WELL:
                return True
        elif plain(name) in ("type", "errortype") and _ERROR_TYPES.search(str(field)):
            return True
    return False


def _is_bare(names: dict[str, Any]) -> bool:
    """Tell whether there is a message, and no field of an event or an answer."""
    return not {"id", "object", "type", "event", "usage", "model", "choices", "output"} & set(names)


def plain(name: object) -> str:
    """Normalize a field name for comparison: lower case, without `_` and `-`."""
    return str(name).lower().replace("_", "").replace("-", "")


def _open(value: Any) -> Any:
    """Parse a text that contains JSON, also after other words; return anything else unchanged."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    for start in (0, text.find("{")):
        if start >= 0 and text[start : start + 1] in ("{", "[") and text[-1:] in ("}", "]"):
            try:
                found = json.loads(text[start:])
            except (ValueError, RecursionError):
                continue
            if isinstance(found, (dict, list)):
                return found
    if text.startswith("<") and (parts := dict(pair for pair in _xml(text))):
        return parts
    return value


def _xml(text: str) -> Iterator[tuple[str, str]]:
    for found in _XML.finditer(text[:20_000]):
        yield found[1].lower(), found[2]


def _tables(value: Any, depth: int, left: list[int]) -> Iterator[dict[str, Any]]:
    """Yield the objects that may contain a part of the error, the innermost `error` first."""
    left[0] -= 1
    if depth > MAX_DEPTH or left[0] < 0:
        return
    value = _open(value)
    if isinstance(value, list):
        for item in value[: MAX_LISTED_ERRORS * 4]:
            yield from _tables(item, depth + 1, left)
        return
    if not isinstance(value, dict):
        return
    within = [field for name, field in value.items() if plain(name) in _WITHIN and field]
    deep = [field for field in within if isinstance(field, (dict, list)) or _open(field) is not field]
    named = value.get("error") or value.get("Error")
    if isinstance(named, dict):
        yield from _tables(named, depth + 1, left)
    yield value
    for field in deep:
        if field is not named or not isinstance(named, dict):
            yield from _tables(field, depth + 1, left)
    for name in ("message", "msg"):
        field = value.get(name)
        if isinstance(field, dict) or (isinstance(field, str) and _open(field) is not field):
            yield from _tables(field, depth + 1, left)


def _codes(table: dict[str, Any]) -> list[str]:
    names = {plain(name): field for name, field in table.items()}
    found = [names[name] for name in _CODES if name in names]
    if isinstance(names.get("error"), str):
        found.append(names["error"][:100])
    texts = [str(code) for code in found if isinstance(code, (str, int)) and not isinstance(code, bool)]
    return [text.rpartition("#")[2][:100] for text in texts if text and text != "error"]


def _status(table: dict[str, Any]) -> int | None:
    names = {plain(name): field for name, field in table.items()}
    for name in _STATUSES:
        field = names.get(name)
        text = str(field).strip() if isinstance(field, (str, int)) and not isinstance(field, bool) else ""
        if re.fullmatch(r"[45][0-9]{2}", text):
            return int(text)
    return None


def _params(table: dict[str, Any]) -> list[str]:
    """Return the names of the wrong parameters, the outermost part of each first."""
    found: list[str] = []
    for name, field in table.items():
        where = plain(name)
        if where in ("param", "parameter", "field", "pointer", "paramname") and isinstance(field, str):
            found += re.findall(r"[A-Za-z_]\w*", field[:200])
        elif where in ("loc", "path", "location", "params") and isinstance(field, list):
            found += [part for part in field[:20] if isinstance(part, str)]
    return found[:20]


def _line(text: str, most: int) -> str:
    return " ".join(text.split())[:most]


def _say(value: Any, depth: int) -> str:
    """Return the message of an error, followed by what an inner error adds."""
    value = _open(value)
    if isinstance(value, str):
        return _line(value, MAX_MESSAGE_CHARS)
    if isinstance(value, list) and depth <= MAX_DEPTH:
        said = [_say(item, depth + 1) for item in value[:MAX_LISTED_ERRORS] if isinstance(item, (dict, str))]
        return "; ".join(dict.fromkeys(text for text in said if text))
    if not isinstance(value, dict) or depth > MAX_DEPTH:
        return ""
    names = {plain(name): field for name, field in value.items()}
    own = _own_words(names, depth)
    inner = _inner_words(names, depth)
    provider = names.get("providername")
    metadata = names.get("metadata")
    if isinstance(metadata, dict):
        provider = provider or metadata.get("provider_name")
    if inner and isinstance(provider, str) and provider:
        inner = f"{_line(provider, 60)}: {inner}"
    if not inner or inner in own:
        return own or _last_words(names)
    return f"{own} ({inner})" if own and own not in inner else inner


def _own_words(names: dict[str, Any], depth: int) -> str:
    for name in ("error", "errors", "fault"):  # the fields around an error say less than the error itself
        if isinstance(names.get(name), (dict, list)) and (said := _say(names[name], depth + 1)):
            return said
    said = next((said for name in _MESSAGES if (said := _words(names, name, depth))), "")
    title = names.get("title")
    if isinstance(title, str) and title and title not in said:
        said = f"{title}: {said}" if said else title
    error = names.get("error")
    if isinstance(error, str) and error:
        inner = _say(error, depth + 1)
        if not said or (len(inner) > len(said) and said in inner):
            return inner
        if " " in inner and inner not in said and inner.lower() != said.lower():
            return f"{inner}: {said}"
    return _placed(said, names)


def _words(names: dict[str, Any], name: str, depth: int) -> str:
    field = names.get(name)
    if isinstance(field, (str, dict)) or (name in ("detail", "message") and isinstance(field, list)):
        return _say(field, depth + 1)
    return ""


def _placed(said: str, names: dict[str, Any]) -> str:
    """Put the location that a validation error names before its message."""
    loc = names.get("loc")
    if not said or not isinstance(loc, list) or not loc:
        return said
    return f"{'.'.join(str(part)[:40] for part in loc[:8])}: {said}"


def _inner_words(names: dict[str, Any], depth: int) -> str:
    metadata = names.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else names.get("raw")
    for field in (
        raw,
        names.get("baseresp"),
        names.get("cause"),
        names.get("innererror"),
        names.get("response"),
    ):
        if field and (said := _say(field, depth + 1)):
            return said
    return ""


def _last_words(names: dict[str, Any]) -> str:
    """Return a name for an error without a message."""
    for name in ("code", "errorcode", "errcode", "type", "errortype", "status", "statuscode"):
        field = names.get(name)
        if isinstance(field, (str, int)) and not isinstance(field, bool) and field:
            return _line(str(field).rpartition("#")[2], 100)
        if isinstance(field, dict) and (said := _say(field, MAX_DEPTH)):
            return said
    return ""
