"""What a boxed program can do: the attacks at each level, its limits, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

import missy
from missy.sandbox import filter as filters
from missy.sandbox import parent, probe
from missy.sandbox.plan import Limits, outermost, search_path
from tests.sandbox import attacks, boxing

# What is open at the floor: Landlock does not know these, and a filter cannot tell inside from outside. No content among it.
METADATA = {
    "stat outside",
    "chmod outside",
    "utime outside",
    "parent's cmdline",
    "parent's fds",
    "setxattr outside",
}
SYSTEM_PYTHON = "/usr/bin/python3"
NOBODY = 65534
FOUND = probe.try_levels()
LEVELS = ("full", "floor")[("full", "floor", None).index(FOUND.level) :] if FOUND.level else ()
levels = pytest.mark.parametrize("level", LEVELS)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A workspace."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_there_are_as_many_attacks_as_were_promised():
    """42 ways out at least are tried."""
    places = dict.fromkeys(("outside", "workspace", "home", "device", "unix", "unix_inside", "abstract"), "")
    assert len(attacks.attacks({**places, "pid": 1, "address": 0, "tcp": 1, "tcp6": 1, "udp": 1})) >= 42


def test_without_a_box_the_attacks_work(work):
    """The table means something: most ways are open to a program that is in no box."""
    found = boxing.open_ways(None, work)
    assert len(found) >= 25
    assert {
        "read a secret",
        "TCP to loopback",
        "parent's environ",
        "unix socket outside",
        "inherited descriptor",
    } <= set(found)


@levels
def test_the_attacks_fail_in_a_box(work, level):
    """`full` leaves no way open; `floor` at most the six that are metadata."""
    found = set(boxing.open_ways(level, work))
    assert found <= (METADATA if level == "floor" else set())
    assert (work.parent / "outside" / "secret").read_text() == "secret"
    assert not (work.parent / "outside" / "new").exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv") or not os.path.exists(SYSTEM_PYTHON), reason="needs root"
)
@pytest.mark.parametrize("level", ["full", "floor"])
def test_the_attacks_fail_for_a_plain_user_too(level, tmp_path):
    """The same table, run as a user without any right."""
    if level not in LEVELS:
        pytest.skip(FOUND.reason)
    source = Path(missy.__file__).parent.parent
    place = Path("/tmp") / f"missy-attacks-{os.getpid()}-{level}"
    place.mkdir(mode=0o755)
    try:
        for name, origin in (
            ("missy/sandbox", source / "missy" / "sandbox"),
            ("tests/sandbox", Path(boxing.__file__).parent),
        ):
            shutil.copytree(origin, place / "lib" / name)
        for name in ("__init__", "_version", "errors", "files", "folders", "paths", "os_errors", "plural"):
            if (source / "missy" / f"{name}.py").exists():
                shutil.copy(source / "missy" / f"{name}.py", place / "lib" / "missy")
        (place / "lib/tests/__init__.py").touch()
        for name in ("work", "person"):
            (place / name).mkdir()
            os.chown(place / name, NOBODY, NOBODY)
        os.chown(place, NOBODY, NOBODY)
        plain = [
            "setpriv",
            f"--reuid={NOBODY}",
            f"--regid={NOBODY}",
            "--clear-groups",
            SYSTEM_PYTHON,
            "-m",
            "tests.sandbox.boxing",
        ]
        done = subprocess.run(
            [*plain, level, str(place / "work")],
            env={"PYTHONPATH": str(place / "lib"), "HOME": str(place / "person"), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=place, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        assert set(json.loads(done.stdout)) <= (METADATA if level == "floor" else set())
    finally:
        shutil.rmtree(place)


# --- what is left ------------------------------------------------------------------------------------

_DAEMON = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(2):
    if os.fork():
        break
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.environ["%s"] = "1"
    os.execve(sys.executable, [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)", "%s"], os.environ)
print("up", flush=True)
%s
"""


