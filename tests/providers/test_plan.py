"""Answers for an account that signed in with ChatGPT: what is sent, to whom, and what each refusal becomes."""

from __future__ import annotations

import json

import pytest

import missy as library
from missy import Done, Message, Notice, Text, Tool, ToolCall, UsageError
from tests.cli.person import ENTER
from tests.cli.person import Person as Talker
from tests.providers.chatgpt import ask_async, raw
from tests.providers.member import MODEL
from tests.simulator import Call, Fault, Say, Script, Think
from tests.simulator.siwc_backend import KNOWN, MODELS, PREFIX, RESPONSES, SIWC_ROWS
from tests.simulator.siwc_issuer import Person

HELLO = "Hello from the simulator."
USAGE = "https://chatgpt.com/settings/usage"
TOOL = Tool("add", "Adds.", {"type": "object", "properties": {"x": {"type": "integer"}}})


def test_a_request_has_only_what_openais_page_names(member):
    """The body's fields, the bearer token and no other header of ours that says who asks; no default instructions."""
    answer = member.ask(
        "hi", system="Be brief.", reasoning="low", schema={"type": "object"}, cache_key="talk"
    )
    assert answer.error is None or answer.code == 6  # the simulator's text is no JSON
    body = member.body
    assert body.keys() <= KNOWN
    assert (body["instructions"], body["store"], body["stream"]) == ("Be brief.", False, True)
    assert (body["reasoning"]["effort"], body["prompt_cache_key"]) == ("low", "talk")
    assert body["text"]["format"]["type"] == "json_schema"
    assert member.ask().text == HELLO
    assert member.body.keys() == {"model", "input", "store", "stream", "include"}
    request = member.simulator.backend_origin.journal[-1]
    assert request.headers["host"] == "api.openai.com"
    assert request.headers["authorization"] == f"Bearer {member.stored.access_token.reveal()}"
    allowed = {
        "host",
        "authorization",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "connection",
        "user-agent",
    }
    assert request.headers.keys() <= allowed
    assert request.headers["user-agent"].startswith("missy/")


def test_tools_are_an_item_of_the_input_and_their_turn_comes_back_whole(member):
    """Not top-level; the call, its reasoning and its phase go back with the result, in their order."""
    items = (Think(("Hm",)), Say(("Let me add.",), "commentary"), Call("add", '{"x": 1}'))
    member.simulator.backend.scripts.append(Script(items))
    first = member.ask("add", tools=[TOOL], tool_choice="auto")
    (call,) = first.all(ToolCall)
    assert (call.name, call.arguments) == ("add", {"x": 1})
    item = member.body["input"][0]
    assert (item["type"], item["role"], item["tools"][0]["name"]) == ("additional_tools", "developer", "add")
    assert "tools" not in member.body
    (done,) = first.all(Done)
    turn = Message("assistant", "Let me add.", tool_calls=(call,), replay=done.replay)
    history = [Message("user", "add"), turn, Message("tool", "2", tool_call_id=call.id)]
    assert member.ask(history, tools=[TOOL]).text == HELLO
    kinds = [item.get("type") for item in member.body["input"]]
    assert kinds == [
        "additional_tools",
        "message",
        "reasoning",
        "message",
        "function_call",
        "function_call_output",
    ]
    assert member.body["input"][3]["phase"] == "commentary"
    assert member.body["input"][2]["encrypted_content"]


def test_what_was_sealed_for_one_account_is_not_sent_with_another(member, missy):
    """After `auth use` the text of the turn goes along, and nothing of its encrypted reasoning."""
    member.simulator.backend.scripts.append(Script((Think(("Hm",)), Say(("One.",)))))
    assert missy("ask", "--session", "talk", "first").code == 0
    assert missy("ask", "--session", "talk", "second").code == 0
    assert "reasoning" in {item["type"] for item in member.body["input"]}
    key = member.body["prompt_cache_key"]
    member.signs_in(person=Person("user-bob", "bob@example.com"), add=True)
    assert missy("auth", "use", "bob@example.com").code == 0
    assert missy("ask", "--session", "talk", "third").code == 0
    assert "reasoning" not in {item["type"] for item in member.body["input"]}
    assert "One." in json.dumps(member.body["input"])
    assert member.body["prompt_cache_key"] == key


