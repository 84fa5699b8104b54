"""The launcher of a boxed program: `python -I -S child.py SPEC CONTROL REPORT [CHANNEL]`, all of them descriptors.

It reads the plan from SPEC, puts up the walls, and starts the program. What goes wrong before is written to REPORT. When
CONTROL ends, because Missy has ended, everything in the box is killed. It imports no more than it needs, and nothing of
Missy: it runs once for each command. One file, since it has no path to import others
from. See user_namespaces(7), landlock(7), seccomp(2), mount_setattr(2).
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_libc = ctypes.CDLL(None, use_errno=True)
_NEW_NS, _NEW_CGROUP, _NEW_UTS, _NEW_IPC, _NEW_USER, _NEW_PID, _NEW_NET = (
    0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_PDEATHSIG, _SECCOMP, _CAPBSET_DROP, _SUBREAPER, _NO_NEW_PRIVS = 1, 22, 24, 36, 38
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC_PRIVATE = 2, 4, 8, 0x4000 | 0x40000
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = (
    428,
    429,
    442,
)  # the same number on every architecture, as are the next three
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_RECURSIVE, _EMPTY_PATH, _CLOEXEC, _RDONLY = 0x8000, 0x1000, 0x80000, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = 1, 2, 4, 8, 1 << 14, 1 << 15
_SIGKILL, _SIGTERM = 9, 15
_KILL_SECONDS = 5.0


class Wall(Exception):
    """One wall that could not be put up."""


def _call(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise Wall(f"{what}: {os.strerror(number)}")
    return result


def _syscall(what: str, number: int, *arguments: object) -> int:
    return _call(what, _libc.syscall(ctypes.c_long(number), *arguments))


def read_plan(file: int) -> dict[str, list[str]]:
    """Read the pairs of names and values."""
    data = b""
    while block := os.read(file, 65536):
        data += block
    os.close(file)
    fields = [os.fsdecode(field) for field in data.split(b"\0")[:-1]]
    plan: dict[str, list[str]] = {}
    for name, value in zip(fields[::2], fields[1::2]):  # noqa: B905 written by us
        plan.setdefault(name, []).append(value)
    return plan


def enter_namespaces() -> None:
    """Leave the user's namespaces, keeping the user's id."""
    uid, gid = os.geteuid(), os.getegid()
    flags = _NEW_USER | _NEW_NET | _NEW_IPC | _NEW_UTS | _NEW_NS | _NEW_PID | _NEW_CGROUP
    _call("namespaces", _libc.unshare(flags))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        try:
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        except OSError as error:
            raise Wall(f"{name}: {error.strerror}") from None


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    _call(
        f"mount {target}",
        _libc.mount(
            source.encode(), os.fsencode(target), kind.encode() or None, flags, options.encode() or None
        ),
    )


def _clone_tree(path: str) -> int:
    flags = ctypes.c_uint(1 | _RECURSIVE | _CLOEXEC)
    return _syscall(f"bind {path}", _OPEN_TREE, ctypes.c_int(-100), os.fsencode(path), flags)


def _set_read_only(file: int, path: bytes, flags: int, *, clear: bool = False) -> None:
    attributes = struct.pack("=QQQQ", *((0, _RDONLY) if clear else (_RDONLY, 0)), 0, 0)
    size = ctypes.c_size_t(len(attributes))
    _syscall("read-only", _MOUNT_SETATTR, ctypes.c_int(file), path, ctypes.c_uint(flags), attributes, size)


def _attach(tree: int, path: str) -> None:
    _syscall(
        f"attach {path}",
        _MOVE_MOUNT,
        ctypes.c_int(tree),
        b"",
        ctypes.c_int(-100),
        os.fsencode(path),
        ctypes.c_uint(4),
    )
    os.close(tree)


def mount_all(plan: dict[str, list[str]]) -> None:
    """Cover what is hidden, make the rest read-only, and put back what the program may reach."""
    _mount("none", "/", "", _MS_REC_PRIVATE)
    writable = [path for path in plan.get("write", []) if os.path.exists(path)]
    readable = [path for path in plan.get("keep", []) if os.path.exists(path)]
    trees = sorted(
        [(path, True) for path in writable] + [(path, False) for path in readable],
        key=lambda one: len(one[0]),
    )
    opened = [(path, is_writable, os.path.isdir(path), _clone_tree(path)) for path, is_writable in trees]
    nothing = _clone_tree("/dev/null") if os.path.exists("/dev/null") else -1
    private = plan["private"][0]
    size = plan["limit_private"][0]
    for path in plan["hide"]:
        if os.path.isdir(path) and not os.path.islink(path):
            mode, most = ("1777", size) if path in (private, "/dev/shm") else ("0755", "16m")
            _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode={mode},size={most}")
    for path in plan["cover"]:
        if os.path.isfile(path):
            os.close(nothing)
            nothing = _clone_tree("/dev/null")
            _attach(os.dup(nothing), path)
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    try:  # bounds the number of processes for root too, which RLIMIT_NPROC does not (Linux 6.14)
        with open("/proc/sys/kernel/pid_max", "w", encoding="ascii") as file:
            file.write(str(max(301, int(plan["limit_processes"][0]))))
    except OSError:
        pass
    for path, _, is_folder, _ in opened:
        os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
        if not is_folder and not os.path.exists(path):
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    _set_read_only(-100, b"/", _RECURSIVE)
    for path in (private, "/dev/shm"):
        if path in plan["hide"] and os.path.isdir(path):
            _set_read_only(-100, os.fsencode(path), 0, clear=True)
    for path, is_writable, _, tree in opened:
        if not is_writable:
            _set_read_only(tree, b"", _RECURSIVE | _EMPTY_PATH)
        _attach(tree, path)
    for path in plan.get("veil", []):  # Missy's own folder, where a tree that was put back holds it
        if os.path.isdir(path) and any(path.startswith(f"{tree}/") for tree, *_ in opened):
            _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0555,size=4k")
    for path in plan.get("protect", []):
        if os.path.lexists(path) and not os.path.islink(path):
            tree = _clone_tree(path)
            _set_read_only(tree, b"", _RECURSIVE | _EMPTY_PATH)
            _attach(tree, path)


def raise_loopback() -> None:
    """Bring loopback up, in the network of the box."""
    file = _call("socket", _libc.socket(2, 1, 0))
    request = struct.pack("16sH14x", b"lo", 1)  # IFF_UP
    _call("loopback", _libc.ioctl(file, 0x8914, request))
    os.close(file)


def open_listener(port: int, channel: int) -> None:
    """Listen on loopback, and hand the listener to the parent."""
    import socket

    with socket.socket() as listener, socket.socket(fileno=channel) as parent:
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        socket.send_fds(parent, [b"l"], [listener.fileno()])


def limit(plan: dict[str, list[str]]) -> None:
    """Set the limits, and give up every right that a root user would keep."""
    kinds = {
        "cpu": 0,
        "file_size": 1,
        "memory": 2,
        "processes": 6,
        "files": 7,
    }  # RLIMIT_DATA bounds what is really used
    for name, kind in [*kinds.items(), ("core", 4)]:
        most = int(plan[f"limit_{name}"][0]) if name != "core" else 0
        _libc.setrlimit(kind, struct.pack("=QQ", most, most))
    for capability in range(64):
        _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    header, nothing = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    _libc.capset(header, nothing)
    _call("no_new_privs", _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))


def grant_paths(plan: dict[str, list[str]], *, is_full: bool) -> None:
    """Grant the paths of the plan, and nothing else; this is Landlock."""
    abi = _syscall("Landlock", _LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    count = {1: 13, 2: 14}.get(abi, 15 if abi < 5 else 16)
    handled = (1 << count) - 1
    attributes = struct.pack("=Q", handled)
    if abi >= 4:
        attributes += struct.pack("=Q", 0 if is_full else 3)  # TCP: at full the network is a namespace
    if abi >= 6:
        attributes += struct.pack("=Q", 3)  # abstract sockets and signals
    rules = _syscall(
        "Landlock", _LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0)
    )
    of_file = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
    looks, devices = _EXECUTE | _READ_FILE | _READ_DIR, _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
    grants = [(path, looks) for path in plan["read"]] + [(path, devices) for path in plan["device"]]
    grants += [(path, handled & ~_IOCTL_DEV) for path in plan.get("write", []) + plan["private"]]
    grants += [("/dev/shm", handled & ~_IOCTL_DEV)] if is_full else []
    for path, rights in grants:
        try:
            file = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not every system has every folder
        allowed = rights & handled if os.path.isdir(path) else rights & handled & of_file
        rule = struct.pack("=Qi", allowed, file)
        _syscall(
            f"Landlock {path}", _LANDLOCK_ADD, ctypes.c_int(rules), ctypes.c_int(1), rule, ctypes.c_uint(0)
        )
        os.close(file)
    if (port := int(plan["bind"][0])) >= 0 and abi >= 4 and not is_full:
        rule = struct.pack("=QQ", 1, port)
        _syscall("Landlock", _LANDLOCK_ADD, ctypes.c_int(rules), ctypes.c_int(2), rule, ctypes.c_uint(0))
    _syscall("Landlock", _LANDLOCK_RESTRICT, ctypes.c_int(rules), ctypes.c_uint(0))
    os.close(rules)


def install_filter(program: bytes) -> None:
    """Install the seccomp filter."""
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    _call("seccomp", _libc.prctl(_SECCOMP, 2, head, 0, 0))


def become(plan: dict[str, list[str]], *, is_full: bool) -> NoReturn:
    """Put the last walls up and become the program."""
    if not is_full:  # there, process 1 ends with the launcher, and this one with process 1
        _call("pdeathsig", _libc.prctl(_PDEATHSIG, _SIGKILL, 0, 0, 0))
    os.chdir(plan["cwd"][0])
    limit(plan)
    grant_paths(plan, is_full=is_full)
    install_filter(bytes.fromhex(plan["filter"][0]))
    if "probe" in plan:
        probe(*plan["probe"])
    argv = plan["argv"]
    environ = dict(text.split("=", 1) for text in plan.get("env", []))
    folders = [""] if "/" in argv[0] else environ.get("PATH", "").split(":")
    why = "there is no such program"
    for folder in folders:  # os.execvpe would import modules that are out of reach by now
        try:
            os.execve(f"{folder}/{argv[0]}" if folder else argv[0], argv, environ)  # noqa: S606 it is this one's task
        except FileNotFoundError:
            continue
        except OSError as error:
            why = error.strerror or ""
    raise Wall(f"exec {argv[0]}: {why}")


def probe(secret: str, pid: str, port: str, path: str, outside: str) -> NoReturn:
    """Try five ways out, and print which of them are open: each of them must fail in a box that holds."""
    tries: dict[str, Callable[[], None]] = {
        "read": lambda: os.close(os.open(secret, os.O_RDONLY)),
        "environ": lambda: os.close(os.open(f"/proc/{pid}/environ", os.O_RDONLY)),
        "tcp": lambda: _connect(2, struct.pack("=H2s4s8x", 2, int(port).to_bytes(2, "big"), b"\x7f\0\0\x01")),
        "unix": lambda: _connect(1, struct.pack("=H108s", 1, os.fsencode(path))),
        "write": lambda: os.close(os.open(f"{outside}/x", os.O_WRONLY | os.O_CREAT, 0o600)),
    }
    for name, attempt in tries.items():
        try:
            attempt()
        except (Wall, OSError):
            continue
        os.write(1, f"{name}\n".encode())
    os.write(1, b"done\n")
    os._exit(0)


def _connect(family: int, address: bytes) -> None:
    file = _call("socket", _libc.socket(family, 1, 0))
    try:
        _call("connect", _libc.connect(file, address, len(address)))
    finally:
        os.close(file)


def _guarded(report: int, step: Callable[[], object]) -> NoReturn:
    """Run the last step of a new process; what fails is reported, and the process ends."""
    try:
        step()
    except Exception as error:
        os.write(report, (str(error) or type(error).__name__).encode())
    finally:
        os._exit(126)


def first_process(plan: dict[str, list[str]], report: int, channel: int) -> NoReturn:
    """Be process 1 of the box: mount, start the program, and reap until it has ended. All others end with this one."""
    import _signal  # type: ignore[import-not-found]  # what `signal` is made of, without its enums

    _call("pdeathsig", _libc.prctl(_PDEATHSIG, _SIGKILL, 0, 0, 0))
    if channel >= 0 or int(plan["bind"][0]) >= 0:
        raise_loopback()
    if channel >= 0:
        open_listener(int(plan["listen"][0]), channel)
    mount_all(plan)  # after the last import: the standard library may be covered now
    pid = os.fork()
    if not pid:
        _guarded(report, lambda: become(plan, is_full=True))
    os.close(report)
    _signal.signal(_SIGTERM, lambda *_: os.kill(-1, _SIGTERM))
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            os._exit(_code(status))


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def supervise(pid: int, control: int, *, is_full: bool) -> NoReturn:
    """Wait for the box; a byte on CONTROL is SIGTERM for it, its end kills it. Then nothing that it started is left."""
    handle = os.pidfd_open(pid)
    poll = select.poll()
    for file in (handle, control):
        poll.register(file, select.POLLIN | select.POLLHUP)
    while True:
        ready = [file for file, _ in poll.poll()]
        if control in ready and not os.read(control, 1):
            os.kill(pid, _SIGKILL)
            poll.unregister(control)
        elif control in ready:
            os.kill(pid, _SIGTERM)
        if handle in ready:
            break
    _, status = os.waitpid(pid, 0)
    if not is_full:  # there, all of them ended with process 1
        _kill_rest()
    os._exit(_code(status))


def _kill_rest() -> None:
    """Kill what was left behind: as subreaper, this process becomes the parent of all orphans of the box."""
    end = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < end:
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                children = file.read().split()
            for child in children:
                os.kill(int(child), _SIGKILL)
            os.waitpid(-1, 0 if children else os.WNOHANG)
        except ChildProcessError:
            return
        except OSError:
            continue


def main() -> NoReturn:
    """Read the plan and start the program in its box."""
    spec, control, report, *rest = map(int, sys.argv[1:])
    channel = rest[0] if rest else -1
    kept = sorted({spec, control, report, *rest})
    for low, high in zip([3, *(file + 1 for file in kept)], [*kept, 65536]):  # noqa: B905 a descriptor and the next
        os.closerange(low, high)
    for file in kept:
        os.set_inheritable(file, False)
    plan = read_plan(spec)
    is_full = plan["level"][0] == "full"
    try:
        _call("subreaper", _libc.prctl(_SUBREAPER, 1, 0, 0, 0))
        if is_full:
            enter_namespaces()
        pid = os.fork()
    except (Wall, OSError) as error:
        os.write(report, str(error).encode())
        os._exit(126)
    if not pid:
        os.close(control)
        if is_full:
            _guarded(report, lambda: first_process(plan, report, channel))
        _guarded(report, lambda: become(plan, is_full=False))
    os.close(report)
    if channel >= 0:
        os.close(channel)
    supervise(pid, control, is_full=is_full)


if __name__ == "__main__":
    main()
