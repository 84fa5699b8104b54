"""The files of MISSY_HOME: nobody else can read one, none is written through a link, none is lost."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from missy import files, folders, os_errors, paths
from missy.errors import MissyError

AS_ROOT = os.geteuid() == 0
NOBODY = 65534
# imports first, for a plain user may not be able to read the interpreter's libraries of root
CHILD = "import os, pathlib, resource, sys\nfrom missy import files, folders, os_errors, paths\nfrom missy.errors import MissyError\n"
DROP = f"if os.geteuid() == 0: os.setgid({NOBODY}); os.setuid({NOBODY})\n"


def run(code: str, *args: object, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own."""
    return subprocess.run(
        [*under, sys.executable, "-c", CHILD + code, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]


@pytest.fixture
def umask() -> Iterator[None]:
    """The most careless umask there is."""
    old = os.umask(0)
    yield
    os.umask(old)


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A folder of a plain user, whoever runs the tests, that root does not own."""
    folder = Path(tempfile.mkdtemp())
    if AS_ROOT:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


def test_home_is_dot_missy_in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without MISSY_HOME, the files are in ~/.missy, and asking makes nothing."""
    monkeypatch.delenv("MISSY_HOME")
    assert paths.home() == home.parent / ".missy"
    assert not paths.home().exists()


@pytest.mark.parametrize(
    ("given", "expected"), [("~/x", "{home}/x"), ("x/../y", "{cwd}/y"), ("/a/b", "/a/b")]
)
def test_home_is_absolute(home: Path, monkeypatch: pytest.MonkeyPatch, given: str, expected: str) -> None:
    """MISSY_HOME may begin with ~ or be relative; what comes out is absolute."""
    monkeypatch.setenv("MISSY_HOME", given)
    assert str(paths.home()) == expected.format(home=home.parent, cwd=os.getcwd())


@pytest.mark.parametrize("given", [None, "", "~/x", "~nobody-of-that-name/x"])
def test_no_home_is_said_clearly(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    """Without HOME there is an error that names the variable to set, not a traceback or a guess."""
    monkeypatch.delenv("HOME")
    if given is not None:
        monkeypatch.setenv("MISSY_HOME", given)
    with pytest.raises(MissyError) as caught:
        paths.home()
    assert caught.value.exit_code == 1
    assert caught.value.hint


def test_config_file_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config comes before MISSY_CONFIG, that before MISSY_HOME, each with ~ expanded."""
    assert paths.config_file(None) == home / "config.yaml"
    monkeypatch.setenv("MISSY_CONFIG", "~/b.yaml")
    assert paths.config_file(None) == home.parent / "b.yaml"
    assert paths.config_file("~/a.yaml") == home.parent / "a.yaml"


@pytest.mark.parametrize("mask", [0, 0o022, 0o277, 0o777])
def test_modes_under_any_umask(home: Path, mask: int) -> None:
    """Folders are 0700 and files 0600 whatever the umask."""
    old = os.umask(mask)
    try:
        files.write_private(home / "secrets" / "deep" / "x.json", b"1")
        with files.lock(home / "secrets" / "deep" / "x.json"):
            pass
        os.close(files.open_private(home / "audit.jsonl", os.O_RDWR | os.O_CREAT))
    finally:
        os.umask(old)
    assert {mode(path) for path in [home, *home.rglob("*")] if path.is_dir()} == {0o700}
    assert {mode(path) for path in home.rglob("*") if path.is_file()} == {0o600}


def test_a_private_file_is_never_wider_for_a_moment(home: Path, umask: None) -> None:
    """Nobody who looks while a file is written ever sees it, or its temporary, readable by others."""
    folders.ensure_dir(home)
    seen: set[int] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for entry in os.scandir(home):
                try:
                    seen.add(stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode))
                except FileNotFoundError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    written = 0
    while written < 100 or not seen:
        files.write_private(home / "x", b"x" * 4096)
        written += 1
    done.set()
    watcher.join()
    assert seen == {0o600}


def test_wide_modes_are_repaired(home: Path) -> None:
    """A folder or file that others could read is narrowed on the next use, and the content stays."""
    files.write_private(home / "secrets" / "x", b"kept")
    for path, wide in ((home, 0o755), (home / "secrets", 0o777), (home / "secrets" / "x", 0o644)):
        path.chmod(wide)
    assert files.read_private(home / "secrets" / "x") == b"kept"
    assert folders.ensure_dir(home / "secrets") == home / "secrets"
    assert (mode(home), mode(home / "secrets"), mode(home / "secrets" / "x")) == (0o700, 0o700, 0o600)


def test_own_link_to_home(home: Path, tmp_path: Path) -> None:
    """MISSY_HOME itself may be a link of one's own, to another disk."""
    (tmp_path / "disk").mkdir(mode=0o755)
    home.symlink_to(tmp_path / "disk")
    files.write_private(home / "secrets" / "x", b"1")
    assert (tmp_path / "disk" / "secrets" / "x").read_bytes() == b"1"
    assert mode(tmp_path / "disk") == 0o700


def test_linked_folder_in_home_is_refused(home: Path, tmp_path: Path) -> None:
    """A folder in MISSY_HOME that is a link is not written through."""
    folders.ensure_dir(home)
    (tmp_path / "elsewhere").mkdir()
    (home / "secrets").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MissyError, match="symbolic link"):
        files.write_private(home / "secrets" / "x", b"1")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_dangling_link_as_home_is_refused(home: Path, tmp_path: Path) -> None:
    """A link that leads nowhere is an error, not an endless search."""
    home.symlink_to(tmp_path / "gone")
    with pytest.raises(MissyError):
        folders.ensure_dir(home)
    assert not (tmp_path / "gone").exists()


def test_something_in_the_way_of_a_folder(home: Path) -> None:
    """A file where a folder should be is an error that names it, and stays."""
    home.write_bytes(b"mine")
    with pytest.raises(MissyError, match=str(home)):
        files.write_private(home / "secrets" / "x", b"1")
    assert home.read_bytes() == b"mine"


def test_shared_folder_as_home_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MISSY_HOME=/tmp must not take /tmp away from everybody else."""
    home.mkdir()
    home.chmod(0o1777)
    with pytest.raises(MissyError, match="share"):
        folders.ensure_dir(home)
    assert mode(home) == 0o1777


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a file away")
@pytest.mark.parametrize("use", ["folder", "read", "write", "lock", "link"])
def test_foreign_owner_is_refused(home: Path, tmp_path: Path, use: str) -> None:
    """What belongs to another user is neither used nor changed."""
    files.write_private(home / "x", b"old")
    (home / "x.lock").touch(0o600)
    given = {"folder": home, "link": home / "sub", "lock": home / "x.lock"}.get(use, home / "x")
    if use == "link":
        (home / "sub").symlink_to(tmp_path)
    os.chown(given, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(MissyError, match=r"another user|symbolic link"):
        if use in ("folder", "link"):
            folders.ensure_dir(given)
        elif use == "read":
            files.read_private(given)
        elif use == "write":
            files.write_private(given, b"new")
        else:
            with files.lock(home / "x"):
                pass
    assert (home / "x").read_bytes() == b"old"


def place(kind: str, path: Path, victim: Path) -> None:
    """Put something that is no plain file at `path`."""
    if kind == "symlink":
        path.symlink_to(victim)
    elif kind == "dangling":
        path.symlink_to(victim.parent / "not-there")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "folder"])
@pytest.mark.parametrize("use", ["write", "read", "lock"])
def test_never_through_anything_but_a_plain_file(home: Path, tmp_path: Path, kind: str, use: str) -> None:
    """A symlink, FIFO or folder at a file's place is refused at once, in words, and nothing behind it changes."""
    folders.ensure_dir(home)
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    target = home / "x"
    place(kind, home / "x.lock" if use == "lock" else target, victim)
    with pytest.raises(MissyError) as caught:
        if use == "write":
            files.write_private(target, b"new")
        elif use == "read":
            files.read_private(target)
        else:
            with files.lock(target):
                pass
    assert str(target) in caught.value.message
    assert caught.value.hint
    assert victim.read_bytes() == b"victim"
    assert not (tmp_path / "not-there").exists()
    assert leftovers(home) == []


def test_other_names_keep_the_old_content(home: Path, tmp_path: Path) -> None:
    """Writing a file with a second name changes this name alone."""
    folders.ensure_dir(home)
    (tmp_path / "victim").write_bytes(b"victim")
    os.link(tmp_path / "victim", home / "x")
    files.write_private(home / "x", b"new")
    assert (tmp_path / "victim").read_bytes() == b"victim"
    assert (home / "x").read_bytes() == b"new"


def test_full_disk_keeps_the_old_content(home: Path) -> None:
    """When only part of the new content fits, the old stays whole and no temporary is left."""
    files.write_private(home / "x", b"old")
    done = run(
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: files.write_private(sys.argv[1], b'n' * 5000)\n"
        "except MissyError as error: print(error.message, error.hint, error.exit_code)",
        home / "x",
    )
    assert str(home / "x") in done.stdout
    assert "ulimit" in done.stdout
    assert (home / "x").read_bytes() == b"old"
    assert leftovers(home) == []


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a folder away")
def test_a_volume_as_home_names_a_folder_inside_it(foreign: Path) -> None:
    """A mounted folder of another user that all may write is one to make a home in: the hint names it, the mode stays."""
    os.chown(foreign, 0, 2000)
    foreign.chmod(0o2777)
    done = run(
        DROP + "os.environ['MISSY_HOME'] = sys.argv[1]\n"
        "try: folders.ensure_dir(paths.home())\n"
        "except MissyError as error: print(error.message, error.hint, sep='\\n')\n"
        "os.environ['MISSY_HOME'] += '/missy'; print(oct(os.stat(folders.ensure_dir(paths.home())).st_mode & 0o777))",
        foreign,
    )
    message, hint, inside = done.stdout.splitlines()
    assert "belongs to another user (id 0)" in message
    assert hint == f"set MISSY_HOME to a folder inside it, e.g. {foreign}/missy"
    assert inside == "0o700"
    assert mode(foreign) == 0o2777


def test_read_only_home(foreign: Path) -> None:
    """A home that cannot be written is an error that names the path and what to do, and the mode stays."""
    done = run(
        DROP + "os.environ['MISSY_HOME'] = sys.argv[1]\n"
        "files.write_private(paths.home() / 'x', b'old'); os.chmod(sys.argv[1], 0o500)\n"
        "for name in ('x', 'new', 'sub/new'):\n"
        "  try: files.write_private(paths.home() / name, b'new')\n"
        "  except MissyError as error: print(error.exit_code, sys.argv[1] in error.message, error.hint)\n"
        "print(files.read_private(paths.home() / 'x'))",
        foreign,
    )
    lines = done.stdout.splitlines()
    assert [line[:6] for line in lines[:3]] == ["1 True"] * 3, done.stderr
    assert all("MISSY_HOME" in line for line in lines[:3])
    assert lines[3] == "b'old'"
    assert mode(foreign) == 0o500


@pytest.mark.parametrize("call", ["write", "fsync", "renameat,rename,renameat2", "fchmod"])
@pytest.mark.parametrize("how", ["error=EIO", "error=ENOSPC", "signal=KILL"])
def test_old_or_new_whatever_fails(home: Path, call: str, how: str) -> None:
    """Fail or kill it at each system call of a write: the file holds the old or the new bytes, and can be written again."""
    if not shutil.which("strace"):
        pytest.skip("strace is not here")
    files.write_private(home / "x", b"old")
    under = ("strace", "-qq", "-o", str(home.parent / "trace"), "-e", f"inject={call}:{how}:when=1")
    done = run("files.write_private(sys.argv[1], b'new')", home / "x", under=under)
    if "PTRACE" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode in (1, -signal.SIGKILL, 128 + signal.SIGKILL), done.stderr
    assert files.read_private(home / "x") in (b"old", b"new")
    if how != "signal=KILL":
        assert "MissyError" in done.stderr
        assert leftovers(home) == []
    for name in leftovers(home):
        os.utime(home / name, (1, 1))
    files.write_private(home / "x", b"again")
    assert files.read_private(home / "x") == b"again"
    assert leftovers(home) == []


def test_stale_temporaries_are_swept(home: Path) -> None:
    """What killed writers left is removed after an hour, of this file only and never a live writer's."""
    folders.ensure_dir(home)
    for name in (".x.1-a.tmp", ".x.2-b.tmp", ".y.1-a.tmp"):
        (home / name).write_bytes(b"")
        os.utime(home / name, (time.time() - 3700,) * 2)
    os.utime(home / ".x.2-b.tmp")
    files.write_private(home / "x", b"1")
    assert sorted(leftovers(home)) == [".x.2-b.tmp", ".y.1-a.tmp"]


def test_write_outside_home_leaves_the_folder_alone(home: Path, tmp_path: Path) -> None:
    """A config file elsewhere is written privately; the folder it is in belongs to the user."""
    (tmp_path / "dots").mkdir()
    (tmp_path / "dots").chmod(0o755)
    files.write_private(tmp_path / "dots" / "m.yaml", b"1")
    assert (mode(tmp_path / "dots"), mode(tmp_path / "dots" / "m.yaml")) == (0o755, 0o600)
    with pytest.raises(MissyError, match="nowhere"):
        files.write_private(tmp_path / "nowhere" / "m.yaml", b"1")


def test_content_may_come_in_pieces(home: Path) -> None:
    """What is written may be made while it is written; if that fails, nothing changes."""
    files.write_private(home / "x", iter([b"a", b"b"]))

    def broken() -> Iterator[bytes]:
        yield b"c"
        raise KeyError

    with pytest.raises(KeyError):
        files.write_private(home / "x", broken())
    assert files.read_private(home / "x") == b"ab"
    assert leftovers(home) == []


def test_reading_has_a_limit(home: Path) -> None:
    """A file of exactly the limit is read; one byte more is an error."""
    files.write_private(home / "x", b"12345")
    assert files.read_private(home / "x", 5) == b"12345"
    with pytest.raises(MissyError, match="larger than 4"):
        files.read_private(home / "x", 4)


def test_missing_file_is_told_apart(home: Path) -> None:
    """A file that is not there has an error of its own, whether or not its folder is there, and none is made."""
    with pytest.raises(os_errors.MissingFile):
        files.read_private(home / "secrets" / "x")
    assert not home.exists()
    folders.ensure_dir(home)
    with pytest.raises(os_errors.MissingFile):
        files.read_private(home / "x")


COUNT = """
file = sys.argv[1]
for _ in range(25):
    with files.lock(file):
        number = int(files.read_private(file))
        files.write_private(file, str(number + 1).encode())
"""


def test_lock_keeps_processes_apart(home: Path) -> None:
    """Four processes that read, add one and write lose no step."""
    files.write_private(home / "n", b"0")
    children = [subprocess.Popen([sys.executable, "-c", CHILD + COUNT, str(home / "n")]) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    assert files.read_private(home / "n") == b"100"


def test_lock_keeps_threads_apart_and_gives_up(home: Path) -> None:
    """A second holder in the same process waits too, and the error when it gives up names the file."""
    with (
        files.lock(home / "x"),
        pytest.raises(MissyError, match=r"/x for more than 0\.05 seconds") as caught,
        files.lock(home / "x", timeout=0.05),
    ):
        pass
    assert caught.value.hint
    with files.lock(home / "x", timeout=0):
        pass


def test_lock_of_a_killed_holder_is_free(home: Path) -> None:
    """When the holder is killed, the next one gets the lock at once."""
    code = "with files.lock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", CHILD + code, str(home / "x")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(MissyError), files.lock(home / "x", timeout=0.05):
            pass
        holder.kill()
        holder.wait(60)
        with files.lock(home / "x", timeout=5):
            pass


def test_errors_inside_a_lock_are_left_alone(home: Path) -> None:
    """What goes wrong while the lock is held is the holder's own error, and the lock is given back."""
    with pytest.raises(FileNotFoundError), files.lock(home / "x"):
        raise FileNotFoundError
    with files.lock(home / "x", timeout=0):
        pass
