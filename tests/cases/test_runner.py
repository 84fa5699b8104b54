"""The runner of the cases: what it serves arrives byte for byte, by the command and by the library."""

from __future__ import annotations

from missy import Done, Text
from tests.cases.conftest import Asker, chat, data, http, whole


def test_a_raw_stream_is_what_the_command_reads(asker: Asker):
    """The bytes of a stream that ends with its connection are an answer."""
    done = asker(chat("Hello.", {"delta": {}, "finish_reason": "stop"}))
    assert (done.code, done.text) == (0, "Hello.\n")


def test_a_whole_reply_is_what_the_library_reads(asker: Asker):
    """The bytes of a whole completion are an answer, event by event."""
    came = asker.events(whole(message={"content": "Hello."}, finish_reason="stop"))
    assert [type(event) for event in came] == [Text, Done]


def test_a_login_of_its_own_reads_responses(asker: Asker):
    """The same for a subscription: no issuer is asked."""
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hello."}
    end = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    code, answer = asker.json(http(data(delta, end)), codex=True)
    assert (code, answer["text"]) == (0, "Hello.")
    assert [request.path for request in asker.origin.requests] == ["/v1/responses"]


def test_a_reset_is_a_broken_connection(asker: Asker):
    """Where nothing has come, that is what is told."""
    assert asker(http(""), reset=True).code == 5
