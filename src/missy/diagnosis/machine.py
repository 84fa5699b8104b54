"""The checks of the machine, for all entries: the home folder, file permissions, the environment, the vault."""

from __future__ import annotations

import os
import shlex
import stat
from typing import TYPE_CHECKING

from missy import folders, os_errors, paths
from missy.checks import Check, failed
from missy.diagnosis.proxies import proxy_from
from missy.errors import MissyError
from missy.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from missy.config.schema import Config

# Variables of other clients, which Missy ignores -> the fix; `{}` in it is the value.
_IGNORED_VARIABLES = {
    "OPENAI_BASE_URL": "missy setup --no-prompt --entry openai --base-url {} --force",
    "OPENAI_API_BASE": "missy setup --no-prompt --entry openai --base-url {} --force",
    "OPENAI_ORG_ID": "unset OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID": "unset OPENAI_PROJECT_ID",
    "OPENAI_CUSTOM_HEADERS": "unset OPENAI_CUSTOM_HEADERS",
    "HTTP_PROXY": "",
    "HTTPS_PROXY": "",
    "ALL_PROXY": "",
    "SSL_CERT_FILE": "network: {{ca_bundle: {}}}",
    "SSL_CERT_DIR": "unset SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE": "network: {{ca_bundle: {}}}",
    "SSLKEYLOGFILE": "unset SSLKEYLOGFILE",
}


def examine_machine() -> Iterator[Check]:
    """Yield the checks of the home folder, its permissions, the environment and the vault. Changes no permissions."""
    try:
        home = paths.home()
        accessible = list(_find_accessible(home))
        if not accessible and home.exists():
            folders.ensure_dir(home)
        yield Check("home", "ok", str(home))
    except (MissyError, OSError) as error:
        known_error = error if isinstance(error, MissyError) else os_errors.fault("read", "MISSY_HOME", error)
        yield failed("home", known_error, 'export MISSY_HOME="$HOME/.missy-new"')
        return
    if accessible:
        names = ", ".join(accessible[:3]) + (
            f" and {len(accessible) - 3} more" if len(accessible) > 3 else ""
        )
        fix = f"chmod -R go= {shlex.quote(str(home))}"
        yield Check("rights", "warn", f"other users may look at {names}", fix)
    yield from _examine_environment()
    yield from _examine_vault(home)


def examine_config(config: Config) -> Iterator[Check]:
    """Yield the checks of the configuration file: its place, who may read it, and whether it contains keys."""
    yield Check("config", "ok", str(config.path) if config.exists else "no config file: defaults")
    if config.exists and config.path.parent != paths.home():
        mode = stat.S_IMODE(os.stat(config.path).st_mode)
        if mode & 0o077:
            detail = f"other users may look at {config.path} (mode {mode:04o})"
            yield Check("rights", "warn", detail, f"chmod 600 {shlex.quote(str(config.path))}")
    for entry in config.providers.values():
        if entry.literal_keys:
            copies = (
                " and its backups contain" if _in_backups(config.path, entry.literal_keys) else " contains"
            )
            name, key = (shlex.quote(one) for one in (entry.entry, f"providers.{entry.entry}.api_key"))
            yield Check(
                f"{entry.entry}: key",
                "warn",
                f"{config.path}{copies} a key; the vault keeps it encrypted",
                f"missy vault set {name}  # then: missy config set {key} vault://{entry.entry}"
                "; missy config backups --prune",
            )


def _in_backups(path: Path, keys: Iterable[str]) -> bool:
    """Tell whether a backup of the configuration contains one of these keys."""
    from missy import files
    from missy.config import backups

    try:
        texts = [files.read_private(one.path).decode(errors="replace") for one in backups.find(path)]
    except MissyError:
        return False
    return any(key in text for text in texts for key in keys)


def _find_accessible(home: Path) -> Iterator[str]:
    """Yield the files and folders that other users may access, with their modes. Links are not followed."""
    if not home.exists():
        return
    for path in (home, *_list_folder(home), *_list_folder(home / "secrets")):
        info = path.lstat()
        if not stat.S_ISLNK(info.st_mode) and info.st_mode & 0o077:
            yield f"{path} (mode {stat.S_IMODE(info.st_mode):04o})"


def _list_folder(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def _examine_environment() -> Iterator[Check]:
    for name, fix in _IGNORED_VARIABLES.items():
        found = next((one for one in (name, name.lower()) if os.environ.get(one)), None)
        if found:
            line = fix.format(shlex.quote(os.environ[found])) if fix else proxy_from(os.environ)[1]
            line = f"unset {found}" if "@" in line or not line else line  # it may contain a password
            yield Check("environment", "warn", f"{found} is set, but Missy ignores it", line)


def _examine_vault(home: Path) -> Iterator[Check]:
    """Yield the check of the vault: it is opened with its key."""
    from missy.secrets.vault import Vault

    vault = Vault(home)
    try:
        names = vault.names()
        place = vault.key_place()
        if place is None:
            return
        for name in list(names)[:1]:
            vault.get(name)
    except MissyError as error:
        yield failed("vault", error, fix=f"ls -l {shlex.quote(str(vault.file.parent))}")
        return
    where = "the system keyring" if place == "keyring" else f"{vault.key_file.name} in the same folder"
    yield Check("vault", "ok", f"{counted(len(names), 'secret')}; its key is in {where}")
