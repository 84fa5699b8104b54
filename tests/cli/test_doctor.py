"""`missy doctor`: what it finds, that each fix can be pasted, and that its report holds no secret."""

from __future__ import annotations

import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import yaml

from missy import files, folders
from missy.auth.login import LOGIN_FILE, new_login, store
from missy.auth.oauth import Tokens
from missy.config.positions import SourceMap
from missy.secrets.redact import Secret
from missy.secrets.vault import Vault
from tests.command import Command
from tests.configuration import build
from tests.servers import json_response
from tests.simulator import Simulator

pytestmark = pytest.mark.slow

KEY = "sk-CANARY0123456789"
COMMANDS = (
    "missy",
    "export",
    "unset",
    "chmod",
    "curl",
    "getent",
    "sudo",
    "ls",
    "${EDITOR:-vi}",
    sys.executable,
    "uv",
)


def walk(missy, *args: str, env: dict[str, str | None] | None = None) -> dict[str, Any]:
    """Run it, check that every fix can be pasted, and return the checks by their names."""
    done = missy("doctor", "--json", *args, env=env)
    report = done.json()
    assert report["ok"] == (done.code == 0)
    for check in report["checks"]:
        assert set(check) == {"name", "status", "detail", "fix"}
        assert KEY not in str(check)
        if check["status"] in ("warn", "fail"):
            assert_pasteable(check["fix"])
    return {check["name"]: check for check in report["checks"]} | {"code": done.code}


def assert_pasteable(fix: str) -> None:
    """A line for config.yaml that is valid there, or a command that a shell can read."""
    if fix.startswith("network: "):
        assert build(yaml.safe_load(fix), SourceMap(Path("/x/config.yaml")))
    elif fix.startswith("api_key: "):
        assert yaml.safe_load(fix)
    else:
        assert fix.split(maxsplit=1)[0] in COMMANDS, fix
        subprocess.run(["bash", "-n", "-c", fix], check=True)


@pytest.fixture
def models(serve):
    """A server with one model, whose clock is off by `seconds`."""

    def start(seconds: float = 0, status: int = 200, *more: tuple[str, str]):
        def reply(_request, _wire):
            date = ("Date", formatdate(time.time() + seconds, usegmt=True))
            return json_response({"data": [{"id": "m"}], "error": {"message": "no"}}, status, date, *more)

        return serve(reply)

    return start


def test_a_machine_that_is_right_has_nothing_to_fix(missy, models):
    """Every step is ok, the clock too, with one call for the models; exit 0."""
    server = models()
    missy.entry(server.url)
    checks = walk(missy)
    assert checks.pop("code") == 0
    assert {check["status"] for check in checks.values()} == {"ok"}
    assert {"home", "config", "test: policy", "test: tcp", "test: models", "test: clock"} <= checks.keys()
    assert len(server.requests) == 1


@pytest.mark.parametrize(("seconds", "says"), [(-3600, "60 minutes fast"), (86400, "1440 minutes slow")])
@pytest.mark.parametrize("status", [200, 500])
def test_a_clock_that_is_off_is_found(missy, models, seconds, says, status):
    """By the Date of the models call, whether that went well or not."""
    missy.entry(models(seconds, status).url)
    found = walk(missy)["test: clock"]
    assert (found["status"], says in found["detail"]) == ("warn", True)


def test_a_cached_reply_tells_no_time(missy, models):
    """A reply with an Age is as old as its cache."""
    missy.entry(models(-3600, 200, ("Age", "3600")).url)
    assert "test: clock" not in walk(missy)


def test_rights_that_are_too_wide_are_found_and_left(missy, models):
    """The files are named with their mode; one command puts them all right."""
    file = missy.entry(models().url)
    (missy.home / "secrets").mkdir(mode=0o700)
    note = missy.home / "secrets" / "note.json"
    note.touch()
    note.chmod(0o640)
    file.chmod(0o644)
    missy.home.chmod(0o755)
    found = walk(missy)["rights"]
    assert found["status"] == "warn"
    assert all(str(path) in found["detail"] for path in (missy.home, file, note))
    assert note.stat().st_mode & 0o777 == 0o640
    subprocess.run(["bash", "-c", found["fix"]], check=True)
    assert "rights" not in walk(missy)


