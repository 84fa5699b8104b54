"""Slash commands about sessions: list, search, resume, name, and begin one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.cli.app import notice
from missy.cli.talk import status
from missy.cli.talk.answering import show_turn
from missy.errors import UsageError
from missy.plural import counted

if TYPE_CHECKING:
    from missy.cli.talk.shell import Shell


def list_(_shell: Shell, _argument: str) -> None:
    """List the stored sessions."""
    from missy.cli.commands.sessions import show_list

    show_list(20)


def search(_shell: Shell, words: str) -> None:
    """Find the turns that contain all words."""
    from missy.cli.commands.sessions import show_hits

    show_hits(words, 20)


def resume(shell: Shell, wanted: str) -> None:
    """Go on with a stored session. Raises UsageError if there is none, or this conversation stores nothing."""
    from missy.cli.commands.session_changes import stored
    from missy.sessions import find

    talk = shell.talk
    if talk.temporary:
        raise UsageError("a temporary conversation stores nothing", hint=f"missy run --session {wanted}")
    with stored() as store:
        found = find.require(store, wanted)
    talk.use(talk.missy.session(found.id))
    introduce(shell)


def introduce(shell: Shell) -> None:
    """Say which session this is, and show its last turn."""
    session = shell.talk.session
    line = session.turns
    named = f" ({session.name})" if session.name else ""
    notice(f"session {session.id}{named}, {counted(len(line), 'turn')}" + ("; the last one:" if line else ""))
    if line:
        show_turn(shell.talk, line[-1])


def rename(shell: Shell, name: str) -> None:
    """Name this session; a new one gets the name with its first message."""
    from missy.cli.commands.session_changes import stored
    from missy.sessions import find

    talk = shell.talk
    kept = find.check_name(name)
    if talk.temporary:
        raise UsageError("a temporary conversation has no name", hint="nothing of it is stored")
    if talk.has_session and not talk.session.is_new:
        talk.session.rename(kept)
    else:
        with stored() as store:
            if find.find(store, kept):
                raise UsageError(
                    f"there is a session '{kept}' already", hint="choose another name, or /resume it"
                )
        talk.begin(kept)
    notice(f"this session is now called {kept}")


def usage(shell: Shell, _argument: str) -> None:
    """Say how many tokens this session took, what it cost, and what is left of a plan."""
    talk = shell.talk
    if talk.has_session:
        totals = talk.session.totals()
        notice(
            f"{counted(totals.turns, 'turn')}, {status.tokens(totals) or 'tokens unknown'}, {status.cost(totals)}"
        )
    else:
        notice("nothing was asked yet")
    for window in status.windows(talk):
        notice(window)


def clear(shell: Shell, _argument: str) -> None:
    """Begin a new session."""
    had = shell.talk.has_session
    shell.talk.begin()
    notice("a new session" + ("; the one before stays stored" if had and not shell.talk.temporary else ""))


def temp(shell: Shell, _argument: str) -> None:
    """Store nothing from now on. Raises UsageError if something is stored already."""
    talk = shell.talk
    if talk.has_session:
        raise UsageError("this conversation is stored already", hint="begin another one: /clear, then /temp")
    talk.begin()
    talk.temporary = True
    shell.forget_history()
    notice("from now on nothing is stored")
