"""What a boxed program gets: its words, its paths, its environment, its limits. Pure; the launcher is told it as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Level = Literal["full", "floor"]
# What programs need of the system; never the home folder. Landlock only grants, so nothing can be taken out of these.
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix/store",
    "/proc",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# Covered with an empty folder at `full`, besides the home folder and MISSY_HOME.
HIDDEN = (
    "/home",
    "/root",
    "/tmp",
    "/var/tmp",
    "/run",
    "/var/run",
    "/dev/shm",
    "/media",
    "/mnt",
    "/srv",
    "/etc/ssh",
    "/etc/ssl/private",
)
COVERED_FILES = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers")
# Read-only in the box, where they exist in the workspace: they are run later, outside of it.
PROTECTED = (
    ".git/hooks", ".git/config", ".git/info", ".git/commondir", ".envrc", ".vscode", ".idea", ".missy", ".github/workflows",
    ".gitlab-ci.yml",
    ".husky", ".mcp.json", ".pre-commit-config.yaml", ".devcontainer", ".circleci", ".gitmodules",
)  # fmt: skip
PRIVATE = "/tmp"  # a file system of its own, at `full`
FLOOR_PROCESSES = 8192  # of the user, all programs together: a desktop has a thousand threads of its own
_UNLIMITED = (1 << 64) - 1


class Limits(NamedTuple):
    """The limits of one program and what it starts: seconds of CPU, bytes of a file and of memory, numbers of others."""

    cpu: int = 3600
    file_size: int = 1 << 30
    memory: int = 4 << 30
    processes: int = 512
    files: int = 1024
    private: int = 512 << 20


class Plan(NamedTuple):
    """One boxed program. `filter` is the seccomp program; `home` is the folder that it may use as its own.

    `hide` is covered before the workspace is put back, `veil` after that.
    `probe`: the launcher tries these five ways out instead of starting a program.
    `listen`: at `full`, a listener on loopback is handed to the parent, which is the program's only network.
    `bind`: the program is a server, see `serve_plan`; -1 for none.
    """

    level: Level
    argv: tuple[str, ...]
    cwd: str
    workspace: str
    filter: bytes
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    veil: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    home: str = PRIVATE
    listen: int = 0
    bind: int = -1
    probe: tuple[str, ...] = ()
    writes_workspace: bool = True
    limits: Limits = Limits()

    def encode(self) -> bytes:
        """Return the plan as pairs of NUL-terminated names and values: the launcher imports no JSON."""
        pairs: list[tuple[str, str]] = [
            ("level", self.level),
            ("cwd", self.cwd),
            ("listen", str(self.listen)),
            ("bind", str(self.bind)),
        ]
        pairs += [("filter", self.filter.hex()), *zip(("argv",) * len(self.argv), self.argv, strict=True)]
        own = [self.workspace] if self.workspace else []
        private = [self.home] if self.level == "floor" else [PRIVATE]
        pairs += _many("read", (*SYSTEM, *self.read, *([] if self.writes_workspace else own)))
        pairs += _many("write", (*self.write, *(own if self.writes_workspace else [])))
        pairs += _many("private", private)
        pairs += _many("device", DEVICES)
        pairs += _many("keep", (*self.read, *([] if self.writes_workspace else own)))
        pairs += _many("hide", outermost((*HIDDEN, *self.hide)))
        pairs += _many("veil", self.veil)
        pairs += _many("cover", COVERED_FILES)
        pairs += _many("protect", self.protect)
        pairs += [("probe", value) for value in self.probe]
        pairs += _many("env", (f"{name}={value}" for name, value in self.environ))
        pairs += [(f"limit_{name}", str(value)) for name, value in self.limits._asdict().items()]
        return b"".join(_field(name) + _field(value) for name, value in pairs)


def serve_plan(
    level: Level,
    argv: tuple[str, ...],
    program: bytes,
    read: tuple[str, ...],
    hide: tuple[str, ...],
    *,
    port: int,
) -> Plan:
    """Return the plan of a server on loopback, which reads what it is given and writes nothing but its own /tmp.

    At `full` its network is its own. At `floor` it may bind `port`, 0 for a free one; the filter, made with `serves`,
    lets it connect to nothing. It runs for as long as its parent does, and a model may need all memory.
    """
    limits = Limits(cpu=_UNLIMITED, file_size=1 << 20, memory=_UNLIMITED)
    return Plan(
        level, argv, "/", "", program, read=read, hide=hide, home=PRIVATE if level == "full" else "", bind=port,
        limits=limits if level == "full" else limits._replace(processes=FLOOR_PROCESSES),
    )  # fmt: skip


def _many(name: str, values: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, value) for value in dict.fromkeys(values)]


def _field(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise ValueError("a NUL in the plan of a sandbox")
    return data + b"\0"


def outermost(paths: Iterable[str]) -> list[str]:
    """Return the paths that lie in none of the others, the shortest first."""
    found: list[str] = []
    for path in sorted(set(paths), key=len):
        if path != "/" and not any(path == one or path.startswith(one + "/") for one in found):
            found.append(path)
    return found


def within(path: str, folders: Iterable[str]) -> bool:
    """Tell whether a path is one of the folders or lies in one."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def search_path(path: str, readable: Iterable[str], workspace: str) -> str:
    """Return the part of PATH that the box can read, without the workspace: a program there is never found by name."""
    roots = [root for root in readable if root != "/proc"]
    parts = [part for part in path.split(":") if part.startswith("/") and within(part, roots)]
    kept = [part for part in parts if not within(part, (workspace,))]
    return ":".join(dict.fromkeys(kept)) or "/usr/bin:/bin"
