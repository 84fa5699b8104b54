"""Patterns for the words and codes in servers' errors, all in lower case; a code is matched as a whole.

Each list belongs to one kind in missy.net.error_meaning, which decides their order.
"""

from __future__ import annotations

import re


def _any(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts))


QUOTA = frozenset(
    {
        "insufficient_quota", "usage_limit_reached", "usage_not_included", "billing_hard_limit_reached",
        "organization_spend_limit_exceeded", "subscription_sharing_usage_limit_exceeded",
    }
)  # fmt: skip
QUOTA_CODE = _any(
    r"insufficient[_ ]?(quota|balance|funds?|credits?)",
    r"usage_?limit_?(reached|exceeded)",
    r"(spend|billing)\w*limit",
    r"quota_?(exceeded|exhausted)",
    r"payment_?required",
    r"billing_|out_of_credits?|no_?credits?|arrear",
    r"credits?_(exhausted|exceeded|depleted)",
)
_MONEY = r"(balance|credits?|funds|money|quota)"
QUOTA_WORDS = _any(
    rf"(insufficient|not enough|no|out of|negative|low|exhausted|used up|depleted|add|purchase)\b.{{0,30}}\b{_MONEY}\b",
    rf"\b{_MONEY}\b.{{0,40}}\b(insufficient|not enough|exhausted|used up|depleted|too low|exceeded|spent|r[ua]n out)\b",
    "余额|欠费",
    r"\bexceeded your current quota|\bused up\b|\bpayment required|\bbilling\b|\barrears\b|\busage limit",
)
RATE_CODE = _any(
    r"rate_?limit|too_?many_?requests|throttl|resource_exhausted|requests_limit|^concurrency|tpm_|rpm_"
)
RATE_WORDS = _any(
    r"\brate[ -]?limit|too many (concurrent )?requests|\bthrottl|too fast\b",
    r"requests per (second|minute|hour|day)|\b(requests?|qps|rpm|tpm|rpd|concurrency|calls?) limit|too frequent",
    "速率|频率|限流|并发",
)
LARGE_WORDS = _any(
    r"too (large|big)|smaller|must be reduced|reduce|shorten|exceeds the (limit|maximum)|larger than"
)
LIMIT = re.compile(r"\blimit(?: is| of|:)?\s*:?\s*([0-9][0-9,_]{0,12})")
ASKED = re.compile(r"\b(?:requested|needs?|asks? for|wants?|uses?)\s*:?\s*(?:about )?([0-9][0-9,_]{0,12})")
_PLACE = r"(country|countries|region|territory|(your|user) location)"
REGION_CODE = _any(
    r"(unsupported|restricted|blocked|forbidden|invalid|disallowed)\w*(country|region|territory|location|geo)",
    r"(country|region|territory|location|geo)\w*(unsupported|restrict|block|forbidden|not_?(supported|allowed|available))",
)
REGION_WORDS = _any(
    rf"{_PLACE}\b.{{0,60}}\bnot (supported|available|allowed|permitted)",
    rf"{_PLACE}\b.{{0,60}}\b(unsupported|blocked|restricted|prohibited|forbidden)",
    r"(not (supported|available|allowed|offered|permitted)|unsupported|unavailable|restricted|blocked)\b"
    rf".{{0,40}}\b({_PLACE}|where you are)\b",
)
FLAGGED_CODE = _any(
    r"content_?(policy|filter|moderation)|moderation|responsibleai|data_?inspection|prompt_?(blocked|flagged)",
    r"^flagged|^safety$|sensitive_?(content|words?)|invalid_prompt|(cyber|bio)_policy|inappropriate",
)
FLAGGED_WORDS = _any(
    r"\bflagged\b|content (management )?policy|content[ _]filter|usage polic|moderation|inappropriate content",
    "敏感|违规",
    r"violates? our|sensitive (content|words?)|safety (system|policy|filter|reasons)",
)
KEY_CODE = _any(
    r"invalid_?(api_?key|token|credentials?|authentication|x?-?api-?key)|incorrect_api_key|no_db_connection",
    r"api_?key_(invalid|missing|expired|not|disabled)|^auth|unauth|token_?(expired|invalid|revoked)|expired_?token",
    r"missing_?(api_?key|token|credentials?|authenticationtoken)|invalidclienttoken|unrecognizedclient",
    r"account_?(deactivated|disabled)",
)
# What is believed even of a server that failed: where authentication itself is down, no key is wrong
SURE_KEY_CODE = _any(
    r"^(invalid|incorrect|missing|expired|unknown)_?(x_?)?api_?key|^no_db_connection$|^(token_?expired|expired_?token)$",
    r"^api_?key_(invalid|missing|expired|disabled)|^authentication_(error|failed|required)$|^unauth",
)
SURE_KEY_WORDS = _any(
    r"\b(invalid|incorrect|wrong|expired|missing|unknown) (x-)?api[ _-]?key\b",
    r"\bapi[ _-]?key (is|was|has)( \w+)? (invalid|incorrect|wrong|expired|missing|revoked|disabled)\b",
)
_KEY = r"(api[ _-]?key|access (token|key)|auth\w* token|(the|your) (token|key)|bearer( token)?|credentials?|token)"
KEY_WORDS = _any(
    rf"\b{_KEY}\b.{{0,40}}\b(invalid|incorrect|wrong|expired|missing|revoked|unknown|disabled|required|rejected)\b",
    rf"\b{_KEY}\b.{{0,40}}\bnot (valid|found|provided|correct|active|authorized|recognized|exist)",
    r"\b(invalid|incorrect|wrong|expired|missing|no|bad|unknown|provide an?|without an?)\b.{0,20}"
    r"\b(api[ _-]?key|access token|auth\w* (token|header)|bearer token|credentials?)",
    r"\blogin fail|密钥|令牌|鉴权",
    r"\bunauthori[sz]ed\b|\bunauthenticated\b|authentication (failed|error|required)|not (logged in|authenticated)",
)
_BARRED = r"(not|n't|no) (have |has )?(access|allowed|permission|authori[sz]ed|entitled|permitted)"
ACCESS_WORDS = _any(rf"{_BARRED}\b.{{0,60}}\bmodel", rf"\bmodel\b.{{0,60}}{_BARRED}")
_IMAGES = r"(images?|image_url|vision|visual|multi-?modal|pictures?)"
NO_IMAGES = _any(
    rf"{_IMAGES}\b.{{0,60}}\bnot (supported?|allowed|enabled|accepted|available)",
    rf"{_IMAGES}\b.{{0,60}}\b(unsupported|only supported by|(isn|aren|doesn)'?t support)",
    rf"(not|n't|no|cannot) (support|accept|have|take|handle|process)\w*\b.{{0,40}}\b{_IMAGES}",
    r"(no (endpoints?|models?) found|only text|text[- ]only)\b.{0,40}\b(image|input|content|model)",
    r"unsupported\b.{0,30}\bimage_url|\bmmproj\b|\bnot a (vision|multi-?modal)",
)
IMAGE_FORM = _any(
    r"\b(format|media[ _-]?type|mime|jpe?g|tiff?|webp|bmp|svg|heic|dimension|resolution)\b",
    r"too (large|big|many|small)|\bat most\b",
)
TOO_LONG_CODE = _any(
    r"context_?(length|size|window)|exceed_context|string_above_max|input_?too_?(long|large)|prompt_?too_?long"
)
TOO_LONG_WORDS = _any(
    r"context[ _-]?(length|size|window)|contextwindowexceeded|maximum context|reduce the length",
    r"(prompt|input|messages?|request) (is|are) too long",
    r"tokens?\b.{0,60}\b(too many|too long|exceed\w*|room for|maximum|allowed|at most|longer|larger)",
    r"(too many|exceeds?|more than|longer than|maximum)\b.{0,60}\b(tokens?|context|model (length|len))\b",
)
MODEL_CODE = _any(
    r"(model|deployment)_?(not_?(found|supported|available|exists?)|unavailable|unknown)|no_?such_?model",
    r"(invalid|unknown|unsupported)_?model|deploymentnotfound",
)
MODEL_WORDS = _any(
    r"(invalid|unknown|no such|unsupported|unrecognized|nonexistent)\b.{0,20}\bmodel\b",
    r"\bmodel\b.{0,80}(not (found|exist|supported|available|valid|loaded|known|recognized)|n't exist|unknown)",
    r"\bmodel\b.{0,80}(is invalid|deprecated|decommissioned|retired)",
)
PATH_WORDS = _any(
    r"\bnot found\b|cannot (post|get)|no static resource|method not allowed|page",
    r"\b(unknown|invalid|no|wrong|unsupported)\b.{0,20}\b(path|url|route|endpoint|handler|resource|method)",
)
CLIENT_CODE = _any(
    r"^invalid_?(request|argument|parameter|value|type|input|param)|bad_?request|validation_?(error|exception)",
    r"unprocessable|unknown_parameter|unsupported_(parameter|value)|extra_forbidden",
)
_LACKING = (
    r"(required|missing|absent|must be (set|sent|provided|present|supplied|included)"
    r"|(not|n't) (set|sent|provided|present|found))"
)
_WANTED = r"(missing|requires?|required|provide|expects?|needs?|without|send|set)"
WANTS_HEADER = _any(
    rf"\bheaders?\b.{{0,60}}\b{_LACKING}", rf"\b{_WANTED}\b.{{0,40}}\b(http |request |custom )?headers?\b"
)
WANTS_QUERY = _any(
    rf"\b(api[-_ ]version|query (string )?(parameters?|params?))\b.{{0,60}}\b{_LACKING}",
    rf"\b{_WANTED}\b.{{0,40}}\b(api[-_ ]version|query (string )?(parameters?|params?))",
)
# The header of the key: an endpoint that misses this header misses the key
KEY_HEADER = _any(r"\bauthorization\b|\bbearer\b|\bauth(entication)? header")
# Codes for a failure of the server, and the HTTP status that each stands for
SERVER_CODE = {
    "overloaded_error": 529, "server_is_overloaded": 503, "service_unavailable": 503, "serviceunavailable": 503,
    "unavailable": 503, "overloaded": 503, "engine_overloaded": 503, "engine_overloaded_error": 503,
    "bad_gateway": 502, "gateway_timeout": 504, "deadline_exceeded": 504,
}  # fmt: skip