def test_a_key_in_the_file_is_found(missy, models):
    """Its entry is named, and a safer place for the key."""
    missy.entry(models().url, api_key=KEY)
    found = walk(missy)["test: key"]
    assert (found["status"], "missy vault set test" in found["fix"]) == ("warn", True)
    assert "config.yaml contains a key" in found["detail"]  # there is no backup yet
    assert missy("config", "set", "providers.test.timeout", "9").code == 0
    assert "config.yaml and its backups contain a key" in walk(missy)["test: key"]["detail"]


def test_a_host_that_the_policy_refuses_is_found(missy):
    """The fix is the line that allows it."""
    missy.entry("http://10.9.8.7:8000/v1", api_key=KEY)
    checks = walk(missy)
    assert checks["code"] == 3
    assert checks["test: policy"]["fix"] == 'network: {allowed_cidrs: ["10.9.8.7/32"]}'
    assert checks["test: models"]["status"] == "skip"


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("OPENAI_BASE_URL", "--base-url"),
        ("OPENAI_ORG_ID", "unset"),
        ("https_proxy", 'network: {proxy: "http://proxy.example:3128"}'),
        ("SSL_CERT_FILE", "network: {ca_bundle:"),
        ("SSLKEYLOGFILE", "unset"),
    ],
)
def test_variables_that_do_not_count_are_told(missy, models, name, fix):
    """What another client would obey is named, with the way to say it here."""
    missy.entry(models().url)
    value = "http://proxy.example:3128" if "proxy" in name else "/a/b c"
    found = walk(missy, env={name: value})["environment"]
    assert found["status"] == "warn"
    assert name in found["detail"]
    assert fix in found["fix"]


def test_a_proxy_with_a_password_is_not_shown(missy, models):
    """Not in the check and not in the fix."""
    missy.entry(models().url)
    done = missy("doctor", env={"HTTPS_PROXY": "http://me:hunter2@proxy.example:3128"})
    assert "hunter2" not in done.text + done.err
    assert "HTTPS_PROXY is set" in done.text


@pytest.fixture
def offline(home, tmp_path):
    """The command on a machine whose network leads nowhere: the guard refuses every lookup and connection."""
    return Command(home, tmp_path / "trace")


def test_a_proxy_that_is_needed_is_found(offline):
    """If the host cannot be reached and the environment names a proxy, the line for network.proxy is the fix."""
    offline.config({"providers": {"x": {"base_url": "https://no-such-host.invalid/v1", "api_key": "$K"}}})
    checks = walk(offline, env={"HTTPS_PROXY": "proxy.example:3128", "K": KEY})
    assert checks["x: dns"]["status"] == "fail"
    assert checks["x: proxy"]["fix"] == 'network: {proxy: "http://proxy.example:3128"}'
    assert "x: proxy" not in walk(offline, env={"K": KEY})


@pytest.mark.parametrize(
    ("entry", "env", "code", "check", "fix"),
    [
        ({"api_key": "$K"}, {}, 4, "credential", "export K=YOUR-KEY"),
        ({"api_key": "vault://gone"}, {}, 4, "credential", "missy vault set gone"),
        ({}, {}, 4, "credential", "export X_API_KEY=YOUR-KEY"),
        ({"api_key": "$K"}, {"K": KEY}, 5, "dns", "getent hosts no-such-host.invalid"),
    ],
)
def test_what_is_missing_has_its_own_fix(offline, entry, env, code, check, fix):
    """The fix names the very thing."""
    offline.config({"providers": {"x": {"base_url": "https://no-such-host.invalid/v1", **entry}}})
    checks = walk(offline, env=env)
    assert checks[f"x: {check}"]["fix"] == fix
    assert checks["code"] in (code, 5)


def test_the_fix_and_the_detail_name_the_same_variable(offline):
    """A service whose entry has a variable of its own too: both name the one that the service's pages name."""
    offline.config({"providers": {"azure": {"base_url": "https://r.openai.azure.com/openai/v1"}}})
    check = walk(offline)["azure: credential"]
    assert "export AZURE_OPENAI_API_KEY=..." in check["detail"]
    assert check["fix"] == "export AZURE_OPENAI_API_KEY=YOUR-KEY"


