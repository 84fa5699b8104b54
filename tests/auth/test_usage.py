"""The limits of a subscription as a stream tells them."""

from __future__ import annotations

from missy.auth.usage import read_event

WINDOW = {"used_percent": 3, "window_minutes": 60, "reset_after_seconds": 5}


def test_an_event_without_limits_tells_none():
    """No limits, limits of another shape, and no window in them."""
    for data in ({}, {"rate_limits": "many"}, {"rate_limits": []}, {"rate_limits": {"primary": 5}}):
        assert read_event(data) is None


def test_a_window_of_another_shape_costs_only_itself():
    """The other one is told."""
    found = read_event({"rate_limits": {"primary": "soon", "secondary": WINDOW}})
    assert found is not None
    assert found["primary"] is None
    assert found["secondary"]["used_percent"] == 3
