"""Where `missy setup` can store a key."""

from __future__ import annotations

# the name of a store -> what that means
STORES: dict[str, str] = {
    "env": "in your shell's environment; the file names the variable only",
    "vault": "encrypted in MISSY_HOME; the file says vault://NAME",
    "keyring": "in the system keyring; the file says keyring://NAME",
    "config": "readable in config.yaml itself (0600), and in its backups",
}
NEEDS_SECRET = ("vault", "keyring", "config")  # the stores that take the key itself
