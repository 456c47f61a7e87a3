"""Saboteurs of the operations on sockets: they lose data, wait where they need not, and go on when nobody wants it."""

import asyncio
import errno
import socket
from typing import Any

from saboteurs import saboteur


class Loop(asyncio.SelectorEventLoop):
    """A stock loop whose debug mode and checks are out of the way of those who write their own operations."""

    async def readable(self, sock: Any) -> None:
        """Wait until there is something to read, in the plainest way."""
        ready = self.create_future()
        self._add_reader(sock.fileno(), lambda: ready.done() or ready.set_result(None))  # type: ignore[attr-defined]
        try:
            await ready
        finally:
            self._remove_reader(sock.fileno())  # type: ignore[attr-defined]


@saboteur("SOCK-COMMON-01")
class TakesSslSockets(asyncio.SelectorEventLoop):
    """Receives from any socket, whatever it wraps."""

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        return sock.recv(nbytes)


@saboteur("SOCK-COMMON-02")
class NeverLooksAtTheTimeout(asyncio.SelectorEventLoop):
    """Connects with a blocking socket in debug mode as well."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        debug = self.get_debug()
        self.set_debug(False)
        try:
            await super().sock_connect(sock, address)
        finally:
            self.set_debug(debug)


@saboteur("SOCK-COMMON-03")
class ReadsForTheDead(Loop):
    """An operation that was cancelled reads on when data come."""

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        try:
            return await super().sock_recv(sock, nbytes)
        except asyncio.CancelledError:
            self.add_reader(sock.fileno(), self._read_once, sock)
            raise

    def _read_once(self, sock: Any) -> None:
        self.remove_reader(sock.fileno())
        sock.recv(65_536)


@saboteur("SOCK-COMMON-03")
class SendsForTheDead(Loop):
    """A sender that was cancelled sends the next part all the same."""

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        try:
            await super().sock_sendall(sock, data)
        except asyncio.CancelledError:
            number = sock.fileno()
            self.add_writer(number, lambda: (sock.send(b"more"), self.remove_writer(number)))
            raise


@saboteur("SOCK-COMMON-04")
class StealsFromTransports(asyncio.SelectorEventLoop):
    """Waits on sockets that transports use."""

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        pass


@saboteur("SOCK-COMMON-05")
class SwallowsErrors(asyncio.SelectorEventLoop):
    """Takes an error for the end of the stream."""

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        try:
            return await super().sock_recv(sock, nbytes)
        except OSError:
            return b""


@saboteur("SOCK-COMMON-06")
class AlwaysWaits(Loop):
    """Polls before each attempt to receive."""

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        await self.readable(sock)
        return sock.recv(nbytes)


@saboteur("SOCK-COMMON-07", "fail", "hang")
class OneOperationASocket(asyncio.SelectorEventLoop):
    """Puts a sender in the place of a receiver that waits on the same socket."""

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        self.remove_reader(sock.fileno())
        await super().sock_sendall(sock, data)


@saboteur("SOCK-COMMON-08", "fail", "hang")
class ClearsTheNumber(asyncio.SelectorEventLoop):
    """Stops all that watches a descriptor when one operation on it ends."""

    def _sock_write_done(self, fd: int, fut: Any, handle: Any = None) -> None:
        self.remove_writer(fd)
        self.remove_reader(fd)


@saboteur("SOCK-COMMON-09", "fail", "hang")
class GoesByTheNumber(Loop):
    """Reads from whoever has the number of the socket by now."""

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        number = sock.fileno()
        try:
            return await super().sock_recv(sock, nbytes)
        except asyncio.CancelledError:
            with socket.socket(fileno=socket.dup(number)) as same:
                same.recv(1)
            raise


@saboteur("SOCK-SOCK_RECV-01")
class WantsAllItAskedFor(asyncio.SelectorEventLoop):
    """Waits for a second piece where the first one is short."""

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        data = await super().sock_recv(sock, nbytes)
        if 1 < len(data) < nbytes:
            data += await super().sock_recv(sock, nbytes - len(data))
        return data


@saboteur("SOCK-SOCK_RECV-02")
class RaisesAtTheEnd(asyncio.SelectorEventLoop):
    """Makes an error of the end of the stream."""

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        data = await super().sock_recv(sock, nbytes)
        if nbytes and not data:
            raise EOFError
        return data


@saboteur("SOCK-SOCK_RECV_INTO-02")
class FillsTheMemoryBehindAView(asyncio.SelectorEventLoop):
    """Receives into the object that a view is of."""

    async def sock_recv_into(self, sock: Any, buf: Any) -> int:
        if isinstance(buf, memoryview) and isinstance(buf.obj, bytearray):
            buf = buf.obj
        return await super().sock_recv_into(sock, buf)


@saboteur("SOCK-SOCK_RECV_INTO-03")
class KeepsTheBuffer(asyncio.SelectorEventLoop):
    """Keeps a view of the last buffer."""

    async def sock_recv_into(self, sock: Any, buf: Any) -> int:
        self.last = memoryview(buf)
        return await super().sock_recv_into(sock, buf)


@saboteur("SOCK-SOCK_RECVFROM_INTO-02")
class TakesZeroForNothing(asyncio.SelectorEventLoop):
    """Stores one byte where 0 is asked for."""

    async def sock_recvfrom_into(self, sock: Any, buf: Any, nbytes: int = 0) -> Any:
        return await super().sock_recvfrom_into(sock, buf, nbytes or 1)


@saboteur("SOCK-SOCK_RECVFROM_INTO-03")
class CutsTheNumber(asyncio.SelectorEventLoop):
    """Makes an nbytes that is too large fit."""

    async def sock_recvfrom_into(self, sock: Any, buf: Any, nbytes: int = 0) -> Any:
        return await super().sock_recvfrom_into(sock, buf, min(nbytes, len(buf)))


@saboteur("SOCK-SOCK_SENDALL-01")
class ReturnsBeforeItIsSent(asyncio.SelectorEventLoop):
    """Leaves what the kernel does not take to a task."""

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        if len(data) > 1_000_000:
            self.task = self.create_task(super().sock_sendall(sock, data))
        else:
            await super().sock_sendall(sock, data)


@saboteur("SOCK-SOCK_SENDALL-02")
class ForgetsAPart(asyncio.SelectorEventLoop):
    """Loses the last byte of what it could not send at once."""

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        await super().sock_sendall(sock, data[:-1] if len(data) > 1_000_000 else data)


@saboteur("SOCK-SOCK_SENDALL-03", "fail", "hang")
class WaitsForNothing(asyncio.SelectorEventLoop):
    """An operation without data never ends."""

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        if not len(data):
            await asyncio.Event().wait()
        await super().sock_sendall(sock, data)


@saboteur("SOCK-SOCK_SENDTO-01")
class ReturnsNone(asyncio.SelectorEventLoop):
    """Believes the old documentation of sock_sendto()."""

    async def sock_sendto(self, sock: Any, data: Any, address: Any) -> Any:
        await super().sock_sendto(sock, data, address)


@saboteur("SOCK-SOCK_CONNECT-03")
class NeverResolves(asyncio.SelectorEventLoop):
    """Takes numeric addresses alone."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        if sock.family == socket.AF_INET:
            socket.inet_aton(address[0])
        await super().sock_connect(sock, address)