def alive(mark: str) -> list[int]:
    """Return the processes that carry the mark in their words."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in words and int(name) != os.getpid():
                found.append(int(name))
    return found


def wait_gone(mark: str) -> None:
    """Wait until no process carries the mark, 3 seconds at most."""
    end = time.monotonic() + 3
    while alive(mark):
        assert time.monotonic() < end, alive(mark)
        time.sleep(0.02)


@levels
def test_nothing_is_left_of_a_command_that_ended(work, level):
    """Daemons that ignore SIGTERM end with the command that started them: 20 rounds."""
    for number in range(20):
        mark = f"daemon-{os.getpid()}-{number}"
        done = boxing.run(level, work, boxing.PYTHON, "-c", _DAEMON % (mark, mark, ""))
        assert (done.exit, done.output) == (0, b"up\n")
        wait_gone(mark)


@levels
def test_nothing_is_left_when_missy_is_killed(work, level):
    """Kill -9 of the parent ends the whole box: 20 rounds at the best level, 5 at the other."""
    for number in range(20 if level == LEVELS[0] else 5):
        mark = f"orphan-{os.getpid()}-{number}"
        body = _DAEMON % (mark, mark, "time.sleep(600)")
        code = (
            "import sys; from pathlib import Path; from tests.sandbox import boxing\n"
            f"from missy.sandbox.parent import Box\nbox = Box(boxing.plan({level!r}, Path({str(work)!r}), boxing.PYTHON, '-c', {body!r}))\n"
            "box.started(); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(boxing.__file__).parents[2],
        ) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == b"up\n"
            victim.kill()
        wait_gone(mark)


@levels
def test_a_command_that_takes_too_long_is_ended(work, level):
    """SIGTERM, two seconds, then the whole box: also if it ignores the signal."""
    body = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    begun = time.monotonic()
    done = boxing.run(level, work, boxing.PYTHON, "-c", body, seconds=1)
    assert done.ended == "timeout"
    assert done.output == b"up\n"
    assert time.monotonic() - begun < 15


@levels
def test_a_program_ends_by_a_signal_it_is_told(work, level):
    """A program that listens to SIGTERM ends by itself."""
    body = "import signal, sys, time; signal.signal(15, lambda *_: (print('bye', flush=True), sys.exit(3))); time.sleep(600)"
    done = boxing.run(level, work, boxing.PYTHON, "-c", body, seconds=2)
    assert done.ended == "timeout"
    assert done.output == b"bye\n"


# --- limits ------------------------------------------------------------------------------------------


@levels
def test_endless_output_is_bounded(work, level):
    """A program that prints for ever is ended, and costs no more than what is kept."""
    begun = _peak()
    done = boxing.run(level, work, "/usr/bin/yes", seconds=50)
    assert done.ended == "output"
    assert len(done.output) < parent.MAX_KEPT_BYTES + (1 << 20)
    assert _peak() - begun < 64 << 10


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@levels
def test_a_huge_file_is_bounded(work, level):
    """A file cannot grow beyond its limit."""
    body = (
        "import os\nf = os.open('big', os.O_CREAT | os.O_WRONLY)\nos.lseek(f, 9 << 20, 0)\nos.write(f, b'x')"
    )
    done = boxing.run(level, work, boxing.PYTHON, "-c", body, limits=Limits(file_size=8 << 20))
    assert done.exit != 0
    assert (work / "big").stat().st_size <= 8 << 20


@levels
def test_memory_is_bounded(work, level):
    """A program that wants too much memory does not get it."""
    done = boxing.run(
        level, work, boxing.PYTHON, "-c", "x = bytearray(1 << 30)", limits=Limits(memory=256 << 20)
    )
    assert b"MemoryError" in done.output


_BOMB = """
import os, sys
count = 0
try:
    while count < 2000:
        if os.fork() == 0:
            import time
            time.sleep(30)
            os._exit(0)
        count += 1
except OSError:
    pass
