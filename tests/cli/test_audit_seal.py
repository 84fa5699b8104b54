"""`missy audit seal` and `verify --checkpoint`: what only a checkpoint kept elsewhere can show."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import stat
from pathlib import Path

import pytest

from missy import audit
from tests.audit.writing import fill
from tests.command import Command


@pytest.fixture
def path(home: Path) -> Path:
    """A record of six lines."""
    fill(home / "audit.jsonl", 3)
    return home / "audit.jsonl"


@pytest.fixture
def kept(missy: Command, path: Path, tmp_path: Path) -> Path:
    """A checkpoint of the six lines, kept outside MISSY_HOME."""
    file = tmp_path / "missy.checkpoint"
    file.write_bytes(missy("audit", "seal").out)
    return file


def check(missy: Command, kept: Path, *args: str) -> tuple[int, dict[str, object]]:
    done = missy.inside("audit", "verify", "--json", "--checkpoint", str(kept), *args)
    return done.code, done.json()


def test_a_checkpoint_is_a_signed_note(missy: Command, path: Path, kept: Path) -> None:
    """Five short lines: origin, number of lines, hash, and a signature that anybody can check with the public key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    origin, lines, digest, blank, signed = kept.read_text().splitlines()
    report = audit.verify(path)
    assert (int(lines), base64.b64decode(digest).hex(), blank) == (report.lines, report.head, "")
    dash, name, signature = signed.split(" ")
    assert (dash, name) == ("\u2014", origin)
    key_name, key_id, key = missy.inside("audit", "seal", "--public-key").text.strip().split("+", 2)
    raw = base64.b64decode(key)
    assert key_name == origin
    assert key_id == hashlib.sha256(origin.encode() + b"\n" + raw).digest()[:4].hex()
    blob = base64.b64decode(signature)
    assert blob[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(blob[4:], f"{origin}\n{lines}\n{digest}\n".encode())


def test_the_key_is_private_and_made_once(missy: Command, path: Path, kept: Path, home: Path) -> None:
    """The key is 0600 in a folder of 0700, is never shown, and signs the same origin each time."""
    key = home / "secrets" / "audit-key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    again = missy.inside("audit", "seal", "--json")
    assert again.json()["checkpoint"] == kept.read_text()
    assert again.json().keys() == {"origin", "lines", "hash", "public_key", "checkpoint"}
    seed = key.read_text().strip().split("+", 4)[4]
    assert seed not in again.text + missy.inside("audit", "seal", "--public-key").text


def test_a_record_that_grew_still_holds_its_checkpoint(missy: Command, path: Path, kept: Path) -> None:
    """Lines that come later change nothing; a file, stdin and the JSON form are all taken."""
    fill(path, 2)
    code, told = check(missy, kept)
    assert (code, told["ok"], told["lines"]) == (0, True, 10)
    assert told["checkpoint"] == {
        "origin": kept.read_text().splitlines()[0],
        "lines": 6,
        "hash": json.loads(path.read_bytes().splitlines()[5])["hash"],
    }
    text = missy("audit", "verify", "--checkpoint", "-", stdin=kept.read_bytes())
    assert text.code == 0
    assert "checkpoint: 6 lines" in text.text
    kept.write_bytes(missy.inside("audit", "seal", "--json").out)
    assert check(missy, kept)[0] == 0


@pytest.mark.parametrize("how", ["cut", "emptied", "deleted", "written anew", "edited"])
def test_a_checkpoint_shows_what_head_and_chain_cannot(
    missy: Command, path: Path, kept: Path, how: str
) -> None:
    """With the head file fitted to it or gone, a shorter or new record is still not the one that was sealed."""
    lines = path.read_bytes().splitlines(keepends=True)
    head = path.with_suffix(".head")
    if how == "cut":
        last = json.loads(lines[3])
        path.write_bytes(b"".join(lines[:4]))
        head.write_text(json.dumps({"lines": 4, "hash": last["hash"]}, separators=(",", ":")) + "\n")
        assert audit.verify(path).ok
    elif how == "edited":
        path.write_bytes(b"".join(lines).replace(b"groq", b"evil"))
    else:
        head.unlink()
        path.write_bytes(b"")
        if how == "deleted":
            path.unlink()
        if how == "written anew":
            fill(path, 4)
            assert audit.verify(path).ok
    code, told = check(missy, kept)
    assert (code, told["ok"]) == (1, False)
    plain = missy.inside("audit", "verify", "--checkpoint", str(kept))
    assert plain.code == 1
    assert "the checkpoint" in plain.err or how == "edited"
    assert len(plain.err.splitlines()) == 2


def test_a_changed_checkpoint_is_found(missy: Command, path: Path, kept: Path) -> None:
    """Another number, hash, origin or signature under the same name is not what was signed."""
    whole = kept.read_text()
    origin, lines, digest, _, signed = whole.splitlines()
    other_digest = base64.b64encode(bytes(31) + b"x").decode()
    changes = [
        (f"\n{lines}\n", "\n5\n"),
        (digest, other_digest),
        (origin, "missy-audit-000000000000"),
        (signed[-20:], "A" * 19 + "="),
        (signed.rpartition(" ")[2], "nonsense"),
    ]
    for old, new in changes:
        kept.write_text(whole.replace(old, new))
        code, told = check(missy, kept)
        assert (code, told["ok"]) == (1, False), new


def test_a_checkpoint_of_another_home_is_told(missy: Command, path: Path, kept: Path, tmp_path: Path) -> None:
    """A good checkpoint of another record names its origin and ours, exit 1."""
    (path.parent / "secrets" / "audit-key").unlink()
    assert (
        missy.inside("audit", "verify", "--checkpoint", str(kept)).code == 1
    )  # there is no key to check it with
    ours = missy.inside("audit", "seal", "--public-key").text.split("+")[0]
    done = missy.inside("audit", "verify", "--checkpoint", str(kept))
    assert done.code == 1
    assert kept.read_text().splitlines()[0] in done.err
    assert ours in done.err


def test_a_public_key_kept_elsewhere_will_do(missy: Command, path: Path, kept: Path) -> None:
    """When the key is gone from the machine, the public one that was noted checks the signature."""
    public = missy.inside("audit", "seal", "--public-key").text.strip()
    (path.parent / "secrets" / "audit-key").unlink()
    assert check(missy, kept, "--public-key", public)[0] == 0
    assert missy.inside("audit", "verify", "--public-key", public).code == 2
    assert missy.inside("audit", "verify", "--checkpoint", str(kept), "--public-key", "x+y").code == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"hello\n", b"\xff\xfe\n\n", b"{}", b'{"checkpoint": 5}', b"[" * 60_000, bytes(1 << 20)],
    ids=range(7),
)
def test_what_is_no_checkpoint_is_wrong_use(missy: Command, path: Path, kept: Path, content: bytes) -> None:
    """Any other file is exit 2, in words."""
    kept.write_bytes(content)
    done = missy.inside("audit", "verify", "--checkpoint", str(kept))
    assert (done.code, done.out) == (2, b"")
    assert "is no checkpoint" in done.err


