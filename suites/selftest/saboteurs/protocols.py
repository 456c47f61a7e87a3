"""Saboteurs of protocols: transports that tell them the wrong thing, too often, too early or too late."""

import asyncio
import contextlib
from typing import Any

from saboteurs import saboteur
from saboteurs.stream_loop import SocketTransport, Transports


@saboteur("PROTO-ORDER-01")
class MadeTwice(Transports):
    """Calls connection_made() again."""

    class transport(SocketTransport):
        def __init__(self, loop: Any, sock: Any, protocol: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(loop, sock, protocol, *args, **kwargs)
            loop.call_soon(protocol.connection_made, self)


@saboteur("PROTO-ORDER-02")
class LostTwice(Transports):
    """Calls connection_lost() for each of close() and abort()."""

    class transport(SocketTransport):
        def abort(self) -> None:
            if self._closing and self._protocol is not None:
                self._loop.call_soon(self._protocol.connection_lost, None)
            super().abort()


@saboteur("PROTO-ORDER-02")
class LostInClose(Transports):
    """Calls connection_lost() from within abort()."""

    class transport(SocketTransport):
        def abort(self) -> None:
            if not self._conn_lost:
                self._protocol.connection_lost(None)
                self._protocol = asyncio.Protocol()
            super().abort()


@saboteur("PROTO-ORDER-06")
class ReadsBeforeConnectionMade(Transports):
    """Reads in the iteration in which connection_made() is called, before it."""

    class transport(SocketTransport):
        def __init__(self, loop: Any, sock: Any, protocol: Any, *args: Any, **kwargs: Any) -> None:
            self._early = loop.call_soon(self._read_early)
            super().__init__(loop, sock, protocol, *args, **kwargs)

        def _read_early(self) -> None:
            try:
                data = self._sock.recv(100)
            except OSError:
                return
            if data:
                self._loop.call_soon(self._protocol.data_received, data[:1])


@saboteur("PROTO-ORDER-03")
class TellsTheEndTwice(Transports):
    """Calls eof_received() again before it closes."""

    class transport(SocketTransport):
        def _read_ready__on_eof(self) -> None:
            self._protocol.eof_received()
            super()._read_ready__on_eof()


@saboteur("PROTO-DATA_RECEIVED-01")
class GivesByteArrays(Transports):
    """Hands out bytearrays."""

    class transport(SocketTransport):
        def set_protocol(self, protocol: Any) -> None:
            if hasattr(protocol, "data_received") and not hasattr(protocol, "get_buffer"):
                plain = protocol.data_received
                protocol.data_received = lambda data: plain(bytearray(data))
            super().set_protocol(protocol)


@saboteur("PROTO-DATA_RECEIVED-01")
class TellsTheEndAsEmptyData(Transports):
    """Calls data_received(b"") at the end of the stream."""

    class transport(SocketTransport):
        def _read_ready__on_eof(self) -> None:
            if hasattr(self._protocol, "data_received"):
                self._protocol.data_received(b"")
            super()._read_ready__on_eof()


@saboteur("PROTO-DATA_RECEIVED-02")
class LosesDataBeforeTheEnd(Transports):
    """Throws away what a full read is followed by, if that is the end."""

    class transport(SocketTransport):
        def _read_ready__data_received(self) -> None:
            before = self._protocol
            size = self.max_size
            type(self).max_size = 60_000
            try:
                super()._read_ready__data_received()
            finally:
                type(self).max_size = size
            if not self._closing and before is self._protocol and not self._paused:
                with contextlib.suppress(OSError):
                    self._sock.recv(1)


@saboteur("PROTO-DATA_RECEIVED-02")
class SwapsPieces(Transports):
    """Holds a large piece back until the next one has been delivered."""

    class transport(SocketTransport):
        held = b""

        def _read_ready__data_received(self) -> None:
            plain = self._protocol
            outer = self

            class Between:
                def data_received(self, data: bytes) -> None:
                    if len(data) > 100_000 and not outer.held:
                        outer.held = data
                        return
                    plain.data_received(data)
                    if outer.held:
                        plain.data_received(outer.held)
                        outer.held = b""

                def __getattr__(self, name: str) -> Any:
                    if outer.held:
                        plain.data_received(outer.held)
                        outer.held = b""
                    return getattr(plain, name)

            self._protocol = Between()
            try:
                super()._read_ready__data_received()
            finally:
                if isinstance(self._protocol, Between):
                    self._protocol = plain


@saboteur("PROTO-DATA_RECEIVED-03")
class ReadsTooMuchAtOnce(Transports):
    """Reads a megabyte at a time."""

    class transport(SocketTransport):
        max_size = 1 << 20


@saboteur("PROTO-DATA_RECEIVED-04")
class SwallowsErrorsOfProtocols(Transports):
    """Forgets what data_received() raises."""

    class transport(SocketTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            if "data_received" not in message:
                super()._fatal_error(exc, message)


@saboteur("PROTO-DATA_RECEIVED-04")
class LosesTheErrorOfProtocols(Transports):
    """Reports what data_received() raises, and tells connection_lost() of nothing."""

    class transport(SocketTransport):
        def _force_close(self, exc: Any) -> None:
            super()._force_close(exc if isinstance(exc, OSError) else None)


@saboteur("PROTO-DATA_RECEIVED-05")
class KeepsInterrupts(Transports):
    """Takes KeyboardInterrupt and SystemExit of data_received() for errors of the protocol."""

    class transport(SocketTransport):
        def _read_ready__data_received(self) -> None:
            try:
                super()._read_ready__data_received()
            except (KeyboardInterrupt, SystemExit) as error:
                self._force_close(error)


@saboteur("PROTO-EOF_RECEIVED-01")
class StaysOpenAtTheEnd(Transports):
    """Closes only for False, and not for every false answer."""

    class transport(SocketTransport):
        def _read_ready__on_eof(self) -> None:
            answer = self._protocol.eof_received()
            if answer is None or answer is False:
                self.close()
            else:
                self._loop._remove_reader(self._sock_fd)


@saboteur("PROTO-EOF_RECEIVED-02")
class ClosesAtTheEnd(Transports):
    """Closes whatever eof_received() answers."""

    class transport(SocketTransport):
        def _read_ready__on_eof(self) -> None:
            super()._read_ready__on_eof()
            self.close()


@saboteur("PROTO-EOF_RECEIVED-03")
class SpinsAtTheEnd(Transports):
    """Goes on polling a stream that has ended."""

    class transport(SocketTransport):
        told = False

        def _read_ready__on_eof(self) -> None:
            if not self.told:
                self.told = True
                super()._read_ready__on_eof()
                if not self._closing:
                    self._loop._add_reader(self._sock_fd, self._read_ready)


@saboteur("PROTO-EOF_RECEIVED-04")
class IgnoresErrorsAtTheEnd(Transports):
    """Closes without a word when eof_received() raises."""

    class transport(SocketTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            if "eof_received" in message:
                self.close()
            else:
                super()._fatal_error(exc, message)


@saboteur("PROTO-CONNECTION_LOST-01")
class TellsAnErrorOfAnAbort(Transports):
    """connection_lost() gets ConnectionAbortedError after abort()."""

    class transport(SocketTransport):
        def abort(self) -> None:
            self._force_close(ConnectionAbortedError())


@saboteur("PROTO-CONNECTION_LOST-02")
class HidesResets(Transports):
    """Takes a reset for an ordinary end."""

    class transport(SocketTransport):
        def _force_close(self, exc: Any) -> None:
            super()._force_close(None if isinstance(exc, ConnectionResetError) else exc)


@saboteur("PROTO-CONNECTION_LOST-02")
class TellsPlainOSErrors(Transports):
    """Loses the subclass of the error."""

    class transport(SocketTransport):
        def _force_close(self, exc: Any) -> None:
            if isinstance(exc, ConnectionResetError):
                plain = OSError("connection reset")
                plain.errno = exc.errno
                exc = plain
            super()._force_close(exc)


@saboteur("PROTO-CONNECTION_LOST-03")
class RaisesOutOfWrite(Transports):
    """Lets errors of the connection out of write()."""

    class transport(SocketTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            super()._fatal_error(exc, message)
            if "write" in message:
                raise exc


@saboteur("PROTO-CONNECTION_LOST-04")
class ReportsResets(Transports):
    """Calls the exception handler for a reset."""

    class transport(SocketTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            self._loop.call_exception_handler({"message": message, "exception": exc, "transport": self})
            self._force_close(exc)


@saboteur("PROTO-CONNECTION_LOST-05")
class DiesOfConnectionMade(Transports):
    """Aborts the connection when connection_made() raises."""

    class transport(SocketTransport):
        def __init__(self, loop: Any, sock: Any, protocol: Any, *args: Any, **kwargs: Any) -> None:
            plain = protocol.connection_made

            def connection_made(transport: Any) -> None:
                try:
                    plain(transport)
                except Exception:
                    self._loop.call_soon(self.abort)
                    raise

            protocol.connection_made = connection_made
            super().__init__(loop, sock, protocol, *args, **kwargs)


@saboteur("PROTO-GET_BUFFER-01")
class CountsItemsOfBuffers(Transports):
    """Takes the number of a buffer's items for its size."""

    class transport(SocketTransport):
        def _read_ready__get_buffer(self) -> None:
            plain = self._protocol.get_buffer

            class Between:
                def __init__(self, protocol: Any) -> None:
                    self.protocol = protocol

                def get_buffer(self, hint: int) -> Any:
                    buffer = plain(hint)
                    return memoryview(buffer).cast("B")[: len(buffer) // 2] if len(buffer) > 1 else buffer[:1000]

                def __getattr__(self, name: str) -> Any:
                    return getattr(self.protocol, name)

            self._protocol, before = Between(self._protocol), self._protocol
            try:
                super()._read_ready__get_buffer()
            finally:
                if isinstance(self._protocol, Between):
                    self._protocol = before


@saboteur("PROTO-GET_BUFFER-02")
class HintsAtNothing(Transports):
    """Asks for buffers with a hint of 0."""

    class transport(SocketTransport):
        def set_protocol(self, protocol: Any) -> None:
            if hasattr(protocol, "get_buffer"):
                plain = protocol.get_buffer
                protocol.get_buffer = lambda hint: plain(0)
            super().set_protocol(protocol)


@saboteur("PROTO-GET_BUFFER-03")
class TakesEmptyBuffers(Transports):
    """Takes an empty buffer for the end of the stream."""

    class transport(SocketTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            if isinstance(exc, RuntimeError) and "buffer" in str(exc):
                self.close()
            else:
                super()._fatal_error(exc, message)


@saboteur("PROTO-GET_BUFFER-04")
class SwallowsErrorsOfBuffers(Transports):
    """Goes on when buffer_updated() raises."""

    class transport(SocketTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            if "buffer_updated" not in message:
                super()._fatal_error(exc, message)


@saboteur("PROTO-GET_BUFFER-05")
class WritesIntoAllOfTheBuffer(Transports):
    """Wipes the buffer before it reads into it."""

    class transport(SocketTransport):
        def set_protocol(self, protocol: Any) -> None:
            if hasattr(protocol, "get_buffer"):
                plain = protocol.get_buffer

                def get_buffer(hint: int) -> Any:
                    buffer = plain(hint)
                    if isinstance(buffer, bytearray):
                        buffer[:] = bytes(len(buffer))
                    return buffer

                protocol.get_buffer = get_buffer
            super().set_protocol(protocol)


@saboteur("PROTO-BUFFER_UPDATED-01")
class TellsTheSizeOfTheBuffer(Transports):
    """buffer_updated() gets the size of the buffer."""

    class transport(SocketTransport):
        def set_protocol(self, protocol: Any) -> None:
            if hasattr(protocol, "get_buffer"):
                plain = protocol.buffer_updated
                protocol.buffer_updated = lambda size: plain(size + (size < 1000))
            super().set_protocol(protocol)


@saboteur("PROTO-BUFFER_UPDATED-04")
class KeepsBuffers(Transports):
    """Keeps the last buffer of each connection."""

    class transport(SocketTransport):
        def set_protocol(self, protocol: Any) -> None:
            if hasattr(protocol, "get_buffer"):
                plain = protocol.get_buffer

                def get_buffer(hint: int) -> Any:
                    self.kept = plain(hint)
                    return self.kept

                protocol.get_buffer = get_buffer
            super().set_protocol(protocol)
