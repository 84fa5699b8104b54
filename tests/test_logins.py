"""Logins as a user of the library has them: sign in, look, replace, log out, sync and async, with a prompter of their own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator

import pytest

from missy import AsyncMissy, CredentialError, Missy, UsageError
from tests.command import Command
from tests.simulator import Account, Simulator
from tests.simulator.browser import visit
from tests.simulator.siwc import SiwcSimulator
from tests.simulator.siwc_issuer import PLAN_SCOPE

ADA = Account()
BOB = Account("5d2c2a6e-0000-4000-8000-000000000002", "bob@example.com", "team")


class Window:
    """The prompter of some program with a window: it opens the address itself, and answers questions as it was told."""

    def __init__(self, answer: str = "") -> None:
        self.answer = answer
        self.addresses: list[str] = []
        self.notices: list[str] = []
        self.stopped = 0
        self._on_line: Callable[[str | None], None] = print

    def show_address(self, url: str, *, shortcut: str = "") -> None:
        self.addresses.append(url)
        threading.Thread(target=visit, args=(url,), daemon=True).start()

    def show_code(self, page: str, code: str, minutes: int) -> None:
        self.addresses.append(page)
        self.notices.append(f"{code} {minutes}")

    def notice(self, text: str) -> None:
        self.notices.append(text)
        if text.endswith("[y/N]"):
            self._on_line(self.answer)

    def listen(self, on_line: Callable[[str | None], None]) -> Callable[[], None]:
        self._on_line = on_line

        def stop() -> None:
            self.stopped += 1

        return stop


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as one:
        yield one


@pytest.fixture
def subscriber(missy: Command, simulator: Simulator, callback_ports: None) -> Command:
    missy.config(simulator.config())
    return missy


def stored(subscriber: Command) -> dict | None:
    path = subscriber.home / "secrets" / "openai-oauth.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_a_program_signs_in_asks_and_logs_out(subscriber, simulator, capfd):
    """A library user signs in with a window of their own, sees whose login it is, asks, and logs out; nothing is printed."""
    window = Window()
    with Missy.open() as m:
        assert m.login_status().state == "none"
        found = m.log_in(prompter=window)
        assert (found.logged_in, found.email, found.state) == (True, ADA.email, "valid")
        assert m.login_status() == found
        assert m.ask("hi").text()
        assert m.models()
        assert m.log_out() is True
        assert m.log_out() is False
        assert m.login_status().logged_in is False
    assert stored(subscriber) is None
    assert len(window.addresses) == window.stopped == 1
    assert capfd.readouterr() == ("", "")


def test_the_same_for_async_code(subscriber, simulator):
    """`AsyncMissy` has the same logins, models and preview; the event loop runs on while the person signs in."""

    async def talk() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        async with AsyncMissy.open() as m:
            ticking = asyncio.create_task(tick())
            found = await m.log_in(prompter=Window())
            ticking.cancel()
            assert ticks > 1
            assert found.email == ADA.email
            assert m.login_status() == found
            assert await m.models()
            preview = await m.preview("hi", model="gpt-x")
            assert json.loads(preview.body)["model"] == "gpt-x"
            assert ADA.id not in json.dumps(preview.headers["authorization"])
            assert await m.ask("hi").text()
            assert await m.log_out() is True

    asyncio.run(talk())
    assert stored(subscriber) is None


@pytest.mark.parametrize(("answer", "kept"), [("n", ADA), ("", ADA), ("y", BOB)])
def test_another_account_is_asked_about(subscriber, simulator, answer, kept):
    """A second account replaces the first only with a yes; refusing keeps the first login and raises CredentialError."""
    with Missy.open() as m:
        m.log_in(prompter=Window())
        simulator.issuer.account = BOB
        window = Window(answer)
        if kept is ADA:
            with pytest.raises(CredentialError, match="was kept"):
                m.log_in(prompter=window)
        else:
            m.log_in(prompter=window)
        assert any(BOB.email in text and ADA.email in text for text in window.notices)
        assert m.login_status().account_id == kept.id
        m.log_in(prompter=Window(), replace=True)
        assert m.login_status().account_id == BOB.id


def test_an_entry_without_a_login_says_so(missy):
    """Asking for the login of an entry that has a key is wrong use, with the kind named."""
    missy.config({"providers": {"openai": {"model": "gpt-4o"}}})
    with Missy.open() as m, pytest.raises(UsageError, match="of kind openai"):
        m.login_status("openai")


class SiwcWindow(Window):
    """The same for Sign in with ChatGPT: it opens the shortcut where there is one, as a program on this machine would."""

    def __init__(self, simulator: SiwcSimulator) -> None:
        super().__init__()
        self.simulator = simulator
        self.shortcuts: list[str] = []

    def show_address(self, url: str, *, shortcut: str = "") -> None:
        self.addresses.append(url)
        self.shortcuts.append(shortcut)
        threading.Thread(target=self.simulator.visit, args=(shortcut or url,), daemon=True).start()


def test_a_program_signs_in_with_chatgpt(missy, tmp_path, capfd):
    """First without the plan, then with it, by the shortcut that names the account; another account beside it; log out."""
    with SiwcSimulator(tmp_path) as simulator:
        missy.config({"providers": {"chatgpt": {}}, "network": simulator.network})
        simulator.issuer.declines = frozenset({PLAN_SCOPE})
        window = SiwcWindow(simulator)
        with Missy.open() as m:
            found = m.log_in(prompter=window)
            assert (found.logged_in, found.plan_enabled, found.email) == (True, False, "ada@example.com")
            with pytest.raises(CredentialError, match="may not use"):
                m.ask("hi").text()
            simulator.issuer.declines = frozenset()
            assert m.log_in(prompter=window, enable_plan=True).plan_enabled is True
            assert m.ask("hi").text()
            assert len(m.log_in(prompter=window, new=True).accounts) == 2
            assert m.log_out() is True
            assert m.log_out() is False
        assert [bool(shortcut) for shortcut in window.shortcuts] == [False, True, False]
        assert "id_token_hint" not in "".join(window.addresses + window.shortcuts)
        assert "id_token_hint" in simulator.issuer.hints[1]
        assert capfd.readouterr() == ("", "")
