"""`fallback` of an entry: when another one is asked instead, when never, and how it is told."""

from __future__ import annotations

import asyncio

import pytest

import missy as library
from tests.attachments.samples import PNG
from tests.net.conftest import Table
from tests.servers import CUT, chat_chunk, chat_error, chat_stream, event_stream, sse

KEY = "sk-test-of-the-first"


def entry(url, **fields):
    """Return an entry that gives up at once."""
    return {"name": "openai", "model": "m", "base_url": url, "max_retries": 0, "timeout": 20, **fields}


@pytest.fixture
def pair(missy, serve):
    """Make entries `a` and `b`, `b` in the place of `a`: returns both servers for the reply of `a`."""

    def make(*reply, other=None, **fields):
        a, b = serve(*reply), serve(other if other is not None else chat_stream("from b", model="mb"))
        fields = {"fallback": ["b"], **fields}
        missy.config(
            {"providers": {"a": entry(a.url, **fields), "b": entry(b.url, model="mb", api_key="k-of-b")}}
        )
        return a, b

    return make


FAILURES = {
    "server error": chat_error(503, "overloaded"),
    "limit": chat_error(429, "slow down"),
    "quota": chat_error(429, "no money", code="insufficient_quota"),
    "key refused": chat_error(401, "bad key"),
    "forbidden": chat_error(403, "not for you"),
    "bad request": chat_error(400, "no such thing"),
    "not an api": event_stream(sse({"error": {"message": "overloaded", "code": 503}})),
}


@pytest.mark.parametrize("reply", FAILURES.values(), ids=FAILURES)
def test_another_is_asked_where_the_endpoint_failed(missy, pair, reply):
    """An error of the endpoint, a limit or a refused key: the next entry answers, with its own model and key."""
    a, b = pair(reply, api_key=KEY)
    ran = missy.inside("ask", "hi", "--model", "special", "--json")
    assert ran.code == 0
    got = ran.json()
    assert (got["text"], got["provider"], got["model"], got["fallback_from"]) == ("from b", "b", "mb", "a")
    assert "a failed: " in ran.err
    assert "asking b instead (mb)" in ran.err
    assert (a.last.json()["model"], b.last.json()["model"]) == ("special", "mb")
    assert (a.last.header("authorization"), b.last.header("authorization")) == (
        f"Bearer {KEY}",
        "Bearer k-of-b",
    )


def test_a_dead_endpoint_is_passed(missy, pair):
    """No connection at all: the next entry answers, and the record says in whose place."""
    a, _ = pair(chat_stream("x"))
    a.close()
    assert missy.inside("ask", "hi").text == "from b\n"
    rows = [row for row in missy.inside("audit", "recent", "--json").json() if row["event"] == "request"]
    assert [(row["entry"], row.get("fallback_from")) for row in rows] == [("a", None), ("b", "a")]
    assert missy.inside("audit", "verify").code == 0


def test_the_pool_of_keys_comes_first(missy, pair):
    """Every key of the entry is tried before anybody else is asked."""
    a, b = pair(
        chat_error(401, "no"), chat_error(429, "no"), chat_stream("from a"), api_keys=["k1", "k2", "k3"]
    )
    assert missy.inside("ask", "hi").text == "from a\n"
    assert len(a.requests) == 3
    assert b.connections == 0


NEVER = {
    "cut": (event_stream(sse(chat_chunk("half")), CUT), 6),
    "failed in mid-answer": (event_stream(sse(chat_chunk("half"), {"error": {"message": "overloaded"}})), 5),
    "empty": (chat_stream(), 6),
    "over its length": (chat_stream("long", finish="length"), 6),
    "thought already": (
        event_stream(sse(chat_chunk({"reasoning_content": "hm"}), {"error": {"message": "x"}})),
        5,
    ),
}


@pytest.mark.parametrize(("reply", "code"), NEVER.values(), ids=NEVER)
def test_an_answer_that_has_begun_is_never_begun_again(missy, pair, reply, code):
    """Once something was shown, or an answer came that is not whole, its error stands: nobody else is asked."""
    _, b = pair(reply)
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["fallback_from"], ran.json()["provider"]) == (code, None, "a")
    assert b.connections == 0


