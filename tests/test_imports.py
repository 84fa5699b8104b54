"""What each command loads and touches: counts of modules, files and sockets, which no busy machine can make flaky."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import missy as package
from tests.command import SAFETY, Command

HEAVY = {
    "openai",
    "pydantic",
    "httpx2",
    "httpcore2",
    "rich",
    "markdown_it",
    "prompt_toolkit",
    "cryptography",
    "jsonschema_rs",
    "asyncio",
}
# Somewhat above what Python 3.11 needs today; 3.13 loads two or three more of its own.
MOST_FOR_HELP, MOST_FOR_LISTING = 8, 157  # modules
LISTINGS = [
    ("providers",),
    ("providers", "--json"),
    ("config", "show"),
    ("net", "explain", "https://api.groq.com/"),
    ("net", "explain", "https://api.groq.com/", "--json"),
    ("net", "list"),
    ("audit", "recent"),
    ("presets",),
    ("auth", "status"),
]
# Writes each import, file and socket of the command to a file at once, so that no way of ending loses a line.
_WATCH = """
import os, sys
report = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
def note(event, args):
    if event in ("import", "open") or event.startswith("socket."):
        os.write(report, f"{event} {os.fsdecode(args[0]) if isinstance(args[0], bytes) else args[0]}\\n".encode())
sys.addaudithook(note)
sys.argv[:2] = ["missy"]
from missy.cli import main
main()
"""

_IMPORT = """
import sys
before, finders = set(sys.modules), (list(sys.meta_path), list(sys.path_hooks))
import missy
assert (list(sys.meta_path), list(sys.path_hooks)) == finders
print(*sorted(set(sys.modules) - before))
"""


class Trace:
    """What one run did, from the first import of Missy's own on."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        pairs = [line.partition(" ")[::2] for line in text.splitlines()]
        self.modules = {what for event, what in pairs if event == "import"}
        self.packages = {name.partition(".")[0] for name in self.modules}
        self.files = [what for event, what in pairs if event == "open"]
        self.sockets = [event for event, _ in pairs if event.startswith("socket.")]


def watch(command: Command, *args: str) -> Trace:
    """Run a command without the tests' own guard, which imports modules too: here the watcher sees every socket."""
    report = command.trace.with_name("report")
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", _WATCH, str(report), *args],
        env=command.env(PYTHONPATH=None),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=command.home.parent,
        timeout=SAFETY,
        check=False,
    )
    return Trace(done.returncode, report.read_text())


def dead_endpoint() -> str:
    """Return the URL of a port of this machine on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


@pytest.mark.parametrize("args", LISTINGS, ids=" ".join)
def test_a_listing_loads_nothing_heavy_and_opens_no_socket(missy: Command, args):
    """A command that only shows what is there loads neither an HTTP stack nor the SDK nor a renderer, and uses no network."""
    missy.entry("https://api.groq.com/openai/v1", api_key="k")
    (missy.home / "audit.jsonl").touch(mode=0o600)
    trace = watch(missy, *args)
    assert trace.code == 0
    assert trace.packages & HEAVY == set()
    assert trace.sockets == []


@pytest.mark.parametrize("args", [("--version",), ("--help",), ("-h",)])
def test_the_first_page_loads_next_to_nothing(missy: Command, args):
    """`missy --version` and `missy --help` import a handful of modules, not even the parser of the command line."""
    trace = watch(missy, *args)
    assert trace.code == 0
    assert trace.packages & (HEAVY | {"click", "yaml", "json", "ssl", "socket"}) == set()
    assert len(trace.modules) <= MOST_FOR_HELP, sorted(trace.modules)


@pytest.mark.parametrize("args", [("--version",), ("--help",), ("ask", "--help")])
def test_help_touches_nothing_of_the_users(missy: Command, args):
    """Help opens no socket and no file but Python's own and the program's; MISSY_HOME isn't even made."""
    trace = watch(missy, *args)
    own = [sys.prefix, sys.base_prefix, Path(package.__file__).parent, missy.home]
    roots = tuple(os.path.realpath(root) + os.sep for root in own)
    assert trace.code == 0
    assert [name for name in trace.files if not os.path.realpath(name).startswith(roots)] == []
    assert trace.sockets == []
    assert not missy.home.exists()


@pytest.mark.parametrize("args", [("setup", "--help"), ("setup",)])
def test_the_help_of_setup_loads_nothing_that_only_a_plan_needs(missy: Command, args):
    """`missy setup --help` loads neither YAML nor the policy nor the kinds; without a terminal, not the plan either."""
    trace = watch(missy, *args)
    needless = (
        {"missy.setup.plan"}
        if args == ("setup",)
        else {"yaml", "missy.policy", "missy.kinds", "missy.setup.plan"}
    )
    assert trace.modules & needless == set()


def test_a_listing_loads_a_bounded_number_of_modules(missy: Command):
    """`missy providers` stays small: who adds an import to its way sees it here."""
    missy.entry("https://api.groq.com/openai/v1", api_key="k")
    trace = watch(missy, "providers")
    assert trace.code == 0
    assert len(trace.modules) <= MOST_FOR_LISTING, sorted(trace.modules)


def test_ask_loads_no_sdk_no_http_client_and_no_renderer(missy: Command):
    """`missy ask` into a pipe loads what sends and reads: the SDK only for the first call to an endpoint."""
    missy.entry(dead_endpoint())
    (missy.home / "request-heads.json").unlink(missing_ok=True)
    first, second = watch(missy, "ask", "hi"), watch(missy, "ask", "hi")
    assert first.code == second.code == 5
    assert "openai._models" in first.modules
    rooms = ("missy.toolbox", "missy.sandbox", "missy.approval")
    assert [name for name in first.modules | second.modules if name.startswith(rooms)] == []
    assert second.packages & (HEAVY | {"h11", "anyio", "ssl"}) == set()
    assert (
        second.packages & {"openai", "pydantic", "httpx2", "sqlite3", "asyncio", "keyring", "xllamacpp"}
        == set()
    )


def test_importing_the_library_costs_nothing(missy: Command):
    """`import missy` loads none of its rooms, and never changes how its host imports anything."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT],
        env=missy.env(PYTHONPATH=None),
        capture_output=True,
        text=True,
        check=True,
        timeout=SAFETY,
    )
    loaded = done.stdout.split()
    assert [name for name in loaded if name.startswith("missy")] == ["missy"]
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
