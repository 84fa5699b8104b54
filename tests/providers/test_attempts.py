"""What is tried next: a key, a body without what was refused, a retry after a wait, or nothing."""

from __future__ import annotations

import time

import pytest

from missy.errors import (
    BadReply,
    ConnectionFailed,
    CredentialError,
    IncompleteError,
    LimitError,
    MissyError,
    PolicyError,
    ProviderError,
    TimedOut,
)
from missy.net.limits import Clock
from missy.providers.attempts import Attempts, KeyPool
from missy.secrets.redact import Secret
from missy.secrets.resolve import Credential

KEYS = [Credential(Secret(f"sk-{n}"), "config", f"config:{n}") for n in range(3)]


def begin(
    *, keys: int = 1, retries: int = 2, timeout: float = 30.0, deadline: float | None = None, omitted=()
) -> Attempts:
    clock = Clock(timeout, deadline)
    return Attempts(KeyPool(KEYS[:keys]), max_retries=retries, clock=clock, omitted=omitted)


def after(attempts: Attempts, error: MissyError, *sent: str, output_started: bool = False) -> float | None:
    """Return the wait before the next attempt, or None where there is none."""
    try:
        return attempts.next_delay(error, sent=sent, output_started=output_started)
    except type(error) as raised:
        return None if raised is error else pytest.fail(f"another error: {raised}")


def status(http: int, message: str = "no", **fields) -> ProviderError:
    return ProviderError(message, status=http, **fields)


@pytest.mark.parametrize(
    "error",
    [
        status(408),
        status(409),
        status(500),
        status(502),
        status(503),
        status(529),
        LimitError("x", status=429),
        ConnectionFailed("x"),
    ],
)
def test_what_may_pass_is_tried_again_as_often_as_allowed(error):
    """`max_retries` times, each after a wait, and then the error is told."""
    attempts = begin(retries=2)
    waits = [after(attempts, error) for _ in range(3)]
    assert all(wait is not None and wait > 0 for wait in waits[:2])
    assert waits[2] is None


