"""What exists twice, for sync and for async code, is the same but for the words that must differ."""

from __future__ import annotations

import ast
import inspect

import pytest

from missy.answering import driving
from missy.net import bodies, connection, core, scoped, transport, watched_body
from missy.providers import checked, driver
from missy.spending import meter
from missy.toolbox import drive

# async name -> sync name, besides a leading Async
_NAMES = {
    "aclose": "close",
    "aclosing": "closing",
    "adrive": "drive",
    "aevents": "events",
    "async_answering": "answering",
    "checked_astream": "checked_stream",
    "_aprovider": "_provider",
    "aiter": "iter",
    "anext": "next",
    "aread": "read",
    "asend": "send",
    "astream": "stream",
    "async_core": "core",
    "handle_async_request": "handle_request",
    "__aiter__": "__iter__",
    "AsyncIterator": "Iterator",
    "RuntimeError": "ValueError",  # what a generator says that is running already
    "asyncio": "time",
    "_astream": "_stream",
    "_abegin": "_begin",
    "_aopen": "_open",
    "_arun": "_run",
    "tool_astream": "tool_stream",
}


class _ToSync(ast.NodeTransformer):
    """Turns async code into the sync code that it stands for; docstrings and imports are left out."""

    def visit(self, node: ast.AST) -> ast.AST | None:
        match node:
            case ast.Import() | ast.ImportFrom():
                return None
            case ast.Expr(value=ast.Constant(value=str())):
                return None
        for field, value in ast.iter_fields(node):
            if isinstance(value, str) and field in ("name", "id", "attr", "arg"):
                setattr(node, field, self._rename(value))
        node = self.generic_visit(node)
        match node:
            case ast.Await(
                value=ast.Call(func=ast.Attribute(attr="to_thread" | "in_thread"), args=[function, *rest])
            ):
                return ast.Call(function, rest, [])
            case ast.Await(value=value):
                return value
            case ast.AsyncFunctionDef():
                return ast.FunctionDef(**{name: getattr(node, name, None) for name in node._fields})
            case ast.AsyncFor():
                return ast.For(**{name: getattr(node, name, None) for name in node._fields})
            case ast.AsyncWith():
                return ast.With(**{name: getattr(node, name, None) for name in node._fields})
            case ast.ListComp(generators=generators):
                for one in generators:
                    one.is_async = 0
            case ast.IfExp(body=body, orelse=orelse) if ast.dump(body) == ast.dump(orelse):
                return body
            case ast.Constant(value=str() as text):
                return ast.Constant(self._rename(text))
        return node

    @staticmethod
    def _rename(name: str) -> str:
        bare = name.replace("Async", "").replace("Sync", "")
        return _NAMES.get(name, _NAMES.get(bare, bare))


def plain(thing: object) -> str:
    """Return the code of a class or function as its sync twin would have it."""
    tree = _ToSync().visit(ast.parse(inspect.cleandoc("\n" + inspect.getsource(thing))))
    assert tree is not None
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            node.returns = None if isinstance(node, ast.FunctionDef) else getattr(node, "returns", None)
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.unparse(ast.fix_missing_locations(tree))


@pytest.mark.parametrize(
    ("sync", "asynchronous"),
    [
        (core.Core, core.AsyncCore),
        (connection.Connection, connection.AsyncConnection),
        (bodies.SyncBody, bodies.AsyncBody),
        (transport.send, transport.asend),
        (transport.Transport, transport.AsyncTransport),
        (scoped.ScopedTransport, scoped.AsyncScopedTransport),
        (scoped.ScopedClient, scoped.AsyncScopedClient),
        (watched_body.SyncWatched, watched_body.AsyncWatched),
        (driver.drive, driver.adrive),
        (checked._stream, checked._astream),
        (meter.MeteredProvider.stream, meter.MeteredProvider.astream),
        (driving.events, driving.aevents),
        (drive.tool_stream, drive.tool_astream),
    ],
    ids=lambda thing: thing.__name__,
)
def test_the_async_twin_does_the_same(sync, asynchronous):
    """Renamed into each other, both are equal: what is mended in one is mended in the other."""
    assert plain(sync) == plain(asynchronous)


def test_a_difference_is_seen():
    """The comparison can fail: a class is no twin of another one."""
    assert plain(core.Core) != plain(bodies.SyncBody)
