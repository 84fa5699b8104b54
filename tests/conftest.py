"""What every test stands on: the guard, a home of its own, the command, and servers that are closed afterwards."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import ssl
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

GUARD = Path(__file__).parent / "guard"
sys.path.insert(0, str(GUARD))
sys.modules.pop("sitecustomize", None)
import sitecustomize  # type: ignore[import-not-found]  # noqa: E402, F401  the guard: from here on this process reaches loopback alone

sys.path.remove(str(GUARD))

from missy import masking  # noqa: E402
from tests.callback_ports import taking_turns  # noqa: E402
from tests.command import Command  # noqa: E402
from tests.servers import Origin, Proxy  # noqa: E402

# Who started this process may have ignored signals for it: nohup, cron and `&` of a script do. Programs that the tests
# start would inherit that, and none of them could be interrupted. What a program does for whom it was ignored is asked
# where a test wants to know it.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

with contextlib.suppress(ModuleNotFoundError):  # the environment of tests/frameworks has no hypothesis
    from hypothesis import HealthCheck, settings

    # A loaded machine is slow, not wrong.
    settings.register_profile("missy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("missy")

_CLEANED = ("OPENAI_", "MISSY_", "SSL_CERT_")
_NAMED = {
    "BROWSER",
    "CI",
    "EDITOR",
    "VISUAL",
    "NO_COLOR",
    "FORCE_COLOR",
    "SSLKEYLOGFILE",
    "NETRC",
    "REQUESTS_CA_BUNDLE",
    "COLUMNS",
    "TERM",
    "PYTHONSTARTUP",
}


def _touches(name: str) -> bool:
    """Tell whether a variable could change what Missy does."""
    upper = name.upper()
    return upper.startswith(_CLEANED) or upper.endswith(("_API_KEY", "_PROXY")) or upper in _NAMED


def _without_finalizers() -> Generator[Any, Any, Any]:
    """Let pytest read sources while no finalizer can run.

    A finalizer that is told of by a warning is reported by parsing source, and CPython 3.11 fails with "AST constructor
    recursion depth mismatch" when one parse happens inside another.
    """
    gc.collect()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[Any, Any, Any]:
    """Report a failure in peace."""
    if call.excinfo is None:
        return (yield)
    return (yield from _without_finalizers())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary() -> Generator[Any, Any, Any]:
    """Sum up in peace: hypothesis is imported, and rewritten, for it."""
    return (yield from _without_finalizers())


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees a key, a proxy or a setting of the person who runs it."""
    for name in list(os.environ):
        if _touches(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(GUARD))


@pytest.fixture(autouse=True)
def parse_in_peace(request: pytest.FixtureRequest) -> Iterator[None]:
    """A module that parses sources does so while no finalizer can run: see `_without_finalizers`."""
    parses = hasattr(request.module, "ast")
    if parses:
        gc.collect()
        gc.disable()
    yield
    if parses:
        gc.enable()


@pytest.fixture(autouse=True)
def forget_secrets() -> Iterator[None]:
    """A process of its own would know only its own secrets; tests that share one must not mask each other's words."""
    yield
    masking._held.clear()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A MISSY_HOME that does not exist yet, under a HOME of its own."""
    person = tmp_path / "person"
    person.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(person))
    monkeypatch.setenv("MISSY_HOME", str(person / "missy"))
    return person / "missy"


@pytest.fixture
def at_level(home: Path) -> Callable[[str], None]:
    """Have the sandbox's level noted as a lower one, as a machine that gives no better one notes it."""
    from missy.sandbox import probe

    def choose(level: str) -> None:
        probe.walls()
        file = home / "tools" / "sandbox.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "level": level}))

    return choose


@pytest.fixture
def missy(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """The command; afterwards nothing may have tried to leave loopback."""
    command = Command(home, tmp_path / "trace")
    monkeypatch.setenv("MISSY_TEST_TRACE", str(command.trace))
    yield command
    assert [line for line in command.attempts() if line.startswith("FORBIDDEN")] == []


@pytest.fixture
def config(missy: Command) -> Callable[..., Path]:
    """Write config.yaml into a home: `config(home, text)`."""

    def write(home: Path, value: str | dict[str, Any]) -> Path:
        return Command(home, missy.trace).config(value)

    return write


@pytest.fixture
def serve() -> Iterator[Callable[..., Origin]]:
    """Start an Origin: `serve(reply, ..., tls=context)`."""
    origins: list[Origin] = []

    def start(*script: Any, **options: Any) -> Origin:
        origins.append(Origin(*script, **options))
        return origins[-1]

    yield start
    for origin in origins:
        origin.close()


@pytest.fixture
def tunnel() -> Iterator[Callable[..., Proxy]]:
    """Start a CONNECT proxy: `tunnel({"api.openai.com:443": origin.port})`."""
    proxies: list[Proxy] = []

    def start(routes: dict[str, int], **options: Any) -> Proxy:
        proxies.append(Proxy(routes, **options))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()


@pytest.fixture(scope="session")
def authority() -> Any:
    """A test CA (trustme): `authority.issue_cert(name, ...)`."""
    import trustme

    return trustme.CA()


@pytest.fixture(scope="session")
def ca_bundle(authority: Any) -> Iterator[Path]:
    """The test CA's certificate, as `network.ca_bundle` takes it; everybody may read it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "ca.pem"
        path.write_bytes(authority.cert_pem.bytes())
        path.chmod(0o644)
        yield path


@pytest.fixture(scope="session")
def certify(authority: Any) -> Callable[..., ssl.SSLContext]:
    """Make a server's TLS context for any names: `serve(..., tls=certify("api.openai.com"))`."""

    def make(*names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        return context

    return make


@pytest.fixture
def callback_ports() -> Iterator[None]:
    """The two callback ports of a sign-in are the machine's only ones: tests of several runs take turns."""
    with taking_turns():
        yield