def test_a_checkpoint_without_its_signature_is_none(missy: Command, path: Path, kept: Path) -> None:
    """Three unsigned lines, half a checkpoint, a missing file and a folder are exit 2."""
    kept.write_text("".join(kept.read_text().splitlines(keepends=True)[:3]))
    for name in (str(kept), str(kept) + ".none", str(kept.parent)):
        assert missy.inside("audit", "verify", "--checkpoint", name).code == 2


def test_a_broken_record_is_not_sealed(missy: Command, path: Path, kept: Path) -> None:
    """A record that was changed is not sealed."""
    path.write_bytes(path.read_bytes()[:-200])
    done = missy.inside("audit", "seal")
    assert (done.code, done.out) == (1, b"")
    assert "nothing was sealed" in done.err


def test_a_broken_key_is_said(missy: Command, path: Path, kept: Path) -> None:
    """A key file that holds something else is not replaced silently."""
    (path.parent / "secrets" / "audit-key").write_text("PRIVATE+KEY+x\n")
    for args in (("seal",), ("verify", "--checkpoint", str(kept))):
        done = missy.inside("audit", *args)
        assert done.code == 1
        assert "is not a signing key" in done.err


def test_an_empty_record_can_be_sealed(missy: Command, home: Path, tmp_path: Path) -> None:
    """A checkpoint of an empty record matches every later record of this home."""
    kept = tmp_path / "checkpoint"
    kept.write_bytes(missy.inside("audit", "seal").out)
    assert kept.read_text().splitlines()[1] == "0"
    assert check(missy, kept)[0] == 0
    fill(home / "audit.jsonl", 1)
    assert check(missy, kept)[0] == 0


def test_a_copied_home_keeps_its_checkpoints(missy: Command, path: Path, kept: Path, tmp_path: Path) -> None:
    """A home that was moved to another place takes record, head and key with it."""
    shutil.copytree(path.parent, tmp_path / "moved", symlinks=True)
    done = missy("audit", "verify", "--checkpoint", str(kept), env={"MISSY_HOME": str(tmp_path / "moved")})
    assert done.code == 0


def test_a_key_file_without_its_first_words_is_not_taken(missy: Command, path: Path, kept: Path) -> None:
    """What is not the whole file that was written is no key, whatever it decodes to."""
    file = next((missy.home / "secrets").iterdir())
    file.write_text(file.read_text().removeprefix("PRIVATE+KEY+"))
    done = missy("audit", "seal")
    assert done.code == 1
    assert "is not a signing key" in done.err
