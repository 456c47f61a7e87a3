"""Saboteurs of transports: they write, end, pause and describe themselves wrongly."""

import socket
from typing import Any

from saboteurs import saboteur
from saboteurs.stream_loop import SocketTransport, Transports


@saboteur("TRANS-WRITE-02")
class RepeatsAfterAPartialSend(Transports):
    """Sends a byte again after the kernel took only a part."""

    class transport(SocketTransport):
        def write(self, data: Any) -> None:
            empty = not self.get_write_buffer_size()
            super().write(data)
            left = self.get_write_buffer_size()
            if empty and 0 < left < len(data):
                super().write(data[-1:])


@saboteur("TRANS-WRITE-02")
class OvertakesWhatIsQueued(Transports):
    """Sends small writes at once, though others are queued before them."""

    class transport(SocketTransport):
        def write(self, data: Any) -> None:
            if self.get_write_buffer_size() and len(data) < 10 and not self._conn_lost and not self._closing:
                try:
                    self._sock.send(data)
                except OSError:
                    super().write(data)
                return
            super().write(data)


@saboteur("TRANS-WRITE-03")
class WritesAnything(Transports):
    """Takes None, and whatever else has no bytes, for nothing."""

    class transport(SocketTransport):
        def write(self, data: Any) -> None:
            if isinstance(data, bytes | bytearray | memoryview):
                super().write(data)


@saboteur("TRANS-WRITE-03")
class FindsWrongTypesLate(Transports):
    """Looks at the type of what is written in the next iteration."""

    class transport(SocketTransport):
        def write(self, data: Any) -> None:
            if isinstance(data, bytes | bytearray | memoryview):
                super().write(data)
            else:
                self._loop.call_soon(self._fatal_error, TypeError("not bytes"))


@saboteur("TRANS-WRITE-05")
class WritesAfterTheEnd(Transports):
    """Ignores a write after write_eof()."""

    class transport(SocketTransport):
        def write(self, data: Any) -> None:
            if not self._eof:
                super().write(data)


@saboteur("TRANS-WRITE-06")
class NeverWarns(Transports):
    """Logs no warning for writes to a lost connection."""

    class transport(SocketTransport):
        def write(self, data: Any) -> None:
            if not self._conn_lost:
                super().write(data)


@saboteur("TRANS-WRITE-08")
class KeepsBuffersOfCallers(Transports):
    """Sends what the caller's buffer holds by the time it can be sent."""

    class transport(SocketTransport):
        def write(self, data: Any) -> None:
            if isinstance(data, bytearray) and len(data) > 100_000:
                self._loop.call_soon(lambda: SocketTransport.write(self, bytes(data)))
            else:
                super().write(data)


@saboteur("TRANS-WRITE-10")
class WritesLater(Transports):
    """Sends in the next iteration, and never at once."""

    class transport(SocketTransport):
        def write(self, data: Any) -> None:
            self._loop.call_soon(super().write, data)


@saboteur("TRANS-WRITE-11")
class SendsTheWholeMemory(Transports):
    """Sends the memory that a view lies in."""

    class transport(SocketTransport):
        def write(self, data: Any) -> None:
            if isinstance(data, memoryview) and isinstance(data.obj, bytes | bytearray):
                data = bytes(data.obj)
            super().write(data)


@saboteur("TRANS-WRITELINES-01")
class LosesTheLastLine(Transports):
    """Forgets the last of more elements than a system call takes."""

    class transport(SocketTransport):
        def writelines(self, lines: Any) -> None:
            lines = list(lines)
            super().writelines(lines[:-1] if len(lines) > 1024 else lines)


@saboteur("TRANS-WRITELINES-07")
class SendsAsMuchAsOneCallTakes(Transports):
    """Sends the first thousand elements, and then the rest in the wrong order."""

    class transport(SocketTransport):
        def writelines(self, lines: Any) -> None:
            lines = list(lines)
            super().writelines(lines[:1024])
            if len(lines) > 1024:
                super().writelines(reversed(lines[1024:]))


@saboteur("TRANS-WRITELINES-02", "fail", "deviation")
class WantsAList(Transports):
    """Asks for the length of what it is given."""

    class transport(SocketTransport):
        def writelines(self, lines: Any) -> None:
            if len(lines):
                super().writelines(lines)


@saboteur("TRANS-WRITELINES-03")
class WritesLinesAfterTheEnd(Transports):
    """Ignores writelines() after write_eof()."""

    class transport(SocketTransport):
        def writelines(self, lines: Any) -> None:
            if not self._eof:
                super().writelines(lines)


@saboteur("TRANS-WRITE_EOF-01")
class EndsTheStreamAtOnce(Transports):
    """Ends the stream before what is queued."""

    class transport(SocketTransport):
        def write_eof(self) -> None:
            if not self._eof and not self._closing:
                self._eof = True
                self._sock.shutdown(socket.SHUT_WR)


