"""An ID token is believed only with the issuer's signature and the right claims, each of which is tried wrong."""

from __future__ import annotations

import json

import pytest

from missy.auth.siwc.id_token import IdentityRefused, Keys, verify
from missy.errors import ProviderError
from missy.secrets.redact import Secret
from tests.simulator.siwc_issuer import URL, SiwcIssuer, _b64, _public

CLIENT, NONCE, SUBJECT = "oaiapp_one", "n" * 43, "user-ada"
NOW = 1_795_000_000.0
GOOD = {
    "iss": URL, "sub": SUBJECT, "aud": [CLIENT], "iat": int(NOW), "exp": int(NOW) + 60, "nonce": NONCE,
    "email": "ada@example.com",
}  # fmt: skip


def check(token: str, *published: int, **expected: object):
    """Verify a token with these keys of the issuer."""
    keys = Keys(lambda: [_public(number) for number in published or (1,)])
    options = {"client_id": CLIENT, "now": NOW, "nonce": NONCE, "subject": SUBJECT, **expected}
    return verify(Secret(token), keys, **options)


def signed(issuer: SiwcIssuer | None = None, **changes: object) -> str:
    """Sign the good claims with changes; None takes a claim out."""
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return (issuer or SiwcIssuer()).jwt(claims)


@pytest.mark.parametrize(
    "changes",
    [{}, {"aud": CLIENT}, {"aud": [CLIENT], "azp": CLIENT}, {"aud": [CLIENT, "other"], "azp": CLIENT},
     {"exp": int(NOW) - 3}, {"email": None}, {"at_hash": "wrong"}],
    ids=repr,
)  # fmt: skip
def test_a_good_token_is_believed(changes):
    """The audience as a text or a list, an authorized party that fits, five seconds of leeway."""
    found = check(signed(**changes))
    assert found.subject == SUBJECT
    assert found.email == (None if "email" in changes else "ada@example.com")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://auth.openai.com.evil.example"}, {"iss": f"{URL}/"}, {"iss": None}, {"aud": "other"},
        {"aud": ["other"]}, {"aud": None}, {"aud": []}, {"aud": {CLIENT: 1}}, {"aud": [CLIENT, "other"]},
        {"aud": [CLIENT, "other"], "azp": "other"}, {"azp": "other"}, {"azp": ""}, {"exp": int(NOW) - 60}, {"exp": None},
        {"exp": "soon"}, {"exp": True}, {"exp": float("nan")}, {"iat": None}, {"iat": "now"}, {"sub": None}, {"sub": ""},
        {"sub": 5}, {"nonce": None}, {"nonce": "other"}, {"nonce": 5}, {"sub": "user-bob"},
    ],
    ids=repr,
)  # fmt: skip
def test_a_wrong_claim_is_refused(changes):
    """Another issuer, app, party, time, nonce or person: nothing of the reply may be used."""
    with pytest.raises(IdentityRefused):
        check(signed(**changes))


def test_a_renewal_has_no_nonce_and_a_first_sign_in_no_known_person():
    """What is not expected is not asked for."""
    assert check(signed(nonce=None), nonce=None).subject == SUBJECT
    assert check(signed(sub="user-bob"), subject=None).subject == "user-bob"


def test_only_rs256_by_a_published_key_is_a_signature():
    """No key, another key, no algorithm, a symmetric one, a header that demands more: refused."""
    good = signed()
    head, payload, signature = good.split(".")
    none = _b64(json.dumps({"alg": "none"}).encode())
    forged = [
        f"{none}.{payload}.", f"{none}.{payload}.{signature}", f"{head}.{payload}.", f"{head}.{payload}.{signature[:-8]}AAAAAAAA",
        f"{head}.{_b64(json.dumps({**GOOD, 'sub': 'user-eve'}).encode())}.{signature}", "a.b.c", "x", "", f"{good}.x",
        f"{head}.{payload}.é",
    ]  # fmt: skip
    algorithms = ("HS256", "RS512", "PS256", "ES256", "rs256", "", None)
    forged += [signed(SiwcIssuer(head={"alg": one})) for one in algorithms]
    forged += [signed(SiwcIssuer(head={"crit": ["exp"]})), signed(SiwcIssuer(key=2))]
    forged.append(signed(SiwcIssuer(key=2, head={"kid": "key-1"})))
    for token in forged:
        with pytest.raises(IdentityRefused):
            check(token, subject=None)


@pytest.mark.parametrize(
    "change",
    [{"kty": "EC"}, {"use": "enc"}, {"alg": "RS512"}, {"n": "AQAB"}, {"n": ""}, {"e": ""}, {"n": "=!"}],
)
def test_a_key_that_is_not_for_this_is_not_used(change):
    """Another type or use, too short, or broken."""
    with pytest.raises(IdentityRefused):
        verify(Secret(signed()), Keys(lambda: [{**_public(1), **change}]), client_id=CLIENT, now=NOW)


def test_a_new_key_is_asked_for_once_and_kept():
    """An unknown id fetches the keys again; known ones do not."""
    fetched = []
    published = [1]

    def fetch():
        fetched.append(1)
        return [_public(number) for number in published]

    keys = Keys(fetch)
    for _ in range(3):
        verify(Secret(signed()), keys, client_id=CLIENT, now=NOW)
    assert len(fetched) == 1
    published.append(2)
    for _ in range(2):
        verify(Secret(signed(SiwcIssuer(key=2))), keys, client_id=CLIENT, now=NOW)
    assert len(fetched) == 2
    with pytest.raises(IdentityRefused):
        verify(Secret(signed(SiwcIssuer(key=3))), keys, client_id=CLIENT, now=NOW)
    assert len(fetched) == 3


def test_keys_that_cannot_be_had_say_nothing_about_the_token():
    """The error is the issuer's, and the next try may work."""
    broken = [True]

    def fetch():
        if broken.pop():
            raise ProviderError("down")
        return [_public(1)]

    broken.insert(0, False)
    keys = Keys(fetch)
    with pytest.raises(ProviderError, match="down"):
        verify(Secret(signed()), keys, client_id=CLIENT, now=NOW)
    assert verify(Secret(signed()), keys, client_id=CLIENT, now=NOW).subject == SUBJECT
