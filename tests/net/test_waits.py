"""How long to wait, in every form that servers use, and nothing beyond bounds."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missy.net import waits

NOW = 1_800_000_000.0

DURATIONS = {
    "17": 17, "0.5": 0.5, "6m0s": 360, "120ms": 0.12, "1h2m": 3720, "1h2m3s": 3723, "3s": 3, "1m30s": 90, "7.66s": 7.66,
    "1d": 86_400, "2 minutes": 120, "1 hour": 3600, "2 minutes and 5 seconds": 125, "PT1M30S": 90, "PT0.5S": 0.5,
    "1800000020": 20, "1800000020000": 20, "2027-01-15T08:00:30Z": 30, "2027-01-15T09:00:30+01:00": 30,
    "Fri, 15 Jan 2027 08:00:40 GMT": 40, "Fri, 15 Jan 2027 07:00:00 GMT": 0, "4m12.172s": 252.172,
}  # fmt: skip


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_is_read_in_every_form(text):
    """Seconds, units, ISO 8601, an epoch in seconds or milliseconds, a date."""
    assert waits.duration(text, NOW) == pytest.approx(DURATIONS[text], abs=0.01)


SENTENCES = {
    "Please try again in 3s.": 3, "try again in 1.5s": 1.5, "Try again in 35 seconds.": 35, "try again in 20ms": 0.02,
    "Please try again in 1m30s. Visit the page": 90, "Please retry after 2 minutes": 120, "try again in 1h": 3600,
    "Retry after 20": 20, "Please wait 12 seconds before retrying": 12, "Your limit resets in 2h 5m": 7500,
    "Please retry in 34.074824224s.": 34.07, "Limit 30000, Used 29000, Requested 2000. Please try again in 2s.": 2,
    "Please retry after 1 second.": 1, "retry your request after 10 sec": 10, "try again in 6m0s": 360,
}  # fmt: skip


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_says_how_long(text):
    """Whatever its words and units."""
    assert waits.from_sentence(text) == pytest.approx(SENTENCES[text], abs=0.01)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "try again",
        "try again in .s",
        "try again in 1.2.3s",
        "try again later. Code 17",
        "no wait",
        "the limit is 6000 a minute",
    ],
)
def test_a_sentence_without_a_time_says_nothing(text):
    """A number somewhere is no wait."""
    assert waits.from_sentence(text) is None


HEADERS = [
    ({"retry-after": "7"}, 7),
    ({"retry-after-ms": "300", "retry-after": "9"}, 0.3),
    ({"retry-after": "Fri, 15 Jan 2027 08:00:40 GMT"}, 40),
    ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}, 360),
    ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "5",
      "x-ratelimit-reset-tokens": "20s", "x-ratelimit-remaining-tokens": "0"}, 20),
    ({"x-ratelimit-reset": "1800000020", "x-ratelimit-remaining": "0"}, 20),
    ({"anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:30Z"}, 30),
    ({"ratelimit-reset": "50"}, 50),
    ({"x-codex-primary-used-percent": "100", "x-codex-primary-reset-at": "1800000300",
      "x-codex-secondary-used-percent": "20", "x-codex-secondary-reset-at": "1800900000"}, 300),
    ({"x-codex-spark-primary-used-percent": "100", "x-codex-spark-primary-reset-after-seconds": "60"}, 60),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "seconds"), HEADERS)
def test_headers_say_how_long(headers, seconds):
    """An order to wait first, else when the limit that is used up begins anew."""
    assert waits.from_headers(headers, NOW) == pytest.approx(seconds, abs=0.01)


FIELDS = [
    ({"retryafter": 3}, 3),
    ({"retrydelay": "34s"}, 34),
    ({"retryafterms": 250}, 0.25),
    ({"resetsinseconds": 60}, 60),
    ({"resetsat": NOW + 90}, 90),
    ({"headers": {"X-RateLimit-Reset": "1800000020000"}}, 20),
]


@pytest.mark.parametrize(("fields", "seconds"), FIELDS)
def test_fields_say_how_long(fields, seconds):
    """Also those that a gateway passes on from somebody's headers."""
    assert waits.from_fields(fields, NOW) == pytest.approx(seconds, abs=0.01)


HOSTILE = [
    "-5",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "1e999",
    "9" * 400,
    "1" + "0" * 400,
    "-0",
    "١٢",
    "12" * 60,
    "0x10",
    "5 parsecs",
    "1e400s",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_stay_within_bounds(text):
    """Negative, no number, infinite or endless: a wait between none and a year, or nothing."""
    for found in (
        waits.duration(text, NOW),
        waits.from_headers({"retry-after": text, "x-ratelimit-reset-tokens": text}, NOW),
        waits.from_fields({"retryafter": text, "resetsat": text}, NOW),
        waits.from_sentence(f"try again in {text}s"),
    ):
        assert found is None or 0 <= found <= waits.MAX_WAIT_SECONDS


@given(
    st.one_of(
        st.text(max_size=60), st.integers(), st.floats(), st.none(), st.lists(st.integers()), st.booleans()
    )
)
def test_whatever_a_server_says_is_a_wait_or_nothing(value):
    """Nothing raises, and nothing is out of bounds."""
    for found in (
        waits.duration(value),
        waits.from_fields({"retryafter": value}),
        waits.from_sentence(f"try again in {value}"),
    ):
        assert found is None or 0 <= found <= waits.MAX_WAIT_SECONDS
    waits.when(waits.resets_at({"resetsat": value}))


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_the_parts_of_a_duration_add_up(hours, minutes, seconds):
    """As Go writes a duration, in a header and in a sentence."""
    total = hours * 3600 + minutes * 60 + seconds
    text = f"{hours}h{minutes}m{seconds}s"
    assert waits.duration(text) == total
    assert waits.from_sentence(f"Please try again in {text}.") == total


@given(st.integers(0, 10**8))
def test_a_date_is_as_good_as_seconds(seconds):
    """`Retry-After` may be either."""
    now = float(int(NOW))
    found = waits.duration(formatdate(now + seconds, usegmt=True), now)
    assert found == min(seconds, waits.MAX_WAIT_SECONDS)


@pytest.mark.parametrize("written", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S+00:00"])
@pytest.mark.parametrize(
    "words", ["Rate limit resets at {}.", "try again after {}", "available again on {} (UTC)"]
)
def test_a_sentence_may_name_a_date(words, written):
    """A point in time, in UTC unless it says otherwise, is as good as a number of seconds."""
    text = words.format(time.strftime(written, time.gmtime(time.time() + 120)))
    assert waits.from_sentence(text) == pytest.approx(120, abs=10)


def test_people_read_the_wait_and_the_local_time():
    """In 20 s, at what time on their own clock; the date only where it is another day."""
    noon = time.mktime((2027, 1, 15, 12, 0, 0, 0, 0, -1))
    assert waits.when(noon + 20, noon) == "it resets in 20 s (12:00:20)"
    assert waits.when(noon + 360, noon) == "it resets in 6 min (12:06:00)"
    assert waits.when(noon + 86_400 * 2, noon) == "it resets in 2 d (2027-01-17 12:00:00)"
    assert waits.when(noon - 60, noon) == "it was to reset at 11:59:00: ask again"
    assert waits.when(None) == waits.when(1e300) == ""
