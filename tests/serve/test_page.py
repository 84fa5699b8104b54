"""The page: who sees it, what it shows, and that it needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.command import Command
from tests.serve.browser import Browser
from tests.serve.conftest import ENTRY_KEY, Gateway
from tests.servers import Origin

Start = Callable[..., tuple[Gateway, Origin]]
MakeKey = Callable[..., str]
PICTURES = Path(tempfile.gettempdir()) / f"missy-pictures-{os.getuid()}"  # kept after the run, to look at
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def sign_in(gateway: Gateway, key: str, *headers: tuple[str, str]) -> tuple[int, str, bytes]:
    """Send the form."""
    body = urlencode({"key": key}).encode()
    form = ("Content-Type", "application/x-www-form-urlencoded")
    return gateway.request("POST", "/login", None, body, form, *headers)


def cookie_of(head: str) -> str:
    """Return the cookie that a reply sets."""
    found = re.search(r"set-cookie: (missy_session=[^;]+)", head, re.IGNORECASE)
    assert found
    return found[1]


def opened(gateway: Gateway, key: str) -> tuple[str, str]:
    """Sign in, and return the cookie and the page."""
    status, head, _ = sign_in(gateway, key)
    assert status == 303
    cookie = cookie_of(head)
    status, head, body = gateway.request("GET", "/", None, b"", ("Cookie", cookie))
    assert status == 200
    return cookie, body.decode()


def test_only_an_admin_signs_in(start: Start, make_key: MakeKey, missy: Command):
    """Without a session there is the form alone; a user's key, a wrong and a revoked one do not open the page."""
    gateway, _ = start()
    user, admin = make_key("alice"), make_key("boss", "--admin")
    gateway.ask(user)
    status, head, body = gateway.request("GET", "/")
    assert status == 200
    assert b"password" in body
    assert b"alice" not in body
    for key in (user, "x", "mk-" + "A" * 43):
        assert sign_in(gateway, key)[0] == 401
    status, head, _ = sign_in(gateway, admin)
    assert status == 303
    assert "httponly" in head.lower()
    assert "samesite=strict" in head.lower()
    cookie = cookie_of(head)
    assert b"Sign out" in gateway.request("GET", "/", None, b"", ("Cookie", cookie))[2]
    assert b"password" in gateway.request("GET", "/", None, b"", ("Cookie", cookie[:-1] + "_"))[2]
    missy("keys", "revoke", "boss")
    assert b"Sign out" not in gateway.request("GET", "/", None, b"", ("Cookie", cookie))[2]


def test_signing_out_ends_the_session(start: Start, make_key: MakeKey):
    """After signing out the cookie opens nothing."""
    gateway, _ = start()
    cookie, _ = opened(gateway, make_key("boss", "--admin"))
    assert gateway.request("POST", "/logout", None, b"", ("Cookie", cookie))[0] == 303
    assert b"Sign out" not in gateway.request("GET", "/", None, b"", ("Cookie", cookie))[2]


def test_forms_of_other_origins_are_refused(start: Start, make_key: MakeKey):
    """The form is taken from the page itself, and from no other origin."""
    gateway, _ = start()
    key = make_key("boss", "--admin")
    assert sign_in(gateway, key, ("Origin", f"http://127.0.0.1:{gateway.port}"))[0] == 303
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{gateway.port + 1}"):
        assert sign_in(gateway, key, ("Origin", origin))[0] == 403


