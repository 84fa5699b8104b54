"""Programs that run other programs: a rule that names only the beginning of their words would allow anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUNNER_NAMES = """
sh bash dash zsh ksh fish csh tcsh ash busybox toybox env xargs find fd parallel nice ionice nohup timeout
time stdbuf setsid script watch flock chroot unshare nsenter setpriv runuser su sudo doas pkexec ssh scp sftp
rsync awk gawk mawk nawk sed perl python python2 python3 pypy pypy3 ruby node nodejs deno bun php lua luajit
tclsh expect R Rscript julia java jshell osascript make gmake cmake ninja meson bazel gradle mvn ant rake just
task tar cpio zip unzip 7z man less more most vi vim nvim view ex ed emacs nano pip pip3 pipx uv uvx poetry
pdm hatch conda npm npx pnpm pnpx yarn corepack bundle gem cargo rustup go composer docker podman kubectl gdb
lldb strace ltrace perf ld.so tox nox pytest pre-commit screen tmux at batch crontab systemd-run dbus-send
socat nc ncat telnet openssl sqlite3 psql mysql m4 dc gcc g++ cc c++ clang tee dd install git-shell eval exec
command source
"""
_RUNNERS = frozenset(_RUNNER_NAMES.split())
# Arguments with which a harmless subcommand of git runs another program, or writes where it is told to.
_GIT_OPTIONS = (
    "-c", "-C", "--exec", "-x", "--exec-path", "--upload-pack", "--receive-pack", "--ext-diff", "--textconv", "--output",
    "-O", "--open-files-in-pager", "--config-env", "--config", "--git-dir", "--work-tree", "--namespace", "--template",
    "--editor", "--gpg-sign", "-S", "--no-index", "--paginate", "-p",
)  # fmt: skip
# Subcommands of git that run programs or reach the network.
_GIT_COMMANDS = """
bisect submodule rebase filter-branch difftool mergetool config alias hook gui citool clone fetch pull push
remote ls-remote archive daemon instaweb request-pull send-email web--browse help
"""
_GIT_RUNS = frozenset(_GIT_COMMANDS.split())


def runs_programs(argv: Sequence[str]) -> bool:
    """Tell whether the words name a program that runs another one, or code that is among its arguments."""
    name = argv[0].rpartition("/")[2].lower() if argv else ""
    bare = name.removesuffix(".exe").rstrip("0123456789.")
    if name in _RUNNERS or bare in _RUNNERS:
        return True
    return name == "git" and (len(argv) < 2 or argv[1].startswith("-") or argv[1] in _GIT_RUNS)


def has_running_option(argv: Sequence[str]) -> bool:
    """Tell whether a further argument of git would make it run another program, or leave the workspace."""
    if not argv or argv[0].rpartition("/")[2] != "git":
        return False
    for word in argv[2:]:
        if word == "--":
            return False
        name = word.partition("=")[0]
        if name in _GIT_OPTIONS or (word.startswith(("-O", "-x", "-c", "-C")) and not word.startswith("--")):
            return True
        if name.startswith("--") and len(name) > 3 and any(long.startswith(name) for long in _GIT_OPTIONS):
            return True  # git accepts the unique beginning of a long option
    return False
