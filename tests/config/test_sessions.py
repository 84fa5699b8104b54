"""The section `sessions`: which conversations are stored unasked, and for how long."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("section", "shown"),
    [
        ("", "run"),
        ("sessions:\n", "run"),
        ("sessions: {save: all, keep_days: 30}\n", "all"),
        ("sessions: {save: none, keep_days: null}\n", "none"),
    ],
)
def test_it_is_shown_as_it_is_in_force(section, shown, missy):
    """`config show` says what holds, defaults filled in."""
    missy.config("providers: {}\n" + section)
    ran = missy.inside("config", "show")
    assert (ran.code, f"save: {shown}" in ran.text) == (0, True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("save: al", "did you mean all?"),
        ("save: true", "allowed run | all | none"),
        ("save: null", "allowed run | all | none"),
        ("keep_days: 0", "a whole number of days"),
        ("keep_days: 1.5", "a whole number of days"),
        ("keep_days: true", "a whole number of days"),
        ("kepp_days: 3", "did you mean keep_days?"),
    ],
)
def test_what_cannot_be_is_told(line, said, missy):
    """File, line, key, what was found and what is allowed; exit 2."""
    path = missy.config(f"providers: {{}}\nsessions:\n  {line}\n")
    ran = missy.inside("config", "validate")
    assert ran.code == 2
    assert f"{path}:3: sessions.{line.split(':')[0]}" in ran.err
    assert said in ran.err