print(count, flush=True)
"""


@pytest.mark.skipif("full" not in LEVELS, reason="only a namespace of its own counts the box alone")
def test_a_fork_bomb_is_bounded(work):
    """A box has a bounded number of processes, and all of them end with it."""
    done = boxing.run("full", work, boxing.PYTHON, "-c", _BOMB, limits=Limits(processes=320), seconds=50)
    assert done.exit == 0
    assert 0 < int(done.output) < 400


# --- the filter, on every architecture ------------------------------------------------------------------


def judge(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel would, and return its verdict."""
    data = struct.pack("=IIQ", number & 0xFFFFFFFF, arch, 0) + struct.pack(
        "=6Q", *arguments, *[0] * (6 - len(arguments))
    )
    lines = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at, value = 0, 0
    while True:
        code, yes, no, k = lines[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("=I", data, k)
        elif code == 0x06:
            return k
        elif code == 0x54:
            value &= k
        else:
            hit = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[code]
            at += yes if hit else no


@pytest.mark.parametrize("machine", filters.ARCHITECTURES)
def test_the_filter_knows_its_architecture(machine):
    """Each refused call is refused on x86-64 and on aarch64; other architectures' calls and x32 are no way round."""
    column, arch = filters.ARCHITECTURES[machine]
    program = filters.make_filter(machine, network=False)
    assert program is not None
    assert len(program) % 8 == 0
    assert judge(program, 0x40000003, 0) == filters.KILL
    if machine == "x86_64":
        assert judge(program, arch, 0x40000000 | 165) != filters.ALLOW
    for name, numbers in filters._DENIED.items():
        assert judge(program, arch, numbers[column]) == filters.ERRNO | 1, name
    assert judge(program, arch, filters._CLONE3) == filters.ERRNO | 38
    clone = filters._CLONE[column]
    assert judge(program, arch, clone, 0x11) == filters.ALLOW
    for bit in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert judge(program, arch, clone, bit | 17) == filters.ERRNO | 1
    for family in range(46):
        assert judge(program, arch, filters._SOCKET[column], family) == filters.ERRNO | 97
        assert (judge(program, arch, filters._SOCKETPAIR[column], family) == filters.ALLOW) is (family == 1)
        # the kernel reads an int: the upper half is no way round
        assert judge(program, arch, filters._SOCKET[column], family | 5 << 32) == filters.ERRNO | 97
    assert judge(program, arch, filters._IOCTL[column], 0, 0x5412) == filters.ERRNO | 1
    assert judge(program, arch, filters._IOCTL[column], 0, 0x5412 | 7 << 32) == filters.ERRNO | 1
    assert judge(program, arch, filters._IOCTL[column], 0, 0x5401) == filters.ALLOW
    network = filters.make_filter(machine, network=True)
    assert [
        family
        for family in range(46)
        if judge(network, arch, filters._SOCKET[column], family) == filters.ALLOW
    ] == [2, 10]


@pytest.mark.parametrize("machine", filters.ARCHITECTURES)
def test_the_filter_of_a_server_lets_it_accept_and_never_connect(machine):
    """TCP over IPv4 alone; no connect, and no flag that connects while it sends; the rest is as in every box."""
    column, arch = filters.ARCHITECTURES[machine]
    program = filters.make_filter(machine, network=False, serves=True)
    sockets = {
        (family, kind, protocol)
        for family in (*range(46), 2 | 1 << 31)
        for kind in (1, 2, 3, 5, 1 | 0o2000000, 2 | 0o2000000)
        for protocol in (0, 6, 17, 132, 262)
        if judge(program, arch, filters._SOCKET[column], family, kind, protocol) == filters.ALLOW
    }
    assert sockets == {(2, kind, protocol) for kind in (1, 1 | 0o2000000) for protocol in (0, 6)}
    assert judge(program, arch, filters._CONNECT[column], 3) != filters.ALLOW
    for numbers, before in ((filters._SENDTO, 3), (filters._SENDMSG, 2), (filters._SENDMMSG, 3)):
        assert judge(program, arch, numbers[column], *[0] * before, 0x4000) == filters.ALLOW
        assert judge(program, arch, numbers[column], *[0] * before, 0x20004000) != filters.ALLOW
    assert judge(program, arch, filters._DENIED["ptrace"][column]) != filters.ALLOW


@pytest.mark.parametrize("machine", ["riscv64", "i686", "", "armv7l"])
def test_an_unknown_architecture_has_no_filter(machine):
    """Numbers that are not known are not guessed: there is no sandbox then."""
    assert filters.make_filter(machine, network=False) is None


# --- the level ------------------------------------------------------------------------------------------

NO_LANDLOCK = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
numbers = (444, 445, 446)
lines = [(0x20, 0, 0, 0)] + [line for n in numbers for line in ((0x15, 0, 1, n), (6, 0, 0, 0x50026))] + [(6, 0, 0, 0x7fff0000)]
code = b"".join(struct.pack("=HBBI", *line) for line in lines)
buffer = ctypes.create_string_buffer(code, len(code))
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, struct.pack("@HP", len(lines), ctypes.addressof(buffer)), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_without_landlock_nothing_is_run(missy, serve, work):
    """Where the kernel has no Landlock there is no level, and `run` is refused before anything is sent: exit 1."""
    from tests.servers import chat_stream

    origin = serve(chat_stream("hi"))
    missy.entry(origin.url)
    done = subprocess.run(
        [sys.executable, "-c", NO_LANDLOCK, sys.executable, "-m", "missy", "ask", "--tools", "run", "go"],
        env=missy.env(), cwd=work, capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"no sandbox" in done.stderr
    assert origin.connections == 0


def test_paths_of_the_box():
    """A program is looked for where the box can read, never in the workspace; what is hidden is covered once."""
    assert (
        search_path("/usr/bin:/home/x/bin:/w/bin:.:/opt/a", ("/usr", "/opt", "/w"), "/w") == "/usr/bin:/opt/a"
    )
    assert search_path("/home/x", ("/usr",), "/w") == "/usr/bin:/bin"
    assert outermost(["/home/x/.missy", "/home", "/tmp", "/tmp"]) == ["/tmp", "/home"]


def test_signals_are_known():
    """The launcher's numbers are the system's."""
    assert (signal.SIGKILL, signal.SIGTERM) == (9, 15)
