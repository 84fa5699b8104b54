"""What is read from a token: what is there, and nothing that is not."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missy.auth.claims import Claims, read_claims

AUTH = "https://api.openai.com/auth"


def jwt(payload: object) -> str:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return f"e30.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}.sig"


def test_every_claim_that_is_used_is_read():
    """E-mail, plan, account, end and the FedRAMP flag."""
    auth = {
        "chatgpt_account_id": "acc-1",
        "chatgpt_plan_type": "a plan of the future",
        "chatgpt_account_is_fedramp": True,
    }
    claims = read_claims(jwt({"exp": 4_000_000_000, "email": "ada@example.com", AUTH: auth}))
    assert claims == Claims("acc-1", "ada@example.com", "a plan of the future", 4_000_000_000, True)


def test_the_email_may_be_in_the_profile():
    """Access tokens keep it there."""
    assert read_claims(jwt({"https://api.openai.com/profile": {"email": "a@b.c"}})).email == "a@b.c"


def test_sub_and_organizations_are_never_an_account():
    """The backend knows neither of them."""
    assert read_claims(jwt({"sub": "auth0|x", AUTH: {"organizations": [{"id": "org-1"}]}})).account_id is None


@pytest.mark.parametrize(
    "exp",
    [
        None,
        -1,
        0,
        10**30,
        "soon",
        "4000000000",
        True,
        [],
        {},
        float("inf"),
        float("-inf"),
        float("nan"),
        1e300,
    ],
    ids=repr,
)
def test_an_end_that_is_no_moment_is_none(exp):
    """Missing, negative, huge, a string, a bool: unreadable, which is not the same as over."""
    assert read_claims(jwt({"exp": exp})).expires_at is None


@pytest.mark.parametrize("account", ["a b", "a\r\nx: y", "é", "", 5, None, "x" * 400], ids=repr)
def test_an_account_that_could_not_go_into_a_header_is_none(account):
    """The account id becomes a header: no line end, no space, no odd character."""
    assert read_claims(jwt({AUTH: {"chatgpt_account_id": account}})).account_id is None


@pytest.mark.parametrize(
    "token",
    ["", "opaque", "a.b", "a.b.c.d", "a.!!!.c", jwt(b"[]"), jwt(b"[" * 40_000), "x." + "A" * 99_999 + ".y"],
    ids=range(8),
)
def test_what_is_no_jwt_has_no_claims(token):
    """An opaque token is legal and says nothing."""
    assert read_claims(token) == Claims()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda c: st.dictionaries(
            st.sampled_from([AUTH, "exp", "email", "chatgpt_account_id", "chatgpt_plan_type"]), c
        ),
        max_leaves=8,
    )
)
def test_no_payload_makes_it_fail(payload):
    """Whatever is in a token, reading it raises nothing."""
    assert isinstance(read_claims(jwt(payload)), Claims)
