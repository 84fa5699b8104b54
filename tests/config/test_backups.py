"""Backups: the last ten, in order, private; differences without keys; rolling back loses nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy.errors import ConfigError, MissyError, UsageError
from tests.config.test_edit import HAND, write
from tests.configuration import backups, edit


def turn(path: Path, number: int) -> None:
    """Change the configuration in a way that can be told from others."""
    edit.set_value(path, "providers.lab.max_retries", number)


def numbers(path: Path) -> list[int]:
    """What the backups hold, the newest first; -1 for the text that nobody changed."""
    texts = [found.path.read_text() for found in backups.find(path)]
    return [int(text.split("max_retries: ")[1].split()[0]) if "max_retries" in text else -1 for text in texts]


def test_the_last_ten_are_kept_in_order(home: Path) -> None:
    """Each change adds the file as it was before; of more than ten the oldest go, also within one second."""
    path = write(home, HAND)
    for number in range(13):
        turn(path, number)
    assert numbers(path) == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]
    assert [found.number for found in backups.find(path)] == list(range(1, 11))
    assert "max_retries: 12" in path.read_text()


def test_a_backup_is_what_was_there_byte_for_byte_and_private(home: Path) -> None:
    """Whatever the umask, a backup is 0600 and holds the very bytes that were replaced."""
    path = write(home, HAND.replace("\n", "\r\n"))
    before = path.read_bytes()
    old = os.umask(0)
    try:
        turn(path, 1)
    finally:
        os.umask(old)
    (found,) = backups.find(path)
    assert found.path.read_bytes() == before
    assert found.path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_clock_that_goes_back_does_not_mix_the_order(home: Path) -> None:
    """A backup with a date in the future stays older than what is kept after it."""
    path = write(home, HAND)
    turn(path, 1)
    (found,) = backups.find(path)
    found.path.rename(path.with_name("config.yaml.bak-29990101-000000"))
    turn(path, 2)
    turn(path, 3)
    assert numbers(path) == [2, 1, -1]
    assert backups.find(path)[0].path.name == "config.yaml.bak-29990101-000000-2"


def test_only_backups_of_this_file_count(home: Path) -> None:
    """Files of other names, other configurations' backups and half-written ones are no backups; the last go."""
    path = write(home, HAND)
    for name in (
        "config.yaml.bak",
        "config.yaml.bak-2026",
        "other.yaml.bak-20260101-000000",
        "config.yaml.bak-20260101-000000x",
    ):
        (home / name).write_text("x")
    half = home / ".config.yaml.bak-20260101-000000.77-abc.tmp"
    half.write_text("x")
    assert backups.find(path) == []
    turn(path, 1)
    assert len(backups.find(path)) == 1
    assert not half.exists()
    assert backups.find(home / "nowhere" / "config.yaml") == []


def test_rollback_is_backed_up_itself(home: Path) -> None:
    """Rolling back puts the backup's bytes in place; doing it again undoes it."""
    path = write(home, HAND)
    turn(path, 1)
    changed = path.read_text()
    assert backups.rollback(path)
    assert path.read_text() == HAND
    assert backups.find(path)[0].path.read_text() == changed
    assert backups.rollback(path)
    assert path.read_text() == changed


def test_rollback_to_the_tenth_survives_the_pruning(home: Path) -> None:
    """The oldest backup can be put in place although keeping the present one pushes it out."""
    path = write(home, HAND)
    for number in range(12):
        turn(path, number)
    assert backups.rollback(path, 10)
    assert "max_retries: 1\n" in path.read_text()
    assert numbers(path) == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]


def test_rollback_restores_a_deleted_file(home: Path) -> None:
    """A configuration that was deleted by accident comes back."""
    path = write(home, HAND)
    turn(path, 1)
    path.unlink()
    assert backups.rollback(path)
    assert path.read_text() == HAND


def test_rollback_to_the_same_changes_nothing(home: Path) -> None:
    """A backup that equals the file is not written and makes no further backup."""
    path = write(home, HAND)
    turn(path, 1)
    path.write_text(HAND)
    assert not backups.rollback(path)
    assert len(backups.find(path)) == 1


def test_a_broken_configuration_can_be_rolled_back_from_but_not_to(home: Path) -> None:
    """A file that was broken by hand is replaced and kept; a backup that cannot be loaded is refused."""
    path = write(home, HAND)
    turn(path, 1)
    path.write_text("providers: [\n")
    assert backups.rollback(path)
    assert path.read_text() == HAND
    with pytest.raises(ConfigError):
        backups.rollback(path)
    assert path.read_text() == HAND


def test_a_number_that_is_not_there_is_a_usage_error(home: Path) -> None:
    """The error says which backups there are."""
    path = write(home, HAND)
    with pytest.raises(UsageError, match="no backup 1") as caught:
        backups.rollback(path)
    assert "no command has changed it" in caught.value.hint
    turn(path, 1)
    with pytest.raises(UsageError, match="no backup 2") as caught:
        backups.diff(path, 2)
    assert "to 1" in caught.value.hint