@saboteur("TRANS-WRITE_EOF-02")
class EndsBothDirections(Transports):
    """Ends reading with writing."""

    class transport(SocketTransport):
        def write_eof(self) -> None:
            super().write_eof()
            if not self._closing:
                self._sock.shutdown(socket.SHUT_RD)


@saboteur("TRANS-WRITE_EOF-03")
class CannotEnd(Transports):
    """Says that it cannot end the stream."""

    class transport(SocketTransport):
        def can_write_eof(self) -> bool:
            return False


@saboteur("TRANS-WRITE_EOF-04")
class EndsTheStreamAgain(Transports):
    """Raises for the second write_eof()."""

    class transport(SocketTransport):
        def write_eof(self) -> None:
            if self._eof:
                raise RuntimeError("the stream has ended")
            super().write_eof()


@saboteur("TRANS-CLOSE-01")
class ClosesWithoutSending(Transports):
    """Throws away at close() what is queued."""

    class transport(SocketTransport):
        def close(self) -> None:
            self.abort()


@saboteur("TRANS-CLOSE-01")
class ClosesWithAReset(Transports):
    """Resets the connection instead of ending it."""

    class transport(SocketTransport):
        def _call_connection_lost(self, exc: Any) -> None:
            if exc is None:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            super()._call_connection_lost(exc)


@saboteur("TRANS-CLOSE-03")
class ReadsAfterClose(Transports):
    """Goes on reading while a close waits for what is queued."""

    class transport(SocketTransport):
        def close(self) -> None:
            super().close()
            if self._conn_lost == 0 and not self._sock._closed:
                self._loop._add_reader(self._sock_fd, self._read_late)

        def _read_late(self) -> None:
            try:
                data = self._sock.recv(1000)
            except OSError:
                data = b""
            self._loop._remove_reader(self._sock_fd)
            if data:
                self._protocol.data_received(data)


@saboteur("TRANS-CLOSE-04")
class LostWithinClose(Transports):
    """Calls connection_lost() from within close() when nothing is queued."""

    class transport(SocketTransport):
        def close(self) -> None:
            if not self._closing and not self._buffer:
                self._closing = True
                self._loop._remove_reader(self._sock_fd)
                self._conn_lost += 1
                self._call_connection_lost(None)
            else:
                super().close()


@saboteur("TRANS-CLOSE-06")
class ClosesTheDescriptorFirst(Transports):
    """Closes the descriptor before connection_lost()."""

    class transport(SocketTransport):
        def _call_connection_lost(self, exc: Any) -> None:
            self._sock.close()
            super()._call_connection_lost(exc)


@saboteur("TRANS-CLOSE-07", "fail", "leak")
class LeaksTheDescriptorOfAFailure(Transports):
    """Leaves the descriptor open when connection_lost() raises."""

    class transport(SocketTransport):
        def _call_connection_lost(self, exc: Any) -> None:
            try:
                self._protocol.connection_lost(exc)
            except Exception:
                self._loop.__dict__.setdefault("kept", []).append(self._sock.dup())
                raise
            finally:
                self._protocol = type("Told", (), {"connection_lost": lambda self, exc: None})()
                super()._call_connection_lost(exc)


@saboteur("TRANS-ABORT-01")
class AbortsInGoodOrder(Transports):
    """Sends what is queued before it aborts."""

    class transport(SocketTransport):
        def abort(self) -> None:
            if self._buffer:
                self.close()
            else:
                super().abort()


@saboteur("TRANS-ABORT-02")
class CannotAbortAClose(Transports):
    """Ignores abort() on a closing transport."""

    class transport(SocketTransport):
        def abort(self) -> None:
            if not self._closing:
                super().abort()


@saboteur("TRANS-IS_CLOSING-01")
class ClosesLater(Transports):
    """is_closing() is True once the connection is lost."""

    class transport(SocketTransport):
        def is_closing(self) -> bool:
            return self._loop is None


@saboteur("TRANS-IS_CLOSING-02")
class OpenInConnectionLost(Transports):
    """is_closing() is False again in connection_lost()."""

    class transport(SocketTransport):
        def _call_connection_lost(self, exc: Any) -> None:
            self._closing = False
            super()._call_connection_lost(exc)