def test_a_refused_key_is_found(missy, models):
    """Exit 4; the fix gives the entry another key."""
    missy.entry(models(0, 401).url, api_key="$K")
    checks = walk(missy, env={"K": KEY})
    assert checks["code"] == 4
    assert "--entry test" in checks["test: models"]["fix"]


@pytest.mark.parametrize("state", ["valid", "expired", "none", "broken"])
def test_the_state_of_a_login_is_told_and_nothing_is_renewed(missy, state):
    """From the file alone: an issuer is not asked, even where the token has ended."""
    with Simulator() as simulator:
        missy.config(simulator.config())
        file = missy.home / LOGIN_FILE
        folders.ensure_dir(file.parent)
        if state == "broken":
            files.write_private(file, b"{")
        elif state != "none":
            issued = simulator.issuer.sign_in()
            parts = [Secret(issued[name]) for name in ("access_token", "refresh_token", "id_token")]
            if state == "expired":
                parts[0] = Secret(simulator.issuer.jwt(simulator.issuer.account, exp=1000))
            store(file, new_login(Tokens(*parts), simulator.issuer_url, 0))
        checks = walk(missy)
        wanted = {"valid": "ok", "expired": "warn"}.get(state, "fail")
        assert checks["openai-codex: login"]["status"] == wanted
        assert checks["openai-codex: models"]["status"] == ("ok" if state == "valid" else "skip")
        assert checks["code"] == (4 if wanted == "fail" else 0)
        assert simulator.renewals == 0


def test_the_vault_is_opened(missy, models):
    """How many secrets there are and where its key is; a lost key is found."""
    missy.entry(models().url)
    Vault(missy.home).set("a", Secret(KEY))
    assert "1 secret;" in walk(missy)["vault"]["detail"]
    (missy.home / "secrets" / "vault.key").unlink()
    checks = walk(missy)
    assert (checks["vault"]["status"], checks["code"]) == ("fail", 4)


def test_a_broken_file_is_opened_at_its_line(missy):
    """The fix is the editor there."""
    file = missy.config("providers:\n  a:\n    timout: 5\n")
    checks = walk(missy)
    assert checks["code"] == 2
    assert checks["config"]["fix"] == f"${{EDITOR:-vi}} +3 {file}"
    assert "did you mean timeout?" in checks["config"]["detail"]


def test_without_any_entry_setup_is_the_fix(missy):
    """For an unknown name, the known names are listed."""
    assert walk(missy)["config"]["fix"] == "missy setup"
    missy.config({"providers": {"a": {}}})
    assert walk(missy, "--provider", "b")["config"]["fix"] == "missy providers"


def test_the_report_holds_no_secret(missy, models):
    """Versions, checks and the configuration are there; keys, the account and the home folder's name are not."""
    server = models()
    missy.config(
        {
            "providers": {
                "a": {"base_url": server.url, "api_key": KEY, "model": "m"},
                "b": {"base_url": server.url, "api_key": "$K", "api_keys": ["vault://a", KEY[::-1]]},
            }
        }
    )
    Vault(missy.home).set("a", Secret(KEY + "vault"))
    done = missy("doctor", "--report", env={"K": KEY + "env"})
    assert done.code == 0
    assert "Python 3" in done.text
    assert "a: models" in done.text
    assert "api_key: $K" in done.text
    assert "~/missy/config.yaml" in done.text
    for text in ("CANARY", KEY[::-1], str(missy.home.parent)):
        assert text not in done.text
    assert missy("doctor", "--report", "--json").code == 2


def test_the_report_of_a_broken_configuration(missy):
    """It says what is broken, and shows nothing of the file."""
    missy.config(f"providers:\n  a: {{api_key: {KEY}, timout: 1}}\n")
    done = missy("doctor", "--report")
    assert done.code == 0
    assert "unknown key" in done.text
    assert KEY not in done.text


