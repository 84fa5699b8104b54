"""Ways out of a box, tried one by one: `python attacks.py PLACES`. Prints the names of those that are open.

It runs inside the box and imports the standard library alone. PLACES is a JSON object: what lies outside, and where.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import platform
import signal
import socket
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
NUMBERS = {  # x86-64, aarch64
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "pidfd_getfd": (438, 438), "io_uring_setup": (425, 425),
    "keyctl": (250, 219), "userfaultfd": (323, 282), "bpf": (321, 280), "perf_event_open": (298, 241), "clone3": (435, 435),
    "mount": (165, 40), "open_by_handle_at": (304, 265), "setns": (308, 268), "open_tree": (428, 428), "kcmp": (312, 272),
}  # fmt: skip


def syscall(name, *arguments):
    number = NUMBERS[name][0 if X86 else 1]
    result = LIBC.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as one:
        one.settimeout(5)
        one.connect(address)
        if kind == socket.SOCK_DGRAM:
            one.send(b"x")


def libc(what, *arguments):
    if getattr(LIBC, what)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), what)


def attacks(p):
    pid, out, ws = int(p["pid"]), p["outside"], p["workspace"]
    secret, victim = f"{out}/secret", f"{out}/victim"
    link = f"{ws}/link-{os.getpid()}"

    def through_a_link():
        os.symlink(secret, link)
        open(link).close()

    def append():
        with open(victim, "a") as file:
            file.write("x")

    def remote_memory():
        local = (ctypes.c_char * 8)()
        vec = struct.pack("=QQ", ctypes.addressof(local), 8)
        syscall(
            "process_vm_readv",
            pid,
            vec,
            ctypes.c_ulong(1),
            struct.pack("=QQ", p["address"], 8),
            ctypes.c_ulong(1),
            ctypes.c_ulong(0),
        )

    def descriptor():
        syscall("pidfd_getfd", os.pidfd_open(pid), 0, 0)

    def terminal():
        master, slave = os.openpty()
        fcntl.ioctl(slave, 0x5412, b"x")
        os.close(master)

    def inherited():
        found = [one for one in os.listdir("/proc/self/fd") if int(one) > 2]
        for one in found:
            try:
                target = os.readlink(f"/proc/self/fd/{one}")
            except OSError:
                continue
            if target.startswith(out) or "socket" in target or "pipe" in target:
                return
        raise OSError

    def user_namespace():
        if LIBC.unshare(0x10000000) != 0:
            raise OSError

    def namespace_by_clone3():
        args = struct.pack("=QQQQQQQQ", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
        if syscall("clone3", args, ctypes.c_size_t(len(args))) == 0:
            os._exit(0)
        os.wait()

    return {
        "read a secret": lambda: open(secret).close(),
        "list outside": lambda: os.listdir(out),
        "stat outside": lambda: os.stat(secret),
        "write outside": lambda: open(f"{out}/new", "w").close(),
        "append outside": append,
        "truncate outside": lambda: os.truncate(victim, 0),
        "delete outside": lambda: os.unlink(f"{out}/doomed"),
        "rename inside": lambda: os.rename(f"{out}/movable", f"{ws}/moved"),
        "hard link inside": lambda: os.link(secret, f"{ws}/hard-{os.getpid()}"),
        "read through a link": through_a_link,
        "chmod outside": lambda: os.chmod(victim, 0o777),
        "utime outside": lambda: os.utime(victim, (1, 1)),
        "setxattr outside": lambda: os.setxattr(victim, "user.x", b"x"),
        "write /etc": lambda: open("/etc/missy-attack", "w").close(),
        "read a block device": lambda: os.close(os.open(p["device"], os.O_RDONLY)),
        "read the other home": lambda: os.listdir(p["home"]),
        "parent's environ": lambda: open(f"/proc/{pid}/environ", "rb").read(1)[0],
        "parent's cmdline": lambda: open(f"/proc/{pid}/cmdline", "rb").read(1)[0],
        "parent's fds": lambda: os.listdir(f"/proc/{pid}/fd"),
        "parent's memory": lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY)),
        "parent's root": lambda: os.listdir(f"/proc/{pid}/root{out}"),
        "parent's cwd": lambda: os.listdir(f"/proc/{pid}/cwd/"),
        "signal the parent": lambda: os.kill(pid, 0),
        "ptrace the parent": lambda: syscall("ptrace", ctypes.c_long(0x4206), ctypes.c_long(pid), None, None),
        "read its memory": remote_memory,
        "take its descriptor": descriptor,
        "compare with it": lambda: syscall("kcmp", pid, pid, 0, ctypes.c_ulong(0), ctypes.c_ulong(0)),
        "TCP to loopback": lambda: connect(socket.AF_INET, ("127.0.0.1", p["tcp"])),
        "TCP over IPv6": lambda: connect(socket.AF_INET6, ("::1", p["tcp6"])),
        "UDP to loopback": lambda: connect(socket.AF_INET, ("127.0.0.1", p["udp"]), socket.SOCK_DGRAM),
        "unix socket outside": lambda: connect(socket.AF_UNIX, p["unix"]),
        "unix socket in the workspace": lambda: connect(socket.AF_UNIX, p["unix_inside"]),
        "abstract unix socket": lambda: connect(socket.AF_UNIX, "\0" + p["abstract"]),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(),
        "vsock": lambda: socket.socket(40, socket.SOCK_STREAM).close(),
        "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
        "crypto socket": lambda: socket.socket(38, socket.SOCK_SEQPACKET).close(),
        "user namespace": user_namespace,
        "user namespace by clone3": namespace_by_clone3,
        "mount": lambda: libc("mount", b"none", f"{ws}/m".encode(), b"tmpfs", 0, None),
        "open_tree": lambda: syscall("open_tree", -100, b"/", 1),
        "io_uring": lambda: syscall("io_uring_setup", 1, (ctypes.c_char * 120)()),
        "keyctl": lambda: syscall("keyctl", 0, ctypes.c_long(-3), 1),
        "userfaultfd": lambda: syscall("userfaultfd", 1),
        "bpf": lambda: syscall("bpf", 0, struct.pack("=IIII", 2, 4, 4, 1) + bytes(100), 116),
        "perf": lambda: syscall("perf_event_open", struct.pack("=II", 1, 120) + bytes(112), 0, -1, -1, 0),
        "type into a terminal": terminal,
        "inherited descriptor": inherited,
        "device node": lambda: os.mknod(f"{ws}/node-{os.getpid()}", 0o20600, os.makedev(1, 1)),
    }


def main():
    for name, attempt in attacks(json.loads(sys.argv[1])).items():
        try:
            attempt()
        except (OSError, IndexError, AttributeError):
            continue
        print(name, flush=True)
    print("done", flush=True)


if __name__ == "__main__":
    main()