@saboteur("TRANS-GET_EXTRA_INFO-01")
class RaisesForUnknownNames(Transports):
    """Raises KeyError for a name that it does not know."""

    class transport(SocketTransport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return self._extra[name] if default is None else super().get_extra_info(name, default)


@saboteur("TRANS-GET_EXTRA_INFO-02")
class SwapsAddresses(Transports):
    """Takes its own name for that of the peer."""

    class transport(SocketTransport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return super().get_extra_info("sockname" if name == "peername" else name, default)


@saboteur("TRANS-GET_EXTRA_INFO-04")
class GivesTheSocketAway(Transports):
    """Hands out the socket itself, which can be made blocking."""

    class transport(SocketTransport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return self._sock if name == "socket" else super().get_extra_info(name, default)


@saboteur("TRANS-GET_EXTRA_INFO-05")
class ForgetsAddresses(Transports):
    """Knows no addresses once the connection is lost."""

    class transport(SocketTransport):
        def _call_connection_lost(self, exc: Any) -> None:
            self._extra = {}
            super()._call_connection_lost(exc)


@saboteur("TRANS-SET_PROTOCOL-01")
class TellsTheOldProtocol(Transports):
    """Tells the first protocol of the end."""

    class transport(SocketTransport):
        first: Any = None

        def set_protocol(self, protocol: Any) -> None:
            self.first = self.first or protocol
            super().set_protocol(protocol)

        def _call_connection_lost(self, exc: Any) -> None:
            self._protocol = self.first
            super()._call_connection_lost(exc)


@saboteur("TRANS-SET_PROTOCOL-02")
class MakesTheNewProtocol(Transports):
    """Calls connection_made() on a protocol that is set."""

    class transport(SocketTransport):
        def set_protocol(self, protocol: Any) -> None:
            exchanged = getattr(self, "_protocol", None) is not None
            super().set_protocol(protocol)
            if exchanged:
                protocol.connection_made(self)


@saboteur("TRANS-SET_PROTOCOL-03")
class KeepsTheKindOfProtocol(Transports):
    """Reads in the manner of the first protocol, whatever comes after."""

    class transport(SocketTransport):
        def set_protocol(self, protocol: Any) -> None:
            before = getattr(self, "_read_ready_cb", None)
            super().set_protocol(protocol)
            if before is not None:
                self._read_ready_cb = before


@saboteur("TRANS-PAUSE_READING-01")
class PausesAfterOneMore(Transports):
    """Delivers one more piece after pause_reading()."""

    class transport(SocketTransport):
        def pause_reading(self) -> None:
            if not self._paused and not self._closing:
                self._paused = True
                self._loop.call_later(0.002, self._really_pause)

        def _really_pause(self) -> None:
            if self._loop is not None and self._paused:
                self._loop._remove_reader(self._sock_fd)

        def resume_reading(self) -> None:
            if self._paused and not self._closing:
                self._loop._add_reader(self._sock_fd, self._read_ready)
                self._paused = False


@saboteur("TRANS-PAUSE_READING-02")
class CountsPauses(Transports):
    """Wants as many resumes as there were pauses."""

    class transport(SocketTransport):
        pauses = 0

        def pause_reading(self) -> None:
            self.pauses += 1
            super().pause_reading()

        def resume_reading(self) -> None:
            self.pauses = max(self.pauses - 1, 0)
            if not self.pauses:
                super().resume_reading()


@saboteur("TRANS-PAUSE_READING-03")
class RefusesToResume(Transports):
    """Raises when a transport that reads is resumed."""

    class transport(SocketTransport):
        def resume_reading(self) -> None:
            if not self._paused:
                raise RuntimeError("not paused")
            super().resume_reading()


@saboteur("TRANS-PAUSE_READING-05")
class ReadsWhileClosing(Transports):
    """is_reading() is True on a closing transport."""

    class transport(SocketTransport):
        def is_reading(self) -> bool:
            return not self._paused


@saboteur("TRANS-PAUSE_READING-06")
class ForgetsEarlyPauses(Transports):
    """Starts to read after connection_made() whatever was said there."""

    class transport(SocketTransport):
        def __init__(self, loop: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(loop, *args, **kwargs)
            loop.call_soon(self._start)

        def _start(self) -> None:
            if not self._closing:
                self._paused = False
                self._loop._add_reader(self._sock_fd, self._read_ready)


@saboteur("TRANS-PAUSE_READING-08")
class DeliversWithinResume(Transports):
    """Reads from within resume_reading()."""

    class transport(SocketTransport):
        def resume_reading(self) -> None:
            was_paused = self._paused
            super().resume_reading()
            if was_paused and not self._closing:
                self._read_ready()


@saboteur("TRANS-NODELAY-01")
class DelaysSmallSegments(Transports):
    """Turns TCP_NODELAY off."""

    class transport(SocketTransport):
        def __init__(self, loop: Any, sock: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(loop, sock, *args, **kwargs)
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)


@saboteur("TRANS-REPR-01")
class CannotDescribeItself(Transports):
    """repr() asks a loop that is gone."""

    class transport(SocketTransport):
        def __repr__(self) -> str:
            return f"<transport of {self._loop.get_debug()}>"
