"""The sandbox: commands run here, and nowhere else. Linux only, by the kernel's own means.

`full` is namespaces of its own (user, network, mounts, processes, ipc), Landlock and a seccomp filter; `floor` is Landlock
and the filter. A level is believed only after five probes failed in it. Where neither holds, nothing is run.
"""
