"""The only network of a boxed program: a small forward proxy on the listener that its box handed over.

Each connection is one request: `CONNECT host:port`, or an absolute `http://` URL. The gate decides on it under the category
`tool`, as on every other request, before a name is looked up; the address that was checked is the one that is connected to.
After CONNECT the ClientHello must name the same host (no fronting) before a name is looked up and a byte leaves. TLS is not
opened: of CONNECT the record has host and bytes, and no path.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from missy.errors import MissyError, PolicyError, TimedOut
from missy.net.client_hello import BadHello, is_complete, server_name
from missy.net.gate import Attribution
from missy.net.limits import Clock
from missy.policy import InvalidURL, parse
from missy.policy.addresses import read_literal

if TYPE_CHECKING:
    from missy.net.door import Door
    from missy.net.gate import RequestContext
    from missy.net.streams import Stream

PORT = 3128  # in the box's own network
MAX_CONNECTIONS = 32  # at once
MAX_HEAD_BYTES = 16 << 10
MAX_BODY_BYTES = 64 << 20  # of a plain request
MAX_BYTES = 1 << 30  # of one connection, in each direction
IDLE_SECONDS = 60.0
STOP_SECONDS = 2.0  # to wait for a connection that is ended
_BLOCK = 64 << 10
_HOP = (
    b"connection",
    b"proxy-connection",
    b"proxy-authorization",
    b"keep-alive",
    b"te",
    b"upgrade",
    b"host",
    b"expect",
)


class _Refused(Exception):
    """A request that is answered here; `status` is the first line."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Egress:
    """Serves one box until `stop`. `entry` is its name in the audit, `run` the id of the answer that it belongs to."""

    def __init__(self, door: Door, listener: socket.socket, *, entry: str, run: str) -> None:
        self._door = door
        self._listener = listener
        self._entry = entry
        self._run = run
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._mutex = threading.Lock()
        self._stopped = False
        self._listener.settimeout(0.2)  # so that `stop` is seen
        self._thread = threading.Thread(target=self._accept, name="missy-egress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every connection, and wait until its end is on record."""
        self._stopped = True
        self._thread.join()
        with self._mutex:
            for client in self._open:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
            threads = list(self._threads)
        for thread in threads:
            thread.join(STOP_SECONDS)

    def _accept(self) -> None:
        while not self._stopped:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if not self._slots.acquire(blocking=False):
                client.close()
                continue
            thread = threading.Thread(target=self._serve, args=(client,), name="missy-egress", daemon=True)
            with self._mutex:
                self._open.add(client)
                self._threads.add(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(IDLE_SECONDS)
                try:
                    self._answer(client)
                except _Refused as refusal:
                    body = f"missy: {refusal.text}\n".encode("ascii", "replace")
                    fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close"
                    client.sendall(f"HTTP/1.1 {refusal.status}\r\n{fields}\r\n\r\n".encode() + body)
        except (OSError, MissyError):
            pass  # the program sees a closed connection; what happened is on record
        finally:
            with self._mutex:
                self._open.discard(client)
                self._threads.discard(threading.current_thread())
            self._slots.release()

    def _answer(self, client: socket.socket) -> None:
        head, rest = _read_head(client)
        line, *fields = head.split(b"\r\n")
        try:
            method, target, version = line.decode("ascii").split(" ")
        except (UnicodeDecodeError, ValueError):
            raise _Refused("400 Bad Request", "this is no HTTP request") from None
        if not version.startswith("HTTP/1."):
            raise _Refused("400 Bad Request", "only HTTP/1.1 is spoken here")
        if method == "CONNECT":
            self._tunnel(client, target, rest)
        elif target.startswith("http://"):
            self._forward(client, method, target, fields, rest)
        else:
            raise _Refused("400 Bad Request", "a proxy is asked with CONNECT or an absolute http:// URL")

    def _authorize(self, origin: str, method: str, path: str) -> RequestContext:
        attribution = Attribution(
            Clock(IDLE_SECONDS),
            category="tool",
            entry=self._entry,
            extras={"run": self._run},
            live=True,
            may_stop=True,
        )
        try:
            return self._door.gate.authorize(origin, method, path, attribution)
        except PolicyError as error:
            raise _Refused("403 Forbidden", error.message) from None

    def _tunnel(self, client: socket.socket, authority: str, rest: bytes) -> None:
        context = self._authorize(f"https://{authority}", "CONNECT", "")
        try:
            self._door.require_direct(context)
        except PolicyError as error:
            self._door.gate.end(context, error=error)
            raise _Refused("403 Forbidden", error.message) from None
        try:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            hello = self._checked_hello(client, rest, context)
            stream = self._door.connect(context)
        except (MissyError, OSError) as error:
            self._door.gate.end(context, error=error)
            raise
        self._relay(client, stream, context, hello)

    def _connect(self, context: RequestContext) -> Stream:
        """Connect to the checked address; what is in the way is told to the program."""
        try:
            return self._door.connect(context)
        except MissyError as error:
            self._door.gate.end(context, error=error)
            status = "403 Forbidden" if isinstance(error, PolicyError) else "502 Bad Gateway"
            raise _Refused(status, error.message) from None

    def _checked_hello(self, client: socket.socket, data: bytes, context: RequestContext) -> bytes:
        """Read the ClientHello. Raises PolicyError, on record, unless it names the host that was allowed."""
        host = context.target.host
        try:
            while not is_complete(data):
                block = client.recv(_BLOCK)
                if not block:
                    raise BadHello("it is cut off")
                data += block
            name = server_name(data)
            wanted = None if read_literal(host) is not None else host
            if name != wanted and not (wanted is None and name == host):
                raise BadHello(f"it names {name or 'no server'}, and {host} was asked for")
        except BadHello as why:
            raise self._door.gate.deny_outright(
                context.target, context.attribution, f"the ClientHello cannot be let through: {why}", rule="sni",
                hint="only plain TLS to the host of the request", method="CONNECT",
            ) from None  # fmt: skip
        return data

    def _forward(
        self, client: socket.socket, method: str, url: str, fields: list[bytes], rest: bytes
    ) -> None:
        """Send one plain request, and its reply back; the policy wants its addresses in `allowed_cidrs`."""
        try:
            target = parse(url)
        except InvalidURL as error:
            raise _Refused("400 Bad Request", f"{error}") from None
        path = "/" + url.partition("://")[2].partition("#")[0].partition("/")[2]
        body = _body(client, fields, rest)
        context = self._authorize(str(target), method[:32], path)
        kept = [field for field in fields if field.partition(b":")[0].strip().lower() not in _HOP]
        lines = [
            f"{method} {path} HTTP/1.1".encode(),
            b"Host: " + target.authority.encode(),
            *kept,
            b"Connection: close",
        ]
        stream = self._connect(context)
        self._relay(client, stream, context, b"\r\n".join(lines) + b"\r\n\r\n" + body, upwards=False)

    def _relay(
        self,
        client: socket.socket,
        stream: Stream,
        context: RequestContext,
        first: bytes,
        *,
        upwards: bool = True,
    ) -> None:
        """Pass bytes in both directions until one side ends; without `upwards`, nothing of the client's after `first`."""
        error: BaseException | None = None
        try:
            stream.write(first, context)
            threading.Thread(
                target=self._upload, args=(client, stream, context, upwards), daemon=True
            ).start()
            while context.bytes_in < MAX_BYTES and (data := stream.read(_BLOCK, context)):
                context.clock.reset_idle()
                client.sendall(data)
        except Exception as failure:  # either side may end it at any time, in any way
            error = failure if isinstance(failure, TimedOut) else None
        finally:
            self._door.gate.end(
                context, error=error
            )  # first: the program may have ended when it sees the end
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)  # ends the upload
            stream.close()

    @staticmethod
    def _upload(client: socket.socket, stream: Stream, context: RequestContext, upwards: bool) -> None:
        """Pass on what the client sends, or drop it; when the client has gone, so does the connection."""
        with suppress(MissyError, OSError, ValueError):
            while context.bytes_out < MAX_BYTES and (data := client.recv(_BLOCK)):
                if upwards:
                    stream.write(data, context)
        with suppress(
            OSError
        ):  # not closed here: the number could be another file's while the other thread reads
            stream.shut_down()


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        block = client.recv(_BLOCK)
        if not block or len(data) > MAX_HEAD_BYTES:
            raise _Refused("400 Bad Request", "the request has no end")
        data += block
    head, _, rest = data.partition(b"\r\n\r\n")
    if set(b"\r\n\0") & set(head.replace(b"\r\n", b"")):
        raise _Refused("400 Bad Request", "it has a bare line end")  # two servers could read it in two ways
    if len(head) > MAX_HEAD_BYTES:
        raise _Refused("431 Request Header Fields Too Large", "the request is too long")
    return head, rest


def _body(client: socket.socket, fields: list[bytes], rest: bytes) -> bytes:
    """Read the body of a plain request, of a known length: what follows it would be another request."""
    lengths = [
        field.partition(b":")[2].strip() for field in fields if field.lower().startswith(b"content-length:")
    ]
    if any(field.lower().startswith(b"transfer-encoding") for field in fields) or len(lengths) > 1:
        raise _Refused("411 Length Required", "a body needs one Content-Length")
    if lengths and not (lengths[0].isdigit() and len(lengths[0]) < 12):
        raise _Refused("400 Bad Request", "its Content-Length is no number")
    length = int(lengths[0]) if lengths else 0
    if length > MAX_BODY_BYTES:
        raise _Refused("413 Content Too Large", "its body is too long")
    body = rest[:length]
    while len(body) < length:
        block = client.recv(min(_BLOCK, length - len(body)))
        if not block:
            raise _Refused("400 Bad Request", "its body is cut off")
        body += block
    return body
