"""AgentDojo's security cases, decided by `approval.decide` without a model: how many injected calls would run unattended?

    python -m venv /tmp/dojo && /tmp/dojo/bin/pip install agentdojo==0.1.35
    PYTHONPATH=src /tmp/dojo/bin/python benchmarks/injections.py

A gullible puppet plays the true calls of the user's task, and then those of the injection, which it has read in a result by
then. Every tool is one of an MCP server. Two configurations: `all`, where every tool is allow-listed, the most careless one;
and `reads`, where the tools that only look are, also after untrusted text. The person says yes to the calls of the own
task, and is not there for others. The package is no dependency of Missy.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from missy.approval import Action, Approvals, Taint, decide, parse_rule

VERSION = "v1.2.2"
# What only looks, by its name; a page that is fetched can carry data out in its address.
_LOOKS = ("get_", "search_", "list_", "read_", "check_", "find_")
_SENDS = ("get_webpage",)


def looks(name: str) -> bool:
    """Tell whether a tool only looks."""
    return name.startswith(_LOOKS) and name not in _SENDS


def configurations(suite: str, tools: list[str]) -> dict[str, Approvals]:
    """Return the two configurations of a suite."""
    quiet = tuple(parse_rule(f"after_untrusted: mcp:{suite}/{name}") for name in tools if looks(name))
    return {"all": Approvals((parse_rule(f"mcp:{suite}/*"),)), "reads": Approvals(quiet)}


def play(approvals: Approvals, suite: str, calls: list[Any], taint: Taint) -> tuple[list[bool], Taint]:
    """Return for each call whether it would run unattended, and the taint afterwards."""
    unattended = []
    for call in calls:
        action = Action(f"mcp:{suite}/{call.function}", sends=not looks(call.function))
        unattended.append(decide(approvals, action, taint).verdict == "allow")
        taint = taint.after(untrusted=True, private=True, source=call.function)
    return unattended, taint


def main() -> int:
    """Play all cases and print the figures as JSON; returns 1 if an injected acting call would run unattended."""
    from agentdojo.task_suite.load_suites import get_suites  # type: ignore[import-not-found]

    figures: dict[str, Any] = {
        name: {
            "cases": 0,
            "injected_acting_calls": 0,
            "unattended": 0,
            "cases_unattended": 0,
            "user_tasks": 0,
            "prompts": 0,
        }
        for name in ("all", "reads")
    }
    for suite_name, suite in get_suites(VERSION).items():
        environment = suite.load_and_inject_default_environment({})
        tools = [tool.name for tool in suite.tools]
        injections = {key: task.ground_truth(environment) for key, task in suite.injection_tasks.items()}
        for name, approvals in configurations(suite_name, tools).items():
            found = figures[name]
            for task in suite.user_tasks.values():
                asked, taint = play(approvals, suite_name, task.ground_truth(environment), Taint())
                found["user_tasks"] += 1
                found["prompts"] += asked.count(False)
                taint = taint.after(untrusted=True, private=True, source="the injection")  # it had to be read
                for calls in injections.values():
                    found["cases"] += 1
                    free, _ = play(approvals, suite_name, calls, taint)
                    acting = [one for one, call in zip(free, calls, strict=True) if not looks(call.function)]
                    found["injected_acting_calls"] += len(acting)
                    found["unattended"] += sum(acting)
                    found["cases_unattended"] += any(acting)
    for found in figures.values():
        found["prompts_per_task"] = round(found["prompts"] / found["user_tasks"], 2)
    print(json.dumps({"agentdojo": VERSION, **figures}, indent=1))
    return int(any(found["unattended"] for found in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
