"""The wizard's summary: what will be written and where, and which hosts become reachable. It shows no key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from missy.setup import commit, plan

if TYPE_CHECKING:
    from pathlib import Path

    from missy.config.schema import Config
    from missy.setup.plan import Draft, Plan


def summarise(path: Path, before: Config, made: Plan) -> str:
    """Return the summary, one fact per line. Raises MissyError if the plan cannot be written."""
    after = commit.outcome(path, made)
    lines = ["", f"To be written to {shorten(str(path))}:"]
    for draft in made.drafts:
        lines += _describe(draft, after)
    lines.append(f"The default is {after.default}.")
    hosts = plan.reachable(before, after)
    lines.append("These become reachable:" if hosts else "Nothing else becomes reachable.")
    lines += [f"  {host}" for host in hosts]
    lines += ["The current file is kept as a backup."] if before.exists else []
    return "\n".join(lines)


def _describe(draft: Draft, after: Config) -> list[str]:
    entry = after.providers[draft.name]
    key = plan.key_place(draft) or "as before, or from the environment"
    replaces = " (replaces the one there)" if commit.is_stored(draft) else ""
    facts = [
        entry.endpoint or "",
        f"model {entry.model}" if entry.model else "",
        f"key: {key}{replaces}" if entry.spec.takes_key else "",
        f"headers: {', '.join(name for name, _ in entry.headers)}" if entry.headers else "",
        f"query: {', '.join(name for name, _ in entry.query)}" if entry.query else "",
        f"the key goes in: {entry.api_key_header}" if entry.api_key_header else "",
        "! the key will be readable in the file" if draft.store == "config" else "",
        f"allowed_cidrs: {', '.join(draft.networks)}" if draft.networks else "",
        "the model will be fetched: 93 MB" if draft.install else "",
    ]
    head = f"  {draft.name}: kind {entry.kind}" + (" (changed)" if draft.replaces else "")
    return [head, *(f"    {fact}" for fact in facts if fact)]


def shorten(text: str) -> str:
    """Return the text with ~ in place of the home folder."""
    home = os.environ.get("HOME", "").rstrip("/")
    return text.replace(f"{home}/", "~/") if home else text
