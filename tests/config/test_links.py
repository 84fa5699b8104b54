"""A config.yaml that is a symbolic link, and a home of another user: what is written, and what is said."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.command import Command

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
TEXT = "# mine\nproviders:\n  a:\n    name: openai\n    base_url: http://127.0.0.1:9/v1\n    model: m\n"


@pytest.fixture
def linked(missy: Command, home: Path, tmp_path: Path) -> Path:
    """A configuration kept with other dotfiles, linked into the home. Returns the file itself."""
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir(mode=0o755)
    file = dotfiles / "missy.yaml"
    file.write_text(TEXT)
    file.chmod(0o644)
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "config.yaml").symlink_to("../" * 9 + str(file)[1:] if len(home.parts) < 9 else file)
    return file


def test_a_link_of_ones_own_is_written_through(missy: Command, linked: Path, home: Path) -> None:
    """Every command that edits changes the file, the link and the comments stay, and backups are beside the link."""
    link = home / "config.yaml"
    for args in (
        ("config", "set", "providers.a.model", "n"),
        ("setup", "--no-prompt", "--entry", "b", "--base-url", "http://127.0.0.1:9/v1", "--model", "x"),
        ("providers", "switch", "b"),
        ("config", "unset", "providers.a.model"),
    ):
        before = linked.read_text()
        assert missy.inside(*args).code == 0, args
        assert link.is_symlink()
        assert linked.read_text() != before
        assert "# mine" in linked.read_text()
    assert [path.name for path in linked.parent.iterdir()] == ["missy.yaml"]
    assert list(home.glob("config.yaml.bak-*"))
    assert stat.S_IMODE(linked.stat().st_mode) == 0o600
    assert missy.inside("config", "diff").code == 0
    assert missy.inside("config", "rollback").code == 0
    assert link.is_symlink()


def test_a_link_to_a_link_is_followed(missy: Command, linked: Path, home: Path) -> None:
    """As long as each of them is one's own."""
    (home / "between").symlink_to(linked)
    (home / "config.yaml").unlink()
    (home / "config.yaml").symlink_to("between")
    assert missy.inside("config", "set", "providers.a.model", "n").code == 0
    assert "model: n" in linked.read_text()
    assert (home / "between").is_symlink()


def test_a_link_into_a_folder_of_others_is_not_written_through(missy: Command, linked: Path) -> None:
    """Where others could turn the link or its target, the file is named to be edited by hand, and stays."""
    linked.parent.chmod(0o777)
    done = missy.inside("config", "set", "providers.a.model", "n")
    assert done.code != 0
    assert f"edit {linked} yourself" in done.err
    assert linked.read_text() == TEXT


@AS_ROOT
def test_a_link_of_another_user_is_not_written_through(missy: Command, linked: Path, home: Path) -> None:
    """Nor is a file of another user behind one's own link."""
    link = home / "config.yaml"
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    assert missy.inside("config", "set", "providers.a.model", "n").code != 0
    os.chown(link, 0, 0, follow_symlinks=False)
    os.chown(linked, NOBODY, NOBODY)
    assert missy.inside("config", "set", "providers.a.model", "n").code != 0
    assert linked.read_text() == TEXT


@AS_ROOT
def test_what_belongs_to_another_user_is_left_to_them(missy: Command, home: Path) -> None:
    """A home, or a configuration, of another user: run as them or have a home of one's own; nothing is to be chowned."""
    missy.config(TEXT)
    for path in (home / "config.yaml", home):
        os.chown(path, 1000, 1000)
        for args in (("ask", "hi"), ("init",)):
            done = missy.inside(*args)
            assert done.code != 0 or args == ("init",)
            assert "chown" not in done.err
        assert "--user 1000" in missy.inside("ask", "hi").err
    os.chown(home, 0, 0)
    os.chown(home / "config.yaml", 0, 0)
