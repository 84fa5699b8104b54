"""`roles:` in the configuration, `ask --role`, and `role=` in the library."""

from __future__ import annotations

import pytest

import missy as library
from tests.servers import chat_stream

SYSTEM = "Answer in one line.\nNever run $HOME, `id` or {{ this }}."


@pytest.fixture
def origins(missy, serve):
    """Two entries, and roles for both."""
    a, b = serve(chat_stream("from a")), serve(chat_stream("from b"))
    entries = {
        name: {"name": "openai", "model": f"m-{name}", "base_url": one.url}
        for name, one in (("a", a), ("b", b))
    }
    missy.config(
        {
            "providers": entries,
            "roles": {
                "terse": {"system": SYSTEM},
                "poet": {"system": "Rhyme.", "provider": "b", "model": "verse", "temperature": 1.5},
                "empty": None,
            },
        }
    )
    return a, b


def test_a_role_gives_its_instructions_as_they_stand(missy, origins):
    """The text of a role is the system message, byte for byte: nothing in it is run or expanded."""
    assert missy.inside("ask", "--role", "terse", "hi").text == "from a\n"
    body = origins[0].last.json()
    assert body["messages"][0] == {"role": "system", "content": SYSTEM}
    assert "temperature" not in body


def test_a_role_gives_entry_model_and_temperature_unless_they_are_given(missy, origins):
    """What is given beside a role counts; the role's model does not go to another entry than its own."""
    a, b = origins
    assert missy.inside("ask", "--role", "poet", "hi").text == "from b\n"
    assert (b.last.json()["model"], b.last.json()["temperature"]) == ("verse", 1.5)
    missy.inside("ask", "--role", "poet", "--model", "prose", "--temperature", "0", "hi")
    assert (b.last.json()["model"], b.last.json()["temperature"]) == ("prose", 0)
    assert missy.inside("ask", "--role", "poet", "--provider", "a", "hi").text == "from a\n"
    assert (a.last.json()["model"], a.last.json()["temperature"]) == ("m-a", 1.5)
    assert missy.inside("ask", "--role", "empty", "hi").text == "from a\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--role", "tersee"], ["did you mean terse?", "terse, poet, empty"]),
        (["--role", "zzz"], ["terse, poet, empty"]),
        (["--role", "terse", "--system", "x"], ["choose one"]),
    ],
)
def test_a_role_that_cannot_be_used_is_wrong_use(missy, origins, options, words):
    """An unknown role names the nearest and all; `--system` beside a role is refused. Exit 2, nothing is sent."""
    ran = missy.inside("ask", *options, "hi")
    assert (ran.code, ran.text) == (2, "")
    assert all(word in ran.err for word in words)
    assert origins[0].connections == origins[1].connections == 0
    missy.entry(origins[0].url)
    assert "roles: {NAME" in missy.inside("ask", *options, "hi").err


def test_a_role_stays_with_its_session(missy, origins):
    """Who a session's first turn asked with a role is asked in the next one, with the same instructions."""
    missy.inside("ask", "--session", "s", "--role", "poet", "hi")
    assert missy.inside("ask", "--session", "s", "more").text == "from b\n"
    body = origins[1].last.json()
    assert body["messages"][0] == {"role": "system", "content": "Rhyme."}
    assert body["model"] == "verse"


def test_the_library_takes_a_role(missy, origins):
    """`role=` does the same in the library, sync and async, in sessions and previews."""
    import asyncio

    with library.Missy.open() as m:
        assert m.ask("hi", role="poet").text() == "from b"
        assert m.session().ask("hi", role="poet").text() == "from b"
        assert b'"verse"' in m.preview("hi", role="poet").body
        for wrong in ({"role": "nobody"}, {"role": "poet", "system": "x"}, {"role": 3}):
            with pytest.raises(library.UsageError):
                m.ask("hi", **wrong)

    async def same() -> str:
        async with library.AsyncMissy.open() as m:
            return await m.ask("hi", role="poet").text()

    assert asyncio.run(same()) == "from b"


@pytest.mark.parametrize(
    ("role", "word"),
    [
        ({"system": ""}, "empty"),
        ({"system": ["x"]}, "list"),
        ({"system": "a\u0007"}, "control"),
        ({"sytem": "x"}, "did you mean system"),
        ({"provider": "nobody"}, "names no entry"),
        ({"temperature": 3}, "0 to 2"),
        ("x", "mapping"),
    ],
)
def test_a_wrong_role_is_an_error_of_the_file(missy, origins, role, word):
    """A role is checked as strictly as an entry: file, line and key are named."""
    missy.config({"providers": {"a": {"name": "openai"}}, "roles": {"r": role}})
    ran = missy.inside("config", "validate")
    assert ran.code == 2
    assert word in ran.err
    assert "roles.r" in ran.err
    missy.config({"roles": {"a b": {"system": "x"}}})
    assert missy.inside("config", "validate").code == 2


def test_a_role_is_set_by_its_dotted_key(missy, origins):
    """`config set roles.NAME.KEY` writes and checks one key of a role; a misspelt one names the nearest."""
    assert missy.inside("config", "set", "roles.new.one.system", "Say no more.").code == 0
    assert missy.inside("config", "set", "roles.new.one.provider", "b").code == 0
    assert missy.inside("ask", "--role", "new.one", "hi").text == "from b\n"
    assert origins[1].last.json()["messages"][0]["content"] == "Say no more."
    ran = missy.inside("config", "set", "roles.new.one.sytem", "x")
    assert ran.code == 2
    assert "did you mean roles.new.one.system?" in ran.err
    assert missy.inside("config", "set", "roles.new.one.provider", "nobody").code == 2
    assert missy.inside("config", "unset", 'roles."new.one"').code == 0
    assert missy.inside("ask", "--role", "new.one", "hi").code == 2