def test_a_conversation_goes_on_with_its_own_account_and_cache(member, missy):
    """`run`: the second turn has the reasoning of the first, under the same cache key, and the plan is named."""
    member.simulator.backend.scripts.append(Script((Think(("Hm",)), Say(("One.",)))))
    with Talker(missy, "run") as person:
        for line, answer in (("first", "One."), ("second", "Hello from the simulator.")):
            person.see(">")
            person.press(line, ENTER)
            person.see(answer)
        person.see("Using ChatGPT plan")
    first, second = member.simulator.backend.bodies
    assert "reasoning" in {item["type"] for item in second["input"]}
    assert first["prompt_cache_key"] == second["prompt_cache_key"]


WORDS = {
    "not-eligible": ("cannot be used by apps", "Plus or Pro", 1, 0), "usage-limit": ("is reached", USAGE, 1, 0),
    "usage-unavailable": ("at the moment", "try again", 3, 0), "unsupported": ("does not support", "leave it out", 1, 0),
    "route": ("kind of request", "report", 1, 0), "invalid-user": ("not accepted", "try again later", 1, 0),
    "scope": ("may not use the plan", "--enable-plan", 1, 0), "context": ("may not use the plan", "--enable-plan", 1, 0),
    "user-unavailable": ("at the moment", "try again", 3, 0), "detail-401": ("not accepted", "auth status", 1, 0),
    "detail-403": ("region", "sign-in is fine", 1, 0), "detail-503": ("switched off", "try again later", 3, 0),
    "rejected-field": ("Unsupported parameter: include", "", 1, 0), "520": ("", "", 3, 0),
}  # fmt: skip


@pytest.mark.parametrize("row", SIWC_ROWS)
def test_every_refusal_has_its_code_words_and_number_of_requests(member, row):
    """With two retries: what passes is tried again, what does not is sent once; nothing is renewed, no time is invented."""
    fault, code = SIWC_ROWS[row]
    member.set(max_retries=2)
    member.backend_faults.add(RESPONSES, fault, times=None)
    said, hint, posts, renewals = WORDS[row]
    for outcome in (member.ask(), *ask_async(member, "hi")):
        assert outcome.code == code, outcome.error
        assert said in outcome.error.message
        assert hint in outcome.error.hint
        assert getattr(outcome.error, "resets_at", None) is None
        assert "resets" not in outcome.error.hint
    assert (member.posts, member.simulator.renewals) == (2 * posts, renewals)
    if "x-request-id" in fault.headers:
        assert outcome.error.request_id == "req_row"


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("usage_limit_exceeded", 7),
        ("usage_unavailable", 5),
        ("user_unavailable", 5),
        ("user_not_eligible", 4),
    ],
)
def test_the_same_codes_inside_an_answer(member, code, exit_code):
    """Before the first text and after it: the same exit code; the text so far is kept; a limit has no reset time."""
    error = {"code": PREFIX + code, "message": "No. Try again in 5 minutes."}
    for items, text in (((), ""), ((Say(("Half",)),), "Half")):
        member.simulator.backend.scripts.append(Script(items, end="failed", error=error))
        outcome = member.ask()
        assert (outcome.code, outcome.text) == (exit_code, text), outcome.error
        assert getattr(outcome.error, "resets_at", None) is None
    assert member.posts == 2


def test_a_limit_with_a_retry_header_still_has_no_reset_time(member):
    """The header is about the request, not about the plan."""
    error = {"code": f"{PREFIX}usage_limit_exceeded", "message": "Limit."}
    member.backend_faults.add(RESPONSES, Fault(429, {"error": error}, {"retry-after": "60"}), times=None)
    outcome = member.ask()
    assert (outcome.code, outcome.error.resets_at, outcome.error.retry_after) == (7, None, None)
    assert outcome.error.hint == f"manage usage: {USAGE}"