@pytest.mark.parametrize(
    "error",
    [
        status(400), status(401), status(403), status(404), status(405), status(413), status(422), status(307),
        CredentialError("x", status=401), PolicyError("x"), BadReply("x"), TimedOut("x"), IncompleteError("x"), MissyError("x"),
        LimitError("x", status=429, code="insufficient_quota"), LimitError("x", status=429, code="usage_limit_reached"),
        LimitError("x", code="rate_limit_exceeded"), status(500, "1 validation error for Request"), status(500, code="invalid_request_error"),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_told_at_once(error):
    """A refusal, a client's fault, an empty purse, a timeout: trying again would help nobody."""
    assert after(begin(retries=5), error) is None


@pytest.mark.parametrize(
    "error",
    [
        status(503),
        LimitError("x", status=429),
        ConnectionFailed("x"),
        CredentialError("x", status=401),
        status(400, "max_tokens"),
    ],
)
def test_nothing_is_tried_again_once_something_was_shown(error):
    """The reader has seen a part: a second answer would be another one."""
    assert after(begin(keys=3, retries=5), error, "max_tokens", output_started=True) is None


def test_no_retries_means_none():
    """`max_retries: 0` is taken at its word."""
    assert after(begin(retries=0), status(503)) is None


def test_waits_grow_and_differ():
    """A quarter of a second at first, twice as long each time, and never the same for all clients at once."""
    firsts = {after(begin(), status(503)) for _ in range(20)}
    assert len(firsts) > 1
    assert all(0.125 <= wait <= 0.25 for wait in firsts)
    attempts = begin(retries=6, timeout=1000)
    waits = [after(attempts, status(503)) for _ in range(6)]
    for number, wait in enumerate(waits):
        assert 0.125 * 2**number <= wait <= min(0.25 * 2**number, 8.0)


@pytest.mark.parametrize("wait", [0.0, 0.5, 29.9])
def test_what_the_server_asks_for_is_waited(wait):
    """Retry-After is obeyed to the fraction."""
    assert after(begin(), status(503, retry_after=wait)) == wait


@pytest.mark.parametrize("wait", [30.1, 3600.0, 31_536_000.0])
def test_more_than_the_timeout_is_not_waited(wait):
    """The user said how long silence may last; a server's wish does not change that."""
    assert after(begin(retries=5), LimitError("x", status=429, retry_after=wait)) is None


def test_all_waits_together_are_no_longer_than_the_timeout():
    """Twenty seconds twice is more than thirty."""
    attempts = begin(retries=9)
    assert after(attempts, status(503, retry_after=20.0)) == 20.0
    assert after(attempts, status(503, retry_after=20.0)) is None


def test_a_wait_that_reaches_the_deadline_is_not_begun():
    """What could not be answered any more in time is told now."""
    assert after(begin(timeout=100, deadline=5.0), status(503, retry_after=6.0)) is None
    assert after(begin(timeout=100, deadline=5.0), status(503, retry_after=2.0)) == 2.0


def test_a_deadline_that_has_passed_ends_the_trying():
    """No attempt begins after it."""
    attempts = begin(deadline=0.001)
    time.sleep(0.002)
    assert after(attempts, ConnectionFailed("x")) is None


@pytest.mark.parametrize(
    "error",
    [
        CredentialError("x", status=401),
        CredentialError("x", status=403),
        LimitError("x", status=429),
        LimitError("x", code="insufficient_quota"),
    ],
)
def test_the_next_key_is_tried_at_once(error):
    """A refused key and one without quota give way, in order, without a wait and without counting as a retry."""
    attempts = begin(keys=3, retries=0)
    used = [attempts.credential.id]
    while after(attempts, error) == 0.0:
        used.append(attempts.credential.id)
    assert used == ["config:0", "config:1", "config:2"]


@pytest.mark.parametrize(
    "error", [status(500), status(404), ConnectionFailed("x"), BadReply("x"), PolicyError("x")]
)
def test_a_fault_that_is_not_the_keys_changes_no_key(error):
    """The second key is not shown to an endpoint that did not refuse the first."""
    attempts = begin(keys=3)
    after(attempts, error)
    assert attempts.credential.id == "config:0"


SPARE = [
    "max_tokens",
    "max_completion_tokens",
    "stream_options",
    "temperature",
    "reasoning_effort",
    "store",
    "parallel_tool_calls",
    "tool_choice",
]


@pytest.mark.parametrize("name", SPARE)
@pytest.mark.parametrize("code", [400, 422])
def test_a_field_that_is_named_as_refused_is_left_out_once(name, code):
    """The next attempt does without it, at once; when it is named again, that is the error."""
    attempts = begin(retries=0)
    error = status(code, f"Unsupported parameter: '{name}' is not supported")
    assert after(attempts, error, "model", name) == 0.0
    assert attempts.omitted == attempts.newly_omitted == {name}
    assert after(attempts, error, "model", name) is None


@pytest.mark.parametrize(
    ("code", "message", "sent"),
    [
        (400, "temperature is wrong", ["model"]),
        (400, "nothing that we know", ["temperature"]),
        (400, "model is wrong", ["model"]),
        (400, "my_temperature_field", ["temperature"]),
        (400, "temperature must be between 0 and 2", ["temperature"]),
        (400, "temperature: must be <= 2", ["temperature"]),
        (404, "temperature", ["temperature"]),
        (413, "temperature", ["temperature"]),
    ],
)
def test_a_field_is_left_out_only_where_it_is_refused_as_such(code, message, sent):
    """Not when it was not sent, nor when its value is what is wrong: that is the user's to mend."""
    attempts = begin()
    assert after(attempts, status(code, message), *sent) is None
    assert attempts.omitted == frozenset()


def test_of_the_two_names_of_the_length_limit_only_one_can_be_left_out():
    """The other takes its place; were both left out, the user's limit would be lost."""
    attempts = begin()
    assert after(attempts, status(400, "max_tokens: use max_completion_tokens"), "max_tokens") == 0.0
    assert after(attempts, status(400, "max_completion_tokens is not known"), "max_completion_tokens") is None


def test_the_field_named_first_is_the_one_left_out():
    """`max_tokens ... use max_completion_tokens instead` is about the former."""
    attempts = begin()
    message = "'temperature' is not supported with 'tool_choice'"
    assert after(attempts, status(400, message), "tool_choice", "temperature") == 0.0
    assert attempts.newly_omitted == {"temperature"}


def test_several_fields_are_left_out_one_after_the_other():
    """Each refusal costs one attempt and no retry, and what was known before is not learnt anew."""
    attempts = begin(retries=0, omitted=["store"])
    for name in ("temperature", "stream_options"):
        assert (
            after(attempts, status(400, f"{name} is not supported"), "temperature", "stream_options") == 0.0
        )
    assert attempts.omitted == {"store", "temperature", "stream_options"}
    assert attempts.newly_omitted == {"temperature", "stream_options"}
