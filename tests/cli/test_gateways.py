"""Gateways and Azure: what an entry sends besides its key arrives at its endpoint, and is seen nowhere else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from missy import AsyncMissy, Missy, PolicyError
from tests.servers import chat_answer, chat_error, chat_stream, json_response

KEY, HEADER, QUERY = "azure-key-4e1f90", "hdr-canary-83aa12", "qry-canary-91bb34"
MODELS = {"object": "list", "data": [{"id": "m", "object": "model"}]}


def insisting(wants: dict[str, str], query: str = "", unwanted: tuple[str, ...] = ()):
    """Return a handler that answers only who sends these headers and this query string, and echoes what it refuses."""

    def handle(request: Any, _wire: Any) -> bytes:
        path, _, got = request.path.partition("?")
        wrong = [name for name, value in wants.items() if request.header(name) != value]
        wrong += [name for name in unwanted if request.header(name) is not None]
        names = [name.lower() for name, _ in request.headers]
        wrong += [name for name in set(names) if names.count(name) > 1]
        if wrong or got != query:
            said = f"refused: {wrong} {got} {dict(request.headers)}"
            return json_response({"error": {"message": said}}, 401)
        if path.endswith("/models"):
            return json_response(MODELS)
        return chat_stream("hello") if request.json().get("stream") else chat_answer("hello")

    return handle


SHAPES: dict[str, Any] = {
    "azure": (
        {"api_key": KEY, "api_key_header": "api-key", "query": {"api-version": "preview"}},
        {},
        insisting({"api-key": KEY}, "api-version=preview", unwanted=("authorization",)),
    ),
    "azure classic": (
        {"api_key": "$AZ", "api_key_header": "api-key", "query": {"api-version": "2024-10-21", "t": "a b&c=d"}},
        {"AZ": KEY},
        insisting({"api-key": KEY}, "api-version=2024-10-21&t=a%20b%26c%3Dd", unwanted=("authorization",)),
    ),
    "portkey": (
        {"headers": {"x-portkey-api-key": "$PK", "x-portkey-provider": "openai"}},
        {"PK": HEADER},
        insisting({"x-portkey-api-key": HEADER, "x-portkey-provider": "openai"}, unwanted=("authorization",)),
    ),
    "portkey with the key of the provider": (
        {"api_key": KEY, "headers": {"x-portkey-api-key": HEADER, "x-portkey-provider": "@mine"}},
        {},
        insisting({"x-portkey-api-key": HEADER, "authorization": f"Bearer {KEY}"}),
    ),
    "openrouter": (
        {"api_key": KEY, "headers": {"HTTP-Referer": "https://app.example.com", "X-Title": "My App"}},
        {},
        insisting(
            {"http-referer": "https://app.example.com", "x-title": "My App", "authorization": f"Bearer {KEY}"}
        ),
    ),
    "cloudflare": (
        {"headers": {"cf-aig-authorization": "Bearer $CF"}},
        {"CF": HEADER},
        insisting({"cf-aig-authorization": f"Bearer {HEADER}"}, unwanted=("authorization",)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_the_command_and_the_library_send_it(missy, serve, shape, monkeypatch):
    """ask, models and doctor reach a server that insists on it, with a connection that is used again too."""
    says, environ, handler = SHAPES[shape]
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    server = serve(handler)
    path = missy.entry(server.url, "gw", **says)
    asked = missy("ask", "hi")
    assert (asked.code, asked.text) == (0, "hello\n"), asked.err
    assert missy("models").text == "m\n"
    assert missy("doctor", "--provider", "gw").code == 0
    with Missy.open(path) as library:
        assert [library.ask("hi").text() for _ in range(2)] == ["hello", "hello"]
        assert library.models() == ["m"]
        lent = library.openai_client("gw")
        message = {"role": "user", "content": "hi"}
        answer = lent.chat.completions.create(model="m", messages=[message])
        assert answer.choices[0].message.content == "hello"
        pieces = lent.with_options(timeout=9).chat.completions.create(
            model="m", messages=[message], stream=True
        )
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == "hello"
        assert [model.id for model in lent.models.list()] == ["m"]
        assert not any(secret in repr(vars(lent)) for secret in (KEY, HEADER))
    shown = json.dumps([json.loads(line) for line in (missy.home / "audit.jsonl").read_text().splitlines()])
    for name in says.get("headers", {}):
        assert name in shown
    for name in says.get("query", {}):
        assert name in shown
    for secret in (KEY, HEADER, "app.example.com", "2024-10-21"):
        assert secret not in shown


@pytest.mark.parametrize("shape", SHAPES)
def test_an_async_client_sends_it_too(missy, serve, shape, monkeypatch):
    """The client that AsyncMissy lends: the same headers, query and key."""
    says, environ, handler = SHAPES[shape]
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    path = missy.entry(serve(handler).url, "gw", **says)

    async def run() -> None:
        async with AsyncMissy.open(path) as library:
            assert await library.ask("hi").text() == "hello"
            client = library.openai_client("gw")
            answer = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}]
            )
            assert answer.choices[0].message.content == "hello"

    asyncio.run(run())


def test_a_lent_client_takes_it_nowhere_else(missy, serve):
    """A lent client that is turned to another entry's host, or to a redirect, sends no header of this entry there."""
    server, other = serve(chat_answer("hi")), serve(chat_answer("no"), host="127.0.0.2")
    entries = {
        "gw": {"base_url": server.url, "model": "m", "headers": {"x-token": HEADER}, "query": {"sig": QUERY}},
        "other": {"base_url": other.url, "model": "m"},
    }
    path = missy.config({"providers": entries})
    with Missy.open(path) as library:
        lent = library.openai_client("gw")
        with pytest.raises(PolicyError):
            lent.with_options(base_url=other.url).models.list()
    assert other.requests == []


