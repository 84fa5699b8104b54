"""Classifying errors of servers: by their codes and words first, then by the status. Pure.

The status alone is not reliable: a used-up balance and a refused region come as 403, a rate limit and a wrong key as
200.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from missy.net import error_words as words

if TYPE_CHECKING:
    import re

    from missy.net.error_body import ErrorBody


class Meaning(Enum):
    """The kind of an error, by what must be done about it."""

    REGION = "region"
    FLAGGED = "flagged"
    SPENT = "spent"
    TOO_LARGE = "too large"  # too large: one request exceeds a rate limit
    RATE = "rate"
    KEY = "key"
    MODEL_ACCESS = "model access"
    FORBIDDEN = "forbidden"
    NO_IMAGES = "no images"
    TOO_LONG = "too long"  # for the model
    NO_MODEL = "no model"
    NO_PATH = "no path"
    REQUEST = "request"
    SERVER = "server"


REGION_HINT = "this network's region is refused: use another network, or network.proxy"


def meaning(body: ErrorBody, status: int | None) -> Meaning:
    """Classify an error; `status` is that of the response, None or 200 if the error came instead of an answer."""
    text, codes = body.message.lower(), body.codes
    said = status_of(body, status)
    if is_region(body, said):
        return Meaning.REGION
    if _is_flagged(body, text) and (said is None or said < 500) and said not in (401, 429):
        return Meaning.FLAGGED
    if (found := _limit(body, text, codes, said)) is not None:
        return found
    if (
        said in (None, 400, 404, 415, 422, 500, 501)
        and words.NO_IMAGES.search(text)
        and not words.IMAGE_FORM.search(text)
    ):
        return Meaning.NO_IMAGES
    if _has(words.TOO_LONG_CODE, codes) or (said not in (401, 403) and words.TOO_LONG_WORDS.search(text)):
        return Meaning.TOO_LONG
    if said == 403 and (_has(words.MODEL_CODE, codes) or words.ACCESS_WORDS.search(text)):
        return Meaning.MODEL_ACCESS
    if _is_key(text, codes, said):
        return Meaning.KEY
    if _has(words.MODEL_CODE, codes) or (said in (None, 400, 404, 422) and words.MODEL_WORDS.search(text)):
        return Meaning.NO_MODEL
    return _by_status(text, codes, said)


def _limit(body: ErrorBody, text: str, codes: frozenset[str], said: int | None) -> Meaning | None:
    is_rate = said == 429 or _has(words.RATE_CODE, codes) or bool(words.RATE_WORDS.search(text))
    is_rate = is_rate or ((said is None or said < 500) and ("slow_down" in codes or "slow down" in text))
    if codes & words.QUOTA:
        return Meaning.SPENT
    if (is_rate or said == 413) and _is_too_large(text, said):
        return Meaning.TOO_LARGE
    if said == 413:
        return Meaning.TOO_LARGE
    may_be_spent = said in (None, 400, 402, 403, 429)
    spent = _has(words.QUOTA_CODE, codes) or (may_be_spent and bool(words.QUOTA_WORDS.search(text)))
    unpaid = said == 402 and not any("deactivat" in code for code in codes)
    if unpaid or (spent and not (is_rate and _passes(body, text))):
        return Meaning.SPENT
    return Meaning.RATE if is_rate and said not in (401, 404) else None


def _passes(body: ErrorBody, text: str) -> bool:
    """Tell whether an exhausted quota is a rate limit that resets: Google calls its rate limits quotas."""
    from missy.net import waits

    wait = waits.from_fields(body.fields)
    return (wait if wait is not None else waits.from_sentence(text)) is not None


def _is_too_large(text: str, said: int | None) -> bool:
    limit, asked = words.LIMIT.search(text), words.ASKED.search(text)
    if limit and asked:
        return _count(asked[1]) > _count(limit[1])
    return bool(words.LARGE_WORDS.search(text)) and (said == 413 or "token" in text or "request" in text)


def _count(text: str) -> int:
    return int(text.replace(",", "").replace("_", "") or 0)


def _is_flagged(body: ErrorBody, text: str) -> bool:
    told = "flaggedinput" in body.fields or isinstance(body.fields.get("reasons"), list)
    return told or _has(words.FLAGGED_CODE, body.codes) or bool(words.FLAGGED_WORDS.search(text))


def _is_key(text: str, codes: frozenset[str], said: int | None) -> bool:
    if said == 401 or (said in (None, 400, 403, 422) and _has(words.KEY_CODE, codes)):
        return True
    if said is not None and said >= 500:
        return _has(words.SURE_KEY_CODE, codes) or bool(words.SURE_KEY_WORDS.search(text))
    if said == 400:
        return "api key" in text or "api_key" in text
    return said in (None, 403, 422) and bool(words.KEY_WORDS.search(text))


def _by_status(text: str, codes: frozenset[str], said: int | None) -> Meaning:
    if said == 403:
        return Meaning.FORBIDDEN
    if said in (404, 405):
        return Meaning.NO_PATH if not text or words.PATH_WORDS.search(text) else Meaning.REQUEST
    if said is not None and said < 500:
        return Meaning.REQUEST
    if "validation error" in text or _has(words.CLIENT_CODE, codes):
        return Meaning.REQUEST
    return Meaning.SERVER


def status_of(body: ErrorBody, status: int | None) -> int | None:
    """Return the effective status: the response's if it is an error, else the body's, else that of its code."""
    if status is not None and status >= 300 and status not in (400, 403, 500, 502, 503):
        return status
    if body.status is not None:
        return body.status
    if status is not None and status >= 300:
        return status
    return next((words.SERVER_CODE[code] for code in body.codes if code in words.SERVER_CODE), None)


def is_region(body: ErrorBody, status: int | None) -> bool:
    """Tell whether the region is refused, not the key."""
    if status == 451 or _has(words.REGION_CODE, body.codes):
        return True
    return status in (None, 400, 403) and bool(words.REGION_WORDS.search(body.message.lower()))


def _has(pattern: re.Pattern[str], codes: frozenset[str]) -> bool:
    return any(pattern.search(code) for code in codes if " " not in code)