def test_a_backup_is_not_read_through_a_symlink(home: Path) -> None:
    """A symlink that was put in a backup's place is refused."""
    path = write(home, HAND)
    (home / "secret").write_text("top: secret\n")
    (home / "config.yaml.bak-20260101-000000").symlink_to(home / "secret")
    with pytest.raises(MissyError, match=r"symbolic link|Too many levels"):
        backups.diff(path)


def test_a_difference_shows_what_changed(home: Path) -> None:
    """The difference is a unified one, from the backup to the present file; without one it is empty."""
    path = write(home, HAND)
    turn(path, 7)
    shown = backups.diff(path)
    assert shown.startswith("--- config.yaml.bak-")
    assert "\n+++ config.yaml\n" in shown
    assert "\n+        max_retries: 7" in shown
    path.write_text(HAND)
    assert backups.diff(path) == ""


WAYS = [
    "providers: {{x: {{api_key: {key}}}}}",
    "providers: {{x: {{api_key: $A, api_keys: [$B, {key}], broken: [",
    "providers:\n  x:\n    api_key: {key}",
    "providers:\n  x:\n    api_key: '{key}'  # mine",
    'providers:\n  x:\n    "api_key": "{key}"',
    "providers:\n  x:\n    api_key:\n      {key}",
    "providers:\n  x:\n    api_key: |-\n      {key}\n    model: m",
    "providers:\n  x:\n    api_keys: [$A, {key}]",
    "providers:\n  x:\n    api_keys:\n    - $A\n    - {key}",
    "providers:\n  x:\n    api_keys:\n      - $A\n      - {key}  # second\n    model: m",
    "providers:\n  x:\n    api_keys: [\n  $A,\n {key}]\n",
    "providers:\n  x:\n    model: m\n    #api_key: {key}",
    "providers:\n  #x:\n  #  api_keys:\n  #  - {key}",
    "providers:\n  x:\n    api_key: {key}\n    broken: [",
    "providers:\n  x:\n    api_keys:\n    - {key}\n  broken",
    "providers:\n  x:\n    api_key: $NEW  # was {key}",
    "providers:\n  x:\n    api_keys:\n    - $A\n    # - {key}\n    # old: {key} of may",
    "network:\n  proxy: http://user:{key}@proxy.example:3128",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_writing_a_key_shows_it(home: Path, way: str) -> None:
    """In any style, in comments, in broken files: a difference masks the key, and still says that it changed."""
    old, new = (way.format(key=key) + "\n" for key in ("Kj3hfKJH34kjhaaa", "Zz9hfKJH34kjhbbb"))
    shown = backups.compare(old, new, "a", "b")
    assert "Kj3hf" not in shown
    assert "Zz9hf" not in shown
    assert "***" in shown
    assert "\n-" in shown
    assert "\n+" in shown


@pytest.mark.parametrize(
    "value", ["$GROQ_API_KEY", "vault://groq", "keyring://svc/groq", "null", '"$QUOTED"', "[$A, '$B']", "[]"]
)
def test_references_are_shown(value: str) -> None:
    """A reference is no secret: the difference shows it."""
    shown = backups.compare("x: 1\n", f"providers:\n  x:\n    api_key: {value}  # from there\n", "a", "b")
    assert f"+    api_key: {value}  # from there" in shown


@settings(max_examples=100)
@given(st.text(max_size=200), st.text(max_size=200))
def test_any_two_texts_can_be_compared(one: str, other: str) -> None:
    """Whatever files hold, comparing them does not fail, and equal ones have no difference."""
    backups.compare(one, other, "a", "b")
    assert backups.compare(one, one, "a", "b") == ""


def test_headers_and_query_are_masked_and_their_names_are_not() -> None:
    """What an entry sends besides its key is shown by its name in a difference, in a file that is broken too."""
    text = "providers:\n  gw:\n    headers:\n      x-token: canary-1\n      x-ref: $T\n    query: {sig: canary-2}\n"
    for new in (text, text + "broken: [\n"):
        shown = backups.compare("x: 1\n", new, "a", "b")
        assert "canary" not in shown
        assert "+      x-token: ***" in shown
        assert "+      x-ref: $T" in shown


def test_a_key_of_a_known_form_is_masked_wherever_it_stands() -> None:
    """A key that was typed in the place of a name or a model is not shown either."""
    for line in (
        "  sk-proj-abcdef123456: {}",
        "  a: {model: gsk_abcdef123456}",
        "  # was AIzaSyAbcdefghijklmnopq",
    ):
        shown = backups.compare("x: 1\n", f"providers:\n{line}\n", "a", "b")
        assert "abcdef" not in shown
        assert "Abcdef" not in shown


def test_a_very_short_value_is_masked_where_it_stands_and_nowhere_else() -> None:
    """Three letters are no key that could be found in other words."""
    shown = backups.mask("providers:\n  lab:\n    name: openai\n    api_key: lab\n    model: laboratory\n")
    assert shown == ["providers:", "  lab:", "    name: openai", "    api_key: ***", "    model: laboratory"]