class _Page(HTMLParser):
    """Reads what tests look at: cells of tables, links, and what must not be there."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.styles = 0
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        self.links += [str(given[name]) for name in ("href", "src", "action") if name in given]
        self.styles += "style" in given
        if tag == "tr":
            self.rows.append([])
        self._in_cell = tag in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1].append(data)
            self._in_cell = False


def test_the_page_agrees_with_the_usage(start: Start, make_key: MakeKey):
    """The tables and plots have the figures of `serve usage`, which are those of the endpoint's answers."""
    gateway, origin = start(entry={"price": {"input": 1, "output": 2}})
    user, admin = make_key("user", "--budget", "5/day"), make_key("boss", "--admin")
    for _ in range(3):
        assert gateway.ask(user)[0] == 200
    gateway.ask(user, stream=True)
    gateway.ask(user, model="nothing")
    _wait_for_refusals(gateway)
    _, text = opened(gateway, admin)
    page, row = _Page(text), gateway.usage()["user"]
    assert (row["requests"], row["refused"], len(origin.requests)) == (4, 1, 4)
    found = next(cells for cells in page.rows if cells[0] == "user")
    assert found[:7] == ["user", "4", "1", "0", "0", str(4 * 7), str(4 * 5)]
    assert (row["input_tokens"], row["output_tokens"]) == (4 * 7, 4 * 5)
    assert "4 and 1 refused" in text
    assert "svg" in page.tags
    metrics = gateway.request("GET", "/metrics", admin)[2].decode()
    assert f'missy_tokens_total{{key="user",model="test/m",direction="input"}} {4 * 7}' in metrics


def _wait_for_refusals(gateway: Gateway) -> None:
    for _ in range(100):
        if gateway.usage()["user"]["refused"]:
            return
    raise AssertionError("the refusal was not recorded")


def test_the_page_needs_nothing_from_elsewhere(start: Start, make_key: MakeKey):
    """There is no script, no inline style and no link to another host; the policy forbids them; no secret is in it."""
    gateway, _ = start()
    user, admin = make_key("user"), make_key("boss", "--admin")
    gateway.ask(user)
    _, text = opened(gateway, admin)
    page = _Page(text)
    assert page.tags & {"script", "iframe", "img", "style", "object"} == set()
    assert page.styles == 0
    assert set(page.links) == {"/style.css", "/logout", "data:,"}
    head = gateway.request("GET", "/")[1].lower()
    assert "default-src 'none'" in head
    assert "frame-ancestors 'none'" in head
    for secret in (user, admin, ENTRY_KEY):
        assert secret not in text
    assert gateway.request("GET", "/style.css")[0] == 200


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_have_the_contrast_of_wcag_aa(start: Start):
    """Each colour of text and plots has a contrast of 4.5 to the background, in light and in dark."""
    gateway, _ = start()
    css = gateway.request("GET", "/style.css")[2].decode()
    themes = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", theme))
        back = _luminance(colours["back"])
        for name in ("text", "soft", "blue", "red"):
            one = _luminance(colours[name])
            assert (max(one, back) + 0.05) / (min(one, back) + 0.05) >= 4.5, name


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_the_page_in_a_browser(start: Start, make_key: MakeKey, tmp_path: Path):
    """A real Chromium signs in and draws each state at two widths: nothing on its console, no other host, no sideways scroll."""
    gateway, _ = start(entry={"price": {"input": 1, "output": 2}})
    user, admin = make_key("user", "--budget", "5/day"), make_key("boss", "--admin")
    gateway.ask(user)
    gateway.ask(user, model="nothing")
    PICTURES.mkdir(exist_ok=True)
    url = f"http://127.0.0.1:{gateway.port}/"
    with Browser(str(CHROMIUM), tmp_path / "profile") as browser:
        for width in (320, 1280):
            for scheme in ("light", "dark"):
                browser.resize(width, scheme)
                browser.open(url)
                browser.picture(PICTURES / f"sign-in-{width}-{scheme}.png")
                browser.evaluate("document.getElementById('key').value = 'wrong'")
                browser.submit("form")
                assert "no admin key" in browser.text()
                browser.picture(PICTURES / f"refused-{width}-{scheme}.png")
                browser.evaluate(f"document.getElementById('key').value = '{admin}'")
                browser.submit("form")
                assert "Requests by key" in browser.text()
                assert browser.evaluate("document.documentElement.scrollWidth") <= width
                assert browser.evaluate("document.styleSheets.length") == 1
                assert browser.evaluate("document.cookie") == ""
                browser.picture(PICTURES / f"overview-{width}-{scheme}.png")
                browser.submit("header form")
                assert "Admin key" in browser.text()
        assert browser.console == []
        assert {re.match(r"\w+://[^/]*/|data:", one)[0] for one in browser.requested} <= {url, "data:"}