def test_it_is_masked_wherever_it_is_shown(missy, serve, monkeypatch):
    """Canaries in headers, query and key: in no output, no record and no error, though the server echoes them all."""
    monkeypatch.setenv("Q", QUERY)
    server, other = serve(insisting({"x-never": "sent"})), serve(chat_stream("other"))
    entries = {
        "gw": {
            "base_url": server.url, "model": "m", "api_key": KEY, "api_key_header": "api-key", "max_retries": 0,
            "headers": {"x-gateway": HEADER}, "query": {"sig": "$Q"},
        },
        "other": {"base_url": other.url, "model": "m"},
    }  # fmt: skip
    missy.config({"providers": entries})
    commands = [
        "ask hi --provider gw", "--debug ask hi --provider gw --json", "ask hi --provider gw --events", "providers",
        "ask hi --provider gw --dry-run", "ask hi --provider gw --dry-run --json", "providers --json", "config show",
        "config show --json", "doctor --provider gw", "doctor --json", "doctor --report", "net list", "audit recent",
        "audit export", "models --provider gw", "ask hi --provider other", "config set providers.gw.timeout 9",
        "config diff", "config validate --json",
    ]  # fmt: skip
    for command in commands:
        ran = missy(*command.split())
        for secret in (KEY, HEADER, QUERY):
            assert secret not in ran.text + ran.err, (command, secret)
    assert HEADER in json.dumps(server.last.headers)  # it did get there
    record = (missy.home / "audit.jsonl").read_text()
    assert all(secret not in record for secret in (KEY, HEADER, QUERY))
    seen = json.dumps([(one.path, one.headers) for one in other.requests])
    assert other.requests
    assert all(secret not in seen for secret in (KEY, HEADER, QUERY, "x-gateway", "api-key"))


def test_it_does_not_follow_a_redirect(missy, serve):
    """A redirect to another host gets no header, and the target is named."""
    target = serve(chat_stream("no"), host="127.0.0.2")
    location = f"location: {target.url}/chat/completions\r\n".encode()
    server = serve(b"HTTP/1.1 307 x\r\n" + location + b"content-length: 0\r\n\r\n")
    missy.entry(server.url, headers={"x-token": HEADER})
    ran = missy("ask", "hi")
    assert ran.code == 5
    assert "127.0.0.2" in ran.err
    assert target.requests == []


def test_dry_run_shows_the_names(missy):
    """The exact request with the names of all that is sent, each value masked, and where the key comes from."""
    missy.entry(
        "http://127.0.0.1:9/v1", api_key="$K", headers={"X-Title": "My App"}, query={"api-version": "v1"}
    )
    ran = missy("ask", "hi", "--dry-run", env={"K": KEY})
    assert ran.code == 0
    lines = ran.text.splitlines()
    assert lines[0] == "POST http://127.0.0.1:9/v1/chat/completions?api-version=***"
    assert "# credential: env:K" in lines
    assert "x-title: ***" in [line.lower() for line in lines]
    assert "authorization: Bearer ***" in lines
    got = missy("ask", "hi", "--dry-run", "--json", env={"K": KEY}).json()
    assert got["credential"] == "env:K"
    assert KEY not in ran.text


