"""Masking secrets in errors, notices, listings and records.

Two kinds are found: every secret that this process has used (`hold`), and any text in the format of a well-known key.
Overlapping and adjacent matches are masked as one, so that no part of a key stays. Each pattern begins with a fixed
text and does not backtrack: the time is proportional to the length of the text. Answers are never masked: they are the
model's text for the user.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MASK = "***"
_held: set[str] = set()
_clean: dict[str, int] = {}  # short texts without a secret -> the number of secrets that were known then
MAX_CLEAN_TEXTS, MAX_CLEAN_CHARS = 256, 128
MIN_MASKED_CHARS = 6  # masking shorter ones would mask ordinary words and protect nothing

# Formats of whole keys, each after a boundary. Some endpoints replace the middle of an echoed key by `*` or `...`.
_FORMS = (
    r"sk-(?:[\w*…-]|\.{3}){3,}",  # OpenAI (sk-, sk-proj-, sk-svcacct-), Anthropic (sk-ant-), OpenRouter (sk-or-), LiteLLM
    r"(?:gsk_|sk_|rt_|xai-|pplx-|nvapi-|csk-|tvly-|glpat-|pypi-|tgp_v1_|dop_v1_)[\w-]{8,}",
    r"mk-[\w-]{43}",  # a key of `missy serve`
    r"(?:hf|fw|r8|npm|lsv2)_\w{16,}",
    r"[prs]k_(?:live|test)_\w{8,}",
    r"(?:gh[pousr]|github_pat)_\w{10,}",
    r"xox[abeoprs]-[\w-]{8,}",
    r"AIza[\w-]{12,}",
    r"(?:ya29|AQ)\.[\w.-]{12,}",
    r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{12,}",
    r"ABSK[A-Za-z0-9+/=]{16,}",
    r"eyJ[\w-]{8,}(?:\.[\w-]*)*",  # a JSON Web Token, or the beginning of one
    r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]*",
)
# A value after the name of a secret. The group is masked.
_NAME = (
    r"(?:x-)?api[_-]?key|x-goog-api-key|ocp-apim-subscription-key|(?:access|refresh|id|auth|session|bearer)[_-]?token"
    r"|(?:client|app)[_-]?secret|secret[_-]?(?:access[_-]?)?key|passw(?:or)?d|(?:proxy-)?authorization"
)
_VALUE = r"[A-Za-z0-9_+/=~.*:@!%-]"
_NAMED = (
    rf"(?:{_NAME})=[\"']?({_VALUE}{{4,}})",
    rf"(?:{_NAME})[\"']\s{{0,8}}:\s{{0,8}}[\"']({_VALUE}{{4,}}(?: {_VALUE}+)?)",
    rf"(?:{_NAME}):\s{{0,8}}((?:(?:bearer|basic|token) )?{_VALUE}{{8,}})",
    rf"bearer[ \t]{{1,8}}({_VALUE}{{6,}})",
)
_IN_URL = (
    r"[?&](?:key|token|sig|signature|secret|x-amz-(?:signature|credential|security-token)|auth|password)=([^&\s\"'#]+)",
    r"://([^/\s@\"']{1,512})@",
)
# A fast check before the patterns: every match contains one of these.
_SIGNS = (
    "sk-", "mk-", "sk_", "k_live", "k_test", "rt_", "hf_", "fw_", "r8_", "_v1_", "npm_", "lsv2_", "xai-", "pplx-", "nvapi-",
    "tvly-", "glpat-", "pypi-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat", "xox", "aiza", "ya29", "aq.",
    "akia", "asia", "abia", "acca", "agpa", "aida", "aroa", "anpa", "absk", "eyj", "key", "token", "secret", "passw",
    "auth", "bearer", "sig", "credential", "://",
)  # fmt: skip
# Words after "Bearer" in ordinary sentences, which are not tokens.
_WORDS = {
    "authentication", "authorization", "credential", "credentials", "format", "header", "headers", "prefix", "scheme",
    "should", "string", "tokens", "values",
}  # fmt: skip
REFERENCES = ("$", "vault://", "keyring://")


def hold(value: str) -> None:
    """Register a secret, to be masked from now on, also in its URL-encoded and JSON-escaped forms."""
    if len(value) < MIN_MASKED_CHARS or value in _held:
        return
    if not value.isalnum():
        quoted = "".join(_quoted(char) for char in value)
        _held.update((quoted, re.sub("%..", lambda found: found[0].lower(), quoted)))
        _held.add(value.replace("\\", "\\\\").replace('"', '\\"').replace("/", "\\/"))
    _held.add(value)  # last: once it is there, its other forms are too


def _quoted(char: str) -> str:
    """Return a character in its URL-encoded form."""
    if char.isascii() and (char.isalnum() or char in "-._~"):
        return char
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def mask(text: str) -> str:
    """Return a text with every secret in it masked completely."""
    known = len(_held)  # it only grows
    if _clean.get(text) == known:  # names of hosts and entries, asked about with each request
        return text
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(_spans(text)):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    pieces, end = [], 0
    for start, stop in merged:
        pieces += [text[end:start], MASK]
        end = stop
    if not merged and len(text) <= MAX_CLEAN_CHARS:
        if len(_clean) >= MAX_CLEAN_TEXTS:
            _clean.clear()
        _clean[text] = known
    return "".join(pieces) + text[end:]


def has_form_of_key(text: str) -> bool:
    """Tell whether a text contains a secret in the format of a well-known key."""
    lower = text.lower()
    return any(sign in lower for sign in _SIGNS) and _forms().search(text) is not None


def names_secret(name: str) -> bool:
    """Tell whether a header or a parameter of that name contains a credential."""
    return (
        re.search(
            r"(?<!port)key|token|auth|secret|passw|sig\b|signature|cookie|credential", name, re.IGNORECASE
        )
        is not None
    )


def may_be_secret(word: str) -> bool:
    """Tell whether a word given as a name may be a secret: the format of a key, or a long random sequence."""
    if has_form_of_key(word):
        return True
    runs = re.findall(r"[A-Za-z0-9]{20,}", word)
    return any(any(c.isdigit() for c in run) and any(c.isalpha() for c in run) for run in runs)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for value in tuple(_held):  # another thread may add one
        start = text.find(value)
        while start >= 0:
            yield start, start + len(value)
            start = text.find(value, start + len(value))
    lower = text.lower()
    if not any(sign in lower for sign in _SIGNS):
        return
    yield from (found.span() for found in _forms().finditer(text))
    for pattern in _named():
        for found in pattern.finditer(text):
            if _is_value(found[found.lastindex or 0], said=pattern.pattern):
                yield found.span(found.lastindex or 0)


def _is_value(value: str, *, said: str) -> bool:
    """Tell whether the text after such a name is a value, not a reference, a placeholder or a word of a sentence."""
    if (
        value.startswith(REFERENCES)
        or not value.strip("*.")
        or value in ("YOUR-KEY", "null", "true", "false")
    ):
        return False
    if said.endswith(_LOOSE):  # behind a colon or a blank, which sentences have too
        word = value.strip(".:!,").lower()
        return word not in _WORDS and (not word.isalpha() or len(word) >= 16 or "bearer[" in said)
    return True


@cache
def _forms() -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_FORMS)})")


_LOOSE = (_NAMED[2], _NAMED[3])


@cache
def _named() -> tuple[re.Pattern[str], ...]:
    named = [re.compile(rf"(?<![A-Za-z0-9]){one}", re.IGNORECASE) for one in _NAMED]
    return (*named, *(re.compile(one, re.IGNORECASE) for one in _IN_URL))