def test_a_field_that_is_not_supported_is_left_out_once(member):
    """`param` names it: an optional one is dropped, and the same body is never sent again."""
    error = {"code": f"{PREFIX}unsupported_capability", "message": "No.", "param": "text"}
    member.backend_faults.add(RESPONSES, Fault(400, {"error": error}))
    member.simulator.backend.scripts.append(Script((Say(('{"a": 1}',)),)))
    outcome = member.ask(schema={"type": "object"})
    assert (outcome.text, member.posts) == ('{"a": 1}', 2)
    assert "text" not in member.body


@pytest.mark.parametrize("kind", [None, "application/octet-stream"])
def test_the_label_of_a_stream_may_be_missing(member, kind):
    """The events are read all the same; the list in the last one is empty, and the items count."""
    member.simulator.backend.content_type = kind
    assert member.ask().text == HELLO


def test_commentary_is_told_apart(member):
    """A message of phase commentary is no part of the answer's text."""
    member.simulator.backend.scripts.append(
        Script((Say(("Let me see.",), "commentary"), Say(("42",), "final_answer")))
    )
    with library.Missy.open() as m:
        answer = m.ask("hi", model=MODEL)
        assert answer.text() == "42"


@pytest.mark.parametrize("end", [None, "incomplete", "error", "failed"])
def test_only_a_completed_response_is_an_answer(member, end):
    """Anything else is 5 or 6, with the text so far."""
    member.simulator.backend.scripts.append(Script(end=end))
    outcome = member.ask()
    assert outcome.code in (5, 6)
    assert outcome.text == HELLO
    assert outcome.all(Done) == []


def test_an_expired_token_is_renewed_once_and_the_answer_comes(member):
    """`invalid_token`: one renewal, one more request."""
    member.forget_token()
    outcome = member.ask()
    assert (outcome.text, member.posts, member.simulator.renewals) == (HELLO, 2, 1)


def test_a_stray_401_costs_nothing(member):
    """A 401 without that code is the answer, and the sign-in is as it was."""
    before = member.path.read_bytes()
    member.backend_faults.add(RESPONSES, Fault(401, {"detail": "Unauthorized"}))
    assert member.ask().code == 4
    assert member.path.read_bytes() == before
    assert member.ask().text == HELLO


def test_the_list_is_the_servers_own_order_without_the_hidden(member, missy):
    """No query is sent; the first is the default; another account asks for its own."""
    assert missy("models").text.splitlines() == [MODEL, "gpt-6-luna"]
    assert missy("models").code == 0
    assert member.lists == 1
    assert member.simulator.backend_origin.journal[-1].query == ""
    assert missy("ask", "hi").code == 0
    assert member.body["model"] == MODEL
    member.signs_in(person=Person("user-bob", "bob@example.com"), add=True)
    missy("auth", "use", "bob@example.com")
    assert missy("models").code == 0
    assert member.lists == 2


@pytest.mark.parametrize(
    "fault", [Fault(520, b"<html>520</html>"), Fault(200, {"data": []}), Fault(503, {"detail": "x"})]
)
def test_a_list_that_fails_does_not_stop_a_named_model(member, missy, fault):
    """`models` is 5; an answer with --model works, listed or not."""
    member.backend_faults.add(MODELS, fault, times=None)
    assert missy("models").code == 5
    assert missy("ask", "hi", "--model", "gpt-6-luna").code == 0


def test_what_no_plan_takes_is_left_out_with_a_notice(member):
    """Temperature and the longest answer."""
    outcome = member.ask(temperature=1.0, max_tokens=5)
    notices = [event.text for event in outcome.all(Notice)]
    assert any("temperature" in text and "max_tokens" in text for text in notices)
    assert {"temperature", "max_output_tokens"}.isdisjoint(member.body)


def test_no_other_program_gets_a_client(member):
    """The plan is for Missy alone: 2 with the reason, sync and async; nothing is sent."""
    with (
        library.Missy.open() as m,
        pytest.raises(UsageError, match="terms allow a ChatGPT plan to Missy alone"),
    ):
        m.openai_client("chatgpt")
    assert member.simulator.journal == []


