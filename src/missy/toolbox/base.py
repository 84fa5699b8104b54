"""The interface between the loop and a tool: what a call is prepared to, what is asked, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.approval import Action
    from missy.events import Image, Tool

Answer = Literal["yes", "run", "save", "no", "stop", "nobody"]


class ToolFailed(Exception):
    """A call that cannot be done. Its text is for the model, which may try something else."""


class Output(NamedTuple):
    """What a tool gives back: `text` for the model, and what reading it means for the run.

    `own`: the text was written by this run, so that it taints nothing. `exit` is the exit code of a command. `notice` is
    for the user. `cancelled`: the person ended it. `failed`: the tool ran, and says that it did not work.
    `unapproved`: it was withheld, and needs a person.
    """

    text: str
    source: str = ""
    own: bool = False
    private: bool = True
    exit: int | None = None
    notice: str = ""
    failed: bool = False
    cancelled: bool = False
    unapproved: bool = False
    image: Image | None = None

    @property
    def outcome(self) -> str:
        """What came of the call, as ToolResult says it."""
        if self.cancelled:
            return "cancelled"
        return "unapproved" if self.unapproved else "failed" if self.failed else "ok"


class Prepared:
    """A call that was checked, and not run yet.

    `preview` is what the person is shown, e.g. a diff. `level` is the sandbox's. `pin` names the approved definition
    of a server's tool. `close` releases what it
    holds, whether it was run or not.
    """

    def __init__(
        self,
        action: Action,
        run: Callable[[], Output],
        *,
        preview: str = "",
        level: str = "none",
        network: bool = False,
        acts: bool = False,
        pin: str = "",
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.action = action
        self.run = run
        self.preview = preview
        self.level = level
        self.network = network
        self.acts = acts
        self.pin = pin
        self.close = close


class Handler(Protocol):
    """One tool: what the model is told of it, and what a call becomes."""

    tool: Tool

    def prepare(self, arguments: dict[str, Any]) -> Prepared:
        """Check the arguments, and find out what the call is about; nothing is changed. Raises ToolFailed."""


class ApprovalQuestion(NamedTuple):
    """A question to the person: what a call would do, and why it is asked.

    `resume`: the person ended a call with Ctrl-C, and is asked whether the answer goes on.
    `rule` is what a yes for the run covers, and what can be saved. `taint` names untrusted text that was read before.
    """

    action: Action
    arguments: dict[str, Any]
    reason: str
    preview: str = ""
    level: str = "none"
    network: bool = False
    taint: str = ""
    rule: str = ""
    resume: bool = False


class ApprovalReply(NamedTuple):
    """The person's answer: yes once, yes for this run, yes and save the rule, no (with a reason for the model), or stop.

    `nobody`: there is nobody to ask after all; the call is denied as it is without a callback.
    """

    answer: Answer
    reason: str = ""