def test_wrong_use_the_policy_and_a_missing_key_are_no_failure_of_the_endpoint(missy, pair, serve):
    """Exit codes 2, 3 and a key that was never there (4) stand: nobody else is asked."""
    _, b = pair(chat_stream("x"))
    assert missy.inside("ask", "  ").code == 2
    missy.config(
        {"providers": {"a": entry("https://192.0.2.7/v1", api_key=KEY, fallback=["b"]), "b": entry(b.url)}}
    )
    assert missy.inside("ask", "hi").code == 3
    missy.config(
        {"providers": {"a": entry("https://api.groq.com/openai/v1", fallback=["b"]), "b": entry(b.url)}}
    )
    assert missy.inside("ask", "hi").code == 4
    assert b.connections == 0


def test_an_entry_that_cannot_be_asked_is_passed_over(missy, serve):
    """A disabled entry, one without a key and one that takes no such file are named; the next one answers."""
    a, c, d = serve(chat_error(503, "no")), serve(chat_stream("from c")), serve(chat_stream("from d"))
    missy.config(
        {
            "network": {"allowed_cidrs": ["127.0.0.0/8"]},
            "providers": {
                "a": entry(a.url, fallback=["off", "locked", "blind", "d"]),
                "off": entry(c.url, enabled=False),
                "locked": entry(c.url, api_key="$MISSY_NO_SUCH_KEY"),
                "blind": entry(c.url, accepts=[]),
                "d": entry(d.url),
            },
        }
    )
    with library.Missy.open() as m:
        answer = m.ask("look", attachments=[library.Attachment(PNG, "image/png", "dot.png")])
        told = [event.text for event in answer if isinstance(event, library.Notice)]
    assert (answer.so_far, answer.provider, answer.fallback_from) == ("from d", "d", "a")
    words = "\n".join(told)
    assert all(word in words for word in ("'off' is disabled", "MISSY_NO_SUCH_KEY", "dot.png", "asking d"))
    assert c.connections == 0


def test_where_all_fail_the_last_error_stands(missy, pair):
    """Each entry is asked once; the error is that of the last one, and both are told."""
    a, b = pair(chat_error(503, "overloaded"), other=chat_error(429, "slow down"))
    ran = missy.inside("ask", "hi", "--json")
    assert (ran.code, ran.json()["provider"], ran.json()["fallback_from"]) == (7, "b", "a")
    assert "overloaded" in ran.err
    assert (len(a.requests), len(b.requests)) == (1, 1)


@pytest.mark.parametrize(
    ("providers", "words"),
    [
        ({"a": {"fallback": ["nobody"]}}, ["providers.a.fallback[0]", "names no entry"]),
        ({"a": {"fallback": ["a"]}}, ["providers.a.fallback[0]", "names no entry"]),
        ({"mine": {"base_url": "http://127.0.0.1:9/v1", "fallback": ["a"]}, "a": {}}, ["a, a public host"]),
        ({"tiny": {"name": "local", "fallback": ["a"]}, "a": {}}, ["a, a public host"]),
        (
            {"lan": {"base_url": "http://10.1.2.3/v1", "fallback": ["local", "a"]}, "a": {}},
            ["providers.lan.fallback[1]", "a, a public host"],
        ),
    ],
)
def test_a_wrong_fallback_is_an_error_of_the_file(missy, providers, words):
    """A name that is none, and a way from this machine or network to a public host, are refused when the file is read."""
    for name, fields in providers.items():
        fields.setdefault("name", "openai" if name != "tiny" else "local")
    missy.config({"providers": providers, "network": {"allowed_cidrs": ["10.0.0.0/8"]}})
    for command in (["config", "validate"], ["ask", "hi"]):
        ran = missy.inside(*command)
        assert ran.code == 2
        assert all(word in ran.err for word in words)
    assert missy.attempts() == []


def test_entries_may_name_each_other(missy, serve):
    """A circle is told when the file is validated, and each entry is asked once at most."""
    a, b = serve(chat_error(503, "no")), serve(chat_error(500, "no"))
    missy.config({"providers": {"a": entry(a.url, fallback=["b", "b"]), "b": entry(b.url, fallback=["a"])}})
    ran = missy.inside("config", "validate")
    assert ran.code == 0
    assert "providers.a.fallback leads back to a" in ran.err
    assert missy.inside("ask", "hi").code == 5
    assert (len(a.requests), len(b.requests)) == (1, 1)


