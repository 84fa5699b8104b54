"""`make demo-serve`: a key, a request by `curl` and one by the `openai` package to the model on this machine, the usage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import openai

MISSY = (sys.executable, "-m", "missy")
QUESTION = "What is the capital of France?"
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": QUESTION},
]


def say(text: str) -> None:
    """Print a line of the demonstration itself."""
    print(f"\033[2m{text}\033[0m" if sys.stdout.isatty() else text, flush=True)


def missy(*args: str) -> str:
    """Run a command and return its stdout."""
    return subprocess.run([*MISSY, *args], stdout=subprocess.PIPE, check=True, text=True).stdout


def main() -> None:
    """Show it."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(json.dumps({"serve": {"entries": ["local"], "aliases": {"small": "local"}}}))
        config.chmod(0o600)
        os.environ["MISSY_CONFIG"] = str(config)
        name = f"demo-{os.getpid()}"
        say(f"$ missy keys create {name} --budget 1/day")
        key = missy("keys", "create", name, "--budget", "1/day").strip()
        say("$ missy serve --port 0")
        gateway = subprocess.Popen(
            [*MISSY, "serve", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
        )
        try:
            assert gateway.stdout is not None
            url = json.loads(gateway.stdout.readline())["url"]
            show(url, key)
            say(f"$ missy serve usage   (of {name})")
            rows = json.loads(missy("serve", "usage", "--json"))["rows"]
            print({k: v for k, v in next(row for row in rows if row["key"] == name).items() if v})
        finally:
            gateway.terminate()
            gateway.wait()
            missy("keys", "revoke", name)


def show(url: str, key: str) -> None:
    """Ask once with curl, and once with the package."""
    if curl := shutil.which("curl"):
        say(f'$ curl {url}/chat/completions -d \'{{"model": "local", ...}}\'   # {QUESTION}')
        body = json.dumps({"model": "local", "messages": MESSAGES, "max_tokens": 40})
        command = [curl, "-sS", f"{url}/chat/completions", "-H", "@-", "-d", body]
        done = subprocess.run(
            command, input=f"Authorization: Bearer {key}", stdout=subprocess.PIPE, check=True, text=True
        )
        print(json.loads(done.stdout)["choices"][0]["message"]["content"])
    say(f'>>> openai.OpenAI(base_url="{url}").chat.completions.create(model="small", stream=True, ...)')
    client = openai.OpenAI(base_url=url, api_key=key)
    for chunk in client.chat.completions.create(model="small", messages=MESSAGES, max_tokens=40, stream=True):
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
