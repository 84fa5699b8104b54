"""The seccomp filter: which system calls a boxed program may make. Pure: the program is made here and installed by `child`.

Only the calls that lead out of the other walls are refused; see seccomp(2). The architecture is checked first, as numbers
differ; clone3 is answered with ENOSYS, so that the C library falls back to clone, whose flags a filter can see.
"""

from __future__ import annotations

import errno
import struct

# name -> number on x86-64, on aarch64 (asm-generic); None where there is no such call
_DENIED: dict[str, tuple[int | None, int]] = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_getfd": (438, 438), "kcmp": (312, 272), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "syslog": (103, 116), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171), "sethostname": (170, 161),
    "setdomainname": (171, 162), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262), "vhangup": (153, 58), "personality": (135, 92), "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42), "move_pages": (279, 239), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
}  # fmt: skip
_DENIED_X86 = {
    "iopl": 172,
    "ioperm": 173,
    "modify_ldt": 154,
    "uselib": 134,
    "sysfs": 139,
    "_sysctl": 156,
    "ustat": 136,
}
_XATTR = {"setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
          "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
          "removexattrat": (466, 466)}  # fmt: skip
_CLONE, _SOCKET, _SOCKETPAIR, _IOCTL = (56, 220), (41, 198), (53, 199), (16, 29)
_CLONE3 = 435
_CONNECT, _SENDTO, _SENDMSG, _SENDMMSG = (42, 203), (44, 206), (46, 211), (307, 269)
_FAST_OPEN = 0x20000000  # a flag with which the three connect
_TYPE_MASK, _STREAM, _TCP = 0xF, 1, 6
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_NAMESPACES = 0x7E020000  # every CLONE_NEW flag that clone takes
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
_X32 = 0x40000000
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_NR, _ARCH, _ARG0, _ARG1, _ARG2, _ARG3 = (
    0,
    4,
    16,
    24,
    32,
    40,
)  # offsets in struct seccomp_data; the low half of an argument

Line = tuple[int, int, int, int]


def make_filter(machine: str, *, network: bool, serves: bool = False) -> bytes | None:
    """Return the program for an architecture, None for one whose numbers are not known: then there is no sandbox.

    `network` allows the sockets of a network that is the box's own; `serves`, in the network of the machine, TCP sockets
    that listen and accept, and never connect.
    """
    if machine not in ARCHITECTURES:
        return None
    column, arch = ARCHITECTURES[machine]
    lines: list[Line] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NR),
    ]
    if machine == "x86_64":
        lines += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    lines += _case(_CLONE3, [(_RETURN, 0, 0, ERRNO | errno.ENOSYS)])
    lines += _case(
        _CLONE[column],
        [(_LOAD, 0, 0, _ARG0), (_ANY_BIT, 0, 1, _NAMESPACES), _error(errno.EPERM), (_RETURN, 0, 0, ALLOW)],
    )
    families = (AF_INET, AF_INET6) if network else ()
    lines += _case(_SOCKET[column], _TCP_ALONE if serves else _one_of(_ARG0, families, errno.EAFNOSUPPORT))
    if serves:
        lines += _case(_CONNECT[column], [_error(errno.EACCES)])
        for numbers, flags in ((_SENDTO, _ARG3), (_SENDMSG, _ARG2), (_SENDMMSG, _ARG3)):
            refused = [(_ANY_BIT, 0, 1, _FAST_OPEN), _error(errno.EACCES), (_RETURN, 0, 0, ALLOW)]
            lines += _case(numbers[column], [(_LOAD, 0, 0, flags), *refused])
    lines += _case(_SOCKETPAIR[column], _one_of(_ARG0, (AF_UNIX,), errno.EAFNOSUPPORT))
    terminal = [
        (_EQUAL, 1, 0, _TIOCSTI),
        (_EQUAL, 0, 1, _TIOCLINUX),
        _error(errno.EPERM),
        (_RETURN, 0, 0, ALLOW),
    ]
    lines += _case(_IOCTL[column], [(_LOAD, 0, 0, _ARG1), *terminal])
    for numbers in _XATTR.values():
        lines += _case(numbers[column], [_error(errno.EOPNOTSUPP)])
    denied = [numbers[column] for numbers in _DENIED.values()]
    denied += list(_DENIED_X86.values()) if machine == "x86_64" else []
    for number in denied:
        if number is not None:
            lines += _case(number, [_error(errno.EPERM)])
    lines.append((_RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _case(number: int, block: list[Line]) -> list[Line]:
    """Return the lines for one call: a block that ends by returning, passed over for every other number."""
    return [(_EQUAL, 0, len(block), number), *block]


def _one_of(offset: int, allowed: tuple[int, ...], error: int) -> list[Line]:
    checks = [(_EQUAL, len(allowed) - at, 0, value) for at, value in enumerate(allowed)]
    return [(_LOAD, 0, 0, offset), *checks, _error(error), (_RETURN, 0, 0, ALLOW)]


def _error(number: int) -> Line:
    return (_RETURN, 0, 0, ERRNO | number)


_TCP_ALONE = [
    (_LOAD, 0, 0, _ARG0), (_EQUAL, 0, 7, AF_INET), (_LOAD, 0, 0, _ARG1), (_AND, 0, 0, _TYPE_MASK), (_EQUAL, 0, 4, _STREAM),
    (_LOAD, 0, 0, _ARG2), (_EQUAL, 1, 0, 0), (_EQUAL, 0, 1, _TCP), (_RETURN, 0, 0, ALLOW), _error(errno.EAFNOSUPPORT),
]  # fmt: skip