def test_a_name_on_ones_own_network_never_leads_to_a_public_host(missy, serve, monkeypatch):
    """A name whose addresses lie in allowed_cidrs: the public entry is passed over, another private one is asked."""
    table = Table()
    monkeypatch.setattr("socket.getaddrinfo", table)
    lan, other = serve(chat_error(503, "no")), serve(chat_stream("from the other"))
    table.names = {
        "lan.example.com": ["127.0.0.1"],
        "other.example.com": ["127.0.0.1"],
        "out.example.com": ["93.184.215.14"],
    }
    missy.config(
        {
            "network": {"allowed_cidrs": ["127.0.0.0/8"]},
            "providers": {
                "lan": entry(f"http://lan.example.com:{lan.port}/v1", api_key="k", fallback=["out", "other"]),
                "out": entry("https://out.example.com/v1", api_key="k"),
                "other": entry(f"http://other.example.com:{other.port}/v1", api_key="k"),
            },
        }
    )
    ran = missy.inside("ask", "hi")
    assert ran.text == "from the other\n"
    assert "out is not asked: it is a public host" in ran.err
    assert not [line for line in missy.attempts() if "93.184" in line]


def test_a_session_records_who_answered_and_stays_with_its_entry(missy, pair):
    """The turn has the entry, the model and the host that answered; the next turn asks the first entry again."""
    a, b = pair(chat_error(503, "no"), chat_stream("from a"), chat_error(503, "no"), chat_stream("from a"))
    assert missy.inside("ask", "--session", "s", "one").text == "from b\n"
    assert missy.inside("ask", "--session", "s", "two").text == "from a\n"
    turns = missy.inside("sessions", "show", "s", "--json").json()["turns"]
    assert [(turn["entry"], turn["model"], turn["state"]) for turn in turns] == [
        ("b", "mb", "whole"),
        ("a", "m", "whole"),
    ]
    assert b.last.json()["messages"][-1]["content"] == "one"
    with library.Missy.open() as m:
        talk = m.session("s")
        answer = talk.ask("three")
        assert (answer.text(), answer.provider, answer.fallback_from) == ("from b", "b", "a")
        assert talk.retry().text() == "from a"
        assert talk.turns[-1].entry == "a"
    assert len(a.requests) == 4


def test_the_async_library_does_the_same(missy, pair):
    """AsyncMissy asks the next entry too, in and out of a session."""
    pair(chat_error(503, "no"))

    async def run():
        async with library.AsyncMissy.open() as m:
            one = m.ask("hi")
            texts = [await one.text()]
            talk = await m.session("s")
            two = talk.ask("hi")
            texts.append(await two.text())
            return texts, one.fallback_from, two.fallback_from, two.provider, (await talk.turns())[0].entry

    assert asyncio.run(run()) == (["from b", "from b"], "a", "a", "b", "b")


def test_a_schema_holds_for_whoever_answers(missy, pair):
    """The other entry is asked for the same schema; an answer that does not fit is nobody's failure of the endpoint."""
    _, b = pair(chat_error(503, "no"), other=chat_stream('{"n": 1}'))
    assert missy.inside("ask", "hi", "--schema", "n int", "--json").json()["value"] == {"n": 1}
    assert b.last.json()["response_format"]["type"] == "json_schema"
    _, b = pair(chat_stream("no json"))
    assert missy.inside("ask", "hi", "--schema", "n int", "--no-repair").code == 6
    assert b.connections == 0


def test_the_callers_deadline_is_for_all(missy, pair):
    """A deadline that has passed with the first entry leaves nobody else to ask."""
    from tests.servers import Gate

    gate = Gate()
    _, b = pair([gate])
    try:
        with library.Missy.open() as m, pytest.raises(library.TimedOut):
            m.ask("hi", deadline=0.3).text()
    finally:
        gate.open()
    assert b.connections == 0


def test_stopping_an_answer_closes_its_connection(missy, pair):
    """Closing an answer of the other entry ends its request, as anywhere."""
    from tests.servers import Gate

    gate = Gate()
    _, b = pair(chat_error(503, "no"), other=event_stream(sse(chat_chunk("half")), gate))
    with library.Missy.open() as m:
        answer = m.ask("hi")
        for event in answer:
            if isinstance(event, library.Text):
                break
        answer.close()
        gate.open()
        b.wait_ended(1)
    assert answer.so_far == "half"