BAD = [
    ("headers: {Host: x}", "providers.gw.headers.Host", "cannot be set"),
    ("headers: {content-Length: '1'}", "headers.content-Length", "cannot be set"),
    ("headers: {Transfer-Encoding: chunked}", "headers.Transfer-Encoding", "cannot be set"),
    ("headers: {Connection: close}", "headers.Connection", "cannot be set"),
    ("headers: {TE: trailers}", "headers.TE", "cannot be set"),
    ("headers: {Upgrade: h2c}", "headers.Upgrade", "cannot be set"),
    ("headers: {Expect: 100-continue}", "headers.Expect", "cannot be set"),
    ("headers: {Proxy-Authorization: abc}", "headers.Proxy-Authorization", "cannot be set"),
    ("headers: {authorization: Bearer abc}", "headers.authorization", "api_key"),
    ("headers: {Accept-Encoding: gzip}", "headers.Accept-Encoding", "cannot be set"),
    ("headers: {Content-Type: text/plain}", "headers.Content-Type", "cannot be set"),
    ("headers: {'a b': x}", "providers.gw.headers", "an invalid header name"),
    ("headers: {'a:b': x}", "providers.gw.headers", "an invalid header name"),
    ("headers: {'é': x}", "providers.gw.headers", "an invalid header name"),
    ('headers: {x: "hdr-canary-83aa12\\r\\nHost: evil"}', "headers.x", "line end"),
    ("headers: {x: hdr-canary-83aa12é}", "headers.x", "non-ASCII"),
    ("headers: {x: 5}", "headers.x", "a number"),
    ("headers: {x: null}", "headers.x", "null"),
    ("headers: {x: [a]}", "headers.x", "a list"),
    ("headers: {x: ''}", "headers.x", "an empty text"),
    ("headers: {x: $}", "headers.x", "a $ that is not followed"),
    ("headers: {x: 'Bearer ${A}'}", "headers.x", "a $ that is not followed"),
    ("headers: {x: vault://}", "headers.x", "a reference without a name"),
    ("headers: {x-a: b, X-A: c}", "providers.gw.headers", "twice"),
    ("headers: [a]", "providers.gw.headers", "a list"),
    ("query: {'a b': c}", "providers.gw.query", "an invalid parameter name"),
    ('query: {a: "b\\nc"}', "query.a", "line end"),
    ("query: text", "providers.gw.query", "a text"),
    ("api_key_header: 'a b'", "api_key_header", "an invalid header name"),
    ("api_key_header: Host", "api_key_header", "cannot be set"),
    ("api_key_header: x-key, headers: {X-Key: hdr-canary-83aa12}", "headers.X-Key", "api_key_header"),
    ("base_url: 'http://127.0.0.1/v1?sig=hdr-canary-83aa12'", "base_url", "query"),
    ("sk-proj-abcdefgh12345678: x", "providers.gw.***", "unknown key"),
]  # fmt: skip


@pytest.mark.parametrize(("says", "place", "what"), BAD)
def test_what_cannot_be_sent_is_an_error_with_its_line(missy, says, place, what):
    """Host, framing, a second Authorization and impossible names or values: refused with file, line and key, unseen."""
    missy.config(f"providers:\n  gw: {{base_url: 'http://127.0.0.1:9/v1', {says}}}\n" if "base_url" not in says
                 else f"providers:\n  gw: {{{says}}}\n")  # fmt: skip
    ran = missy.inside("config", "validate")
    assert ran.code == 2
    assert "config.yaml:2: " in ran.err
    assert place in ran.err
    assert what in ran.err
    for secret in (HEADER, "sk-proj"):
        assert secret not in ran.err + ran.text


def test_a_reference_that_leads_nowhere_stops_the_call(missy, serve):
    """A header's variable that is not set: exit 4, said by providers too, and nothing is sent."""
    server = serve(chat_stream("hi"))
    missy.entry(server.url, headers={"x-token": "$NOT_SET"})
    ran = missy("ask", "hi")
    assert (ran.code, server.requests) == (4, [])
    assert "headers.x-token" in ran.err
    assert "NOT_SET" in missy("providers").text


def test_whoever_says_it_a_key_is_not_shown(missy, serve):
    """A gateway that echoes the key of another service: masked in the error, the record and --debug, not in answers."""
    echo = json_response({"error": {"message": "Incorrect API key provided: sk-proj-upstream12345"}}, 401)
    server = serve(echo, echo, echo, chat_stream("your key is sk-proj-upstream12345"))
    missy.entry(server.url)
    for command in ("ask hi", "ask hi --json", "--debug ask hi"):
        ran = missy(*command.split())
        assert ran.code == 4
        assert "upstream" not in ran.text + ran.err
        assert "***" in ran.text + ran.err
    assert missy("ask", "hi").text == "your key is sk-proj-upstream12345\n"
    assert "upstream" not in (missy.home / "audit.jsonl").read_text()


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ({"x-gateway-key": HEADER}, "the endpoint refused the key"),
        ({"x-title": "My App"}, "this endpoint requires a key"),
        ({}, "this endpoint requires a key"),
    ],
)
def test_a_key_in_a_header_that_is_refused_is_told_as_refused(missy, serve, headers, hint):
    """Exit 4; nobody who gave a key in a header is told to give one."""
    missy.entry(serve(chat_error(401, "who are you?")).url, headers=headers)
    ran = missy.inside("ask", "hi")
    assert ran.code == 4
    assert hint in ran.err


def test_only_openai_entries_take_them(missy):
    """Another kind has headers of its own."""
    missy.config("providers: {local: {headers: {x-a: b}}}\n")
    assert "kind local takes none" in missy("config", "validate").err


def test_a_key_in_a_path_is_not_on_record(missy, serve):
    """A base URL whose path holds a key: it is requested unchanged, and the record masks the key."""
    server = serve(chat_stream("hi"))
    missy.entry(server.url.replace("/v1", "/sk-proj-inpath12345/v1"))
    assert missy("ask", "hi").code == 0
    assert "/sk-proj-inpath12345/v1/" in server.last.path
    assert "inpath" not in (missy.home / "audit.jsonl").read_text()
    assert "inpath" not in missy("providers").text + missy("audit", "recent").text
    assert "inpath" not in missy("ask", "hi", "--dry-run").text
