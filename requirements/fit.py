"""Which packages fit into one environment with Missy: asks uv to resolve each beside it, and prints a table.

`make frameworks-fit` runs it; docs/library.md has its output. It installs nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
UV = os.environ.get("UV", "uv").split()
COMPILE = [
    "pip",
    "compile",
    "--quiet",
    "--python-version",
    "3.11",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
]
NAMES = (
    "aider-chat", "autogen-ext[openai]", "crewai", "dspy", "guidance", "haystack-ai", "instructor", "jupyterlab",
    "langchain-openai", "langfuse", "langgraph", "litellm", "litellm[proxy]", "llama-index", "llama-index-llms-openai",
    "llm", "magentic", "marvin", "mem0ai", "open-interpreter", "openai-agents", "outlines", "pydantic-ai", "rich-cli",
    "shell-gpt", "smolagents", "streamlit",
)  # fmt: skip
# What keeps them apart, where it is one of the packages that both need.
_SHARED = (
    "openai",
    "jiter",
    "rich",
    "click",
    "markdown-it-py",
    "prompt-toolkit",
    "pyyaml",
    "httpx2",
    "idna",
    "cryptography",
)


def resolve(name: str, *, beside: bool) -> tuple[str, str]:
    """Return the version that a resolution ends with, or "" and what uv says."""
    sources = [str(PROJECT), "-"] if beside else ["-"]
    done = subprocess.run(
        [*UV, *COMPILE, *sources], input=name, capture_output=True, text=True, timeout=300, check=False
    )
    bare = name.partition("[")[0]
    found = re.search(rf"^{re.escape(bare)}(?:\[[^]]*\])?==(\S+)", done.stdout, re.MULTILINE)
    return (found[1] if found else ""), done.stderr


def reason(name: str, version: str) -> str:
    """Say which shared package the newest version wants in a version that Missy cannot have."""
    _, told = resolve(f"{name}=={version}", beside=True)
    flat = " ".join(told.split())
    wanted = {}
    for package in _SHARED:
        for bound in re.findall(rf"depends on {package}((?:[<>=!~]+[\w.]+,?)+)", flat):
            if "<" in bound or "==" in bound:
                wanted.setdefault(package, bound.rstrip(","))
    return ", ".join(f"{package}{bound}" for package, bound in wanted.items()) or "see uv's words"


def row(name: str) -> str:
    """Return one line of the table."""
    newest, told = resolve(name, beside=False)
    if not newest:
        return f"| `{name}` | unknown | cannot be resolved by itself: {told.strip().splitlines()[-1][:80]} |"
    got, _ = resolve(name, beside=True)
    if got == newest:
        return f"| `{name}` | yes | {newest} |"
    held = f"no ({newest})" if not got else f"only {got}, not {newest}"
    return f"| `{name}` | {held} | {reason(name, newest)} |"


def main() -> None:
    """Print the table."""
    print("| package | fits | version, or what its newest one needs |\n|---|---|---|")
    for name in sys.argv[1:] or NAMES:
        print(row(name), flush=True)


if __name__ == "__main__":
    main()
