"""`make demo-tools`: a scripted model uses tools on a workspace, and a question is asked and answered. No key is needed."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from missy.sandbox.probe import try_levels
from tests.cli.person import ENTER, Person
from tests.command import Command
from tests.servers import Origin, chat_stream
from tests.toolbox.conftest import calls

QUESTION = "Fix the typo in notes.txt, and check it."


def main() -> int:
    """Run the demonstration; returns the exit code of the command."""
    level = try_levels().level
    check = (
        [("run", {"argv": ["grep", "-n", "Paris", "notes.txt"]})]
        if level
        else [("read", {"path": "notes.txt"})]
    )
    script = (
        calls(("list", {}), ("read", {"path": "notes.txt"}), text="I look at the file first."),
        calls(("edit", {"path": "notes.txt", "old": "Pariss", "new": "Paris"})),
        calls(*check),
        chat_stream("Done: `Pariss` is `Paris` now, and grep finds it in line 2."),
    )
    with tempfile.TemporaryDirectory(prefix="missy-demo-") as name, Origin(*script) as origin:
        place = Path(name)
        for folder in ("person", "work"):
            (place / folder).mkdir(mode=0o700)
        (place / "work" / "notes.txt").write_text("Capitals\nFrance: Pariss\n")
        missy = Command(place / "person" / "missy", place / "trace")
        missy.entry(origin.url)
        own = {"MISSY_HOME": str(missy.home), "HOME": str(place / "person"), "MISSY_CONFIG": None, "CI": None}
        tools = "list,read,edit,run" if level else "list,read,edit"
        say(f'$ missy ask --tools {tools} "{QUESTION}"    (the demonstration answers each question with y)')
        with Person(
            missy, "ask", "--tools", tools, QUESTION, env=own, cwd=place / "work", columns=100, rows=60
        ) as person:
            for number in range(1, 3 if level else 2):
                person.see_times("allow it?", number)
                person.press("y", ENTER)
            code = person.end()
            say(person.raw.replace("\r\n", "\n"))
        for args in (("audit", "recent", "--tools"), ("tools", "undo"), ("audit", "verify")):
            say(f"$ missy {' '.join(args)}")
            done = missy(*args, env=own, cwd=place / "work")
            say(done.text + done.err)
            code = code or done.code
        return code


def say(text: str) -> None:
    """Show a part of the demonstration."""
    sys.stdout.write(text.rstrip("\n") + "\n\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
