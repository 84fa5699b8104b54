"""`missy config backups|diff|rollback` from outside."""

from __future__ import annotations

import re

from tests.command import Command
from tests.configuration import edit

CONFIG = (
    "# mine\nproviders:\n  lab:\n    api_key: Kj3hfKJH34kjh  # work's\n    base_url: http://127.0.0.1:9/v1\n"
)


def test_a_change_can_be_seen_and_undone(missy: Command) -> None:
    """The backups are listed newest first, the difference shows no key, and a rollback brings the bytes back."""
    path = missy.config(CONFIG)
    assert missy("config", "backups", "--json").json() == []
    assert missy("config", "backups").code == 0
    edit.set_value(path, "providers.lab.model", "m1")
    edit.set_value(path, "providers.lab.api_key", "Zz9hfKJH34kjh")
    listed = missy("config", "backups", "--json").json()
    assert [one["n"] for one in listed] == [1, 2]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one["time"]) for one in listed)
    assert len(missy("config", "backups").text.splitlines()) == 2
    shown = missy("config", "diff", "2").text
    assert "+    model: m1" in shown
    assert "-    api_key: ***  # work's" in shown
    assert "Kj3hf" not in shown
    assert "Zz9hf" not in shown
    done = missy("config", "rollback", "2")
    assert (done.code, done.out) == (0, b"")
    assert path.read_text() == CONFIG
    assert missy("config", "rollback").code == 0
    assert "Zz9hfKJH34kjh" in path.read_text()


def test_another_configuration_has_its_own_backups(missy: Command) -> None:
    """--config names whose backups are meant."""
    path = missy.config(CONFIG)
    edit.set_value(path, "providers.lab.model", "m1")
    other = path.with_name("other.yaml")
    assert missy("--config", str(other), "config", "backups", "--json").json() == []


def test_a_backup_that_is_not_there_is_wrong_use(missy: Command) -> None:
    """Numbers start at 1 and end with the oldest; anything else exits 2."""
    missy.config(CONFIG)
    for command in (("diff",), ("rollback", "3"), ("diff", "0"), ("rollback", "x")):
        done = missy("config", *command)
        assert done.code == 2
        assert "Traceback" not in done.err


def test_nothing_to_show_is_said(missy: Command) -> None:
    """Equal files have no difference: stdout stays empty, stderr says so."""
    path = missy.config(CONFIG)
    edit.set_value(path, "providers.lab.model", "m1")
    path.write_text(CONFIG)
    done = missy("config", "diff")
    assert (done.code, done.out) == (0, b"")
    assert "nothing has changed" in done.err
    assert "already" in missy("config", "rollback").err