@saboteur("SOCK-SOCK_CONNECT-05")
class NamesNoAddress(asyncio.SelectorEventLoop):
    """Raises the bare error."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        try:
            await super().sock_connect(sock, address)
        except ConnectionRefusedError:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused") from None


@saboteur("SOCK-SOCK_CONNECT-06")
class WatchesOn(asyncio.SelectorEventLoop):
    """Watches the number of a socket whose connection was cancelled."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        number = sock.fileno()
        try:
            await super().sock_connect(sock, address)
        except asyncio.CancelledError:
            self.call_later(0.003, self.add_reader, number, list)
            raise


@saboteur("SOCK-SOCK_ACCEPT-02")
class AcceptsBlockingSockets(asyncio.SelectorEventLoop):
    """Leaves the new socket as the kernel made it."""

    async def sock_accept(self, sock: Any) -> Any:
        accepted, address = await super().sock_accept(sock)
        accepted.setblocking(True)
        return accepted, address


@saboteur("SOCK-SOCK_ACCEPT-04")
class LetsChildrenInherit(asyncio.SelectorEventLoop):
    """Accepts sockets that children inherit."""

    async def sock_accept(self, sock: Any) -> Any:
        accepted, address = await super().sock_accept(sock)
        accepted.set_inheritable(True)
        return accepted, address


@saboteur("SOCK-COMMON-03")
class AcceptsForTheDead(Loop):
    """Takes and closes the next connection after a cancel."""

    async def sock_accept(self, sock: Any) -> Any:
        try:
            return await super().sock_accept(sock)
        except asyncio.CancelledError:
            self.add_reader(sock.fileno(), lambda: (sock.accept()[0].close(), self.remove_reader(sock.fileno())))
            raise