def test_the_last_line_counts(missy, models, serve):
    """What is as it should be is shown with --all only, and the last line says which entries work."""
    server, dead = models(), serve(b"")
    dead.close()
    entry = {"name": "openai", "model": "m", "max_retries": 0}
    entries = {
        "one": entry | {"base_url": server.url},
        "two": entry | {"base_url": server.url},
        "dead": entry | {"base_url": dead.url},
        "far": entry | {"base_url": "http://10.9.8.7/v1"},
        "off": entry | {"base_url": server.url, "enabled": False},
    }
    missy.config({"providers": entries})
    done = missy("doctor")
    assert done.code in {3, 5}
    lines = done.text.splitlines()
    assert lines[-1] == "2 entries work, 2 do not: dead, far, 1 disabled"
    assert not [line for line in lines if line.startswith("ok")]
    every = missy("doctor", "--all").text.splitlines()
    assert every[-1] == lines[-1]
    assert [line for line in every if line.startswith("ok") and "one: models" in line]
    assert missy("doctor", "--provider", "one").text == "1 entry works\n"
    assert missy("doctor", "--provider", "dead").text.splitlines()[-1] == "no entry works: dead"


def only_under_v1(request, _wire):
    """Answer as servers do whose API begins at /v1."""
    if request.path == "/v1/models":
        return json_response({"data": [{"id": "m"}, {"id": "n"}]})
    return json_response({"error": {"message": "unknown path"}}, 404)


def test_a_base_url_without_its_v1_is_found(missy, serve):
    """The doctor and the check of `setup` ask once where the list would be, at the same origin, and say what to write."""
    server = serve(only_under_v1)
    origin = server.url.removesuffix("/v1")
    missy.entry(origin, api_key="sk-own")
    found = walk(missy)["test: models"]
    assert found["status"] == "fail"
    assert found["detail"] == f"no /models here; {origin}/v1/models answers: base_url should end in /v1"
    assert found["fix"] == f"missy config set providers.test.base_url {origin}/v1"
    assert [request.path for request in server.requests] == ["/models", "/v1/models"]
    before = (missy.home / "config.yaml").read_bytes()
    args = ("setup", "--no-prompt", "--entry", "new", "--base-url", origin, "--model", "m", "--check")
    done = missy(*args)
    assert done.code == 2
    assert f"--base-url {origin}/v1" in done.err
    assert (missy.home / "config.yaml").read_bytes() == before
    assert missy(*(f"{origin}/v1" if arg == origin else arg for arg in args)).code == 0
    assert missy("config", "set", "providers.test.base_url", f"{origin}/v1").code == 0
    assert missy("doctor", "--provider", "test").text.splitlines()[-1] == "1 entry works"


def test_the_report_names_no_host_of_ones_own(missy, models):
    """Known services are named, one's own machines are numbered, and so are addresses; loopback says nothing."""
    server = models()
    entry = {"name": "openai", "model": "m", "max_retries": 0, "enabled": False}
    entries = {
        "here": entry | {"base_url": server.url, "enabled": True},
        "groq": entry | {"base_url": "https://api.groq.com/openai/v1"},
        "mine": entry | {"base_url": "https://llm.secretcorp.example/v1"},
        "lan": entry | {"base_url": "http://192.168.7.9:8000/v1"},
    }
    network = {
        "allowed_domains": ["*.secretcorp.example"],
        "allowed_cidrs": ["192.168.7.0/24"],
        "proxy": "http://proxy.secretcorp.example:3128",
    }
    missy.config({"providers": entries, "network": network})
    text = missy("doctor", "--report").text
    assert "secretcorp" not in text
    assert "192.168.7" not in text
    assert "host-1/v1" in text
    assert "address-1:8000" in text
    assert "api.groq.com" in text
    assert "127.0.0.1" in text


def test_the_backups_can_be_deleted(missy):
    """After a key has gone to the vault, `config backups --prune` takes the copies of the old file away."""
    missy.entry("http://127.0.0.1:9/v1", api_key=KEY)
    assert missy("config", "set", "providers.test.api_key", "vault://test").code == 0
    (backup,) = missy.home.glob("config.yaml.bak-*")
    assert KEY in backup.read_text()
    done = missy("config", "backups", "--prune")
    assert (done.code, "deleted 1 backup:" in done.err) == (0, True)
    assert not [*missy.home.glob("config.yaml.bak-*")]
    assert missy("config", "backups", "--prune").code == 0