def test_no_key_of_the_environment_ever_goes_along(member, missy, monkeypatch):
    """OPENAI_API_KEY is for entries of kind openai, although the host is the same."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789abcdef")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-canary")
    assert missy("ask", "hi").code == 0
    assert "canary" not in repr(member.simulator.journal)


def test_an_entry_opens_two_hosts_and_nothing_else(member, missy):
    """api.openai.com:443 and auth.openai.com:443."""
    rows = missy("providers", "--json").json()
    assert sorted(rows[0]["allowed_hosts"]) == ["api.openai.com:443", "auth.openai.com:443"]
    assert missy("net", "explain", "https://chatgpt.com/x").code == 3


def test_a_dry_run_shows_the_request_and_sends_nothing(member, missy):
    """The token is masked, and an ended one is not renewed."""
    member.signs_in(-5)
    shown = missy("ask", "hi", "--dry-run", "--json", "--model", MODEL).json()
    assert shown["url"] == "https://api.openai.com/v1/responses"
    assert shown["headers"]["authorization"] == "Bearer ***"
    assert (shown["credential"], member.simulator.journal) == ("oauth", [])


def test_usage_shows_the_page_and_sends_nothing(member, missy):
    """Apps are told no figures; no request is made for them."""
    ran = missy("usage", "--provider", "chatgpt")
    assert (ran.code, USAGE in ran.text) == (0, True)
    assert member.simulator.journal == []
    assert missy("usage", "--json").code == 0


def test_the_doctor_walks_the_way_and_names_nobody(member, missy):
    """Policy, the connection, the sign-in, the models; the e-mail stays out of the report."""
    ran = missy("doctor", "--provider", "chatgpt", "--json")
    assert ran.json()["ok"], ran.text
    checks = {check["name"]: check["status"] for check in ran.json()["checks"]}
    assert checks["chatgpt: login"] == checks["chatgpt: models"] == "ok"
    assert "ada@" not in ran.text
    member.signs_in(100)
    checks = {
        c["name"]: c["status"] for c in missy("doctor", "--provider", "chatgpt", "--json").json()["checks"]
    }
    assert (checks["chatgpt: login"], member.simulator.renewals) == ("warn", 0)


def test_status_with_refresh_renews_once(member, missy):
    """When it is due, and not again."""
    member.signs_in(100)
    for _ in range(2):
        row = missy("auth", "status", "--refresh", "--json").json()[0]
        assert (row["state"], row["limits"]) == ("valid", None)
    assert member.simulator.renewals == 1


def test_a_fallback_is_asked_only_where_it_is_written(member, missy, serve):
    """A limit of the plan goes to no key by itself; with `fallback` it does, and says so."""
    from tests.servers import chat_stream

    origin = serve(chat_stream("from the key"))
    member.backend_faults.add(RESPONSES, SIWC_ROWS["usage-limit"][0], times=None)
    config = json.loads((missy.home / "config.yaml").read_text())
    other = {"name": "openai", "model": "m", "base_url": origin.url, "api_key": "k-0123456789"}
    config["providers"]["paid"] = other
    missy.config(config)
    assert missy("ask", "hi").code == 7
    assert origin.requests == []
    config["providers"]["chatgpt"]["fallback"] = ["paid"]
    missy.config(config)
    ran = missy("ask", "hi")
    assert (ran.code, "asking paid instead" in ran.err) == (0, True), ran.err


def test_a_stream_of_raw_bytes_that_is_cut_at_any_event_is_never_whole(member):
    """Each event's end in turn."""
    data = Script().raw(MODEL)
    for number in range(1, len(data)):
        member.backend_faults.add(RESPONSES, raw(b"".join(data[:number])))
        outcome = member.ask()
        assert outcome.code in (5, 6), (number, outcome)
        assert outcome.all(Done) == []
        assert HELLO.startswith("".join(event.text for event in outcome.all(Text)))
