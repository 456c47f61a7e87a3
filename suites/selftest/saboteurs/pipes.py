"""Saboteurs of pipes: transports that lose data, misjudge the ends, and mistreat descriptors."""

import contextlib
import os
import stat
from typing import Any

from saboteurs import saboteur
from saboteurs.pipe_loop import Pipes, ReadTransport, WriteTransport


@saboteur("PIPE-CONNECT_READ_PIPE-01")
class ReadsBeforeTheConnection(Pipes):
    """Delivers what is there before connection_made()."""

    class reader(ReadTransport):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._read_ready()


@saboteur("PIPE-CONNECT_READ_PIPE-02")
class ForgetsTheEnd(Pipes):
    """Loses the connection at the end of file without eof_received()."""

    class reader(ReadTransport):
        def _read_ready(self) -> None:
            protocol, end = self._protocol, self._protocol.eof_received
            protocol.eof_received = lambda: None
            super()._read_ready()
            protocol.eof_received = end


@saboteur("PIPE-CONNECT_READ_PIPE-04")
class LetsThePipeBlock(Pipes):
    """Does not switch the pipe to non-blocking mode."""

    class reader(ReadTransport):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            os.set_blocking(self._fileno, True)


@saboteur("PIPE-CONNECT_READ_PIPE-05")
class TakesPipesAlone(Pipes):
    """Refuses what is no pipe."""

    async def connect_read_pipe(self, protocol_factory: Any, pipe: Any) -> Any:
        if not stat.S_ISFIFO(os.fstat(pipe.fileno()).st_mode):
            raise ValueError("not a pipe")
        return await super().connect_read_pipe(protocol_factory, pipe)


@saboteur("PIPE-CONNECT_READ_PIPE-07")
class ReadsInAPause(Pipes):
    """Reads on in a pause."""

    class reader(ReadTransport):
        def pause_reading(self) -> None:
            self._paused = True


@saboteur("PIPE-CONNECT_READ_PIPE-07")
class RepeatsAResume(Pipes):
    """Reads again though it was closed in the pause."""

    class reader(ReadTransport):
        def resume_reading(self) -> None:
            self._paused = self._closing = False
            super().resume_reading()


@saboteur("PIPE-CONNECT_READ_PIPE-08")
class ClosesAtOnce(Pipes):
    """Closes the pipe before connection_lost()."""

    class reader(ReadTransport):
        def close(self) -> None:
            super().close()
            self._pipe.close()


@saboteur("PIPE-CONNECT_READ_PIPE-09", "fail", "leak")
class KeepsWhatWasCancelled(Pipes):
    """Leaves the transport of a cancelled call open."""

    class reader(ReadTransport):
        def __init__(self, loop: Any, pipe: Any, protocol: Any, waiter: Any, extra: Any = None) -> None:
            self._waiter = waiter
            super().__init__(loop, pipe, protocol, waiter, extra)

        def close(self) -> None:
            if not self._waiter.cancelled():
                super().close()


@saboteur("PIPE-CONNECT_READ_PIPE-13")
class ClosesTwice(Pipes):
    """Closes the number once more when it is told to close again."""

    class reader(ReadTransport):
        def close(self) -> None:
            if self._pipe is None:
                os.close(self._fileno)
            super().close()


@saboteur("PIPE-CONNECT_READ_PIPE-13", "fail", "leak")
class LeavesThePipeOpen(Pipes):
    """Does not close the pipe when connection_lost() raises."""

    class reader(ReadTransport):
        def _call_connection_lost(self, exc: Any) -> None:
            self._protocol.connection_lost(exc)
            super()._call_connection_lost(exc)


@saboteur("PIPE-CONNECT_READ_PIPE-14")
class SwallowsErrors(Pipes):
    """Says nothing of what data_received() raises."""

    class reader(ReadTransport):
        def _read_ready(self) -> None:
            try:
                super()._read_ready()
            except Exception:
                self._close(None)


@saboteur("PIPE-CONNECT_READ_PIPE-15")
class SwallowsInterrupts(Pipes):
    """Reports an interrupt in place of letting it out of the run."""

    class reader(ReadTransport):
        def _read_ready(self) -> None:
            try:
                super()._read_ready()
            except (KeyboardInterrupt, SystemExit) as error:
                raise RuntimeError("interrupted") from error


@saboteur("PIPE-CONNECT_READ_PIPE-17")
class IgnoresWhatItCannotWatch(Pipes):
    """Passes over a device that cannot be watched in silence."""

    class reader(ReadTransport):
        def _add_reader(self, fd: int, callback: Any) -> None:
            with contextlib.suppress(PermissionError):
                super()._add_reader(fd, callback)


@saboteur("PIPE-CONNECT_READ_PIPE-20")
class ChangesWhatItRefuses(Pipes):
    """Switches to non-blocking mode before it looks what it was given."""

    async def connect_read_pipe(self, protocol_factory: Any, pipe: Any) -> Any:
        os.set_blocking(pipe.fileno(), False)
        return await super().connect_read_pipe(protocol_factory, pipe)


@saboteur("PIPE-CONNECT_WRITE_PIPE-01")
class LosesThePart(Pipes):
    """Takes a part for the whole: what the pipe has no room for is gone."""

    class writer(WriteTransport):
        def _write_ready(self) -> None:
            super()._write_ready()
            del self._buffer[:1]


@saboteur("PIPE-CONNECT_WRITE_PIPE-02")
class NeverPauses(Pipes):
    """Does not tell of a full buffer."""

    class writer(WriteTransport):
        def _maybe_pause_protocol(self) -> None:
            pass


@saboteur("PIPE-CONNECT_WRITE_PIPE-03")
class ClosesWithoutSending(Pipes):
    """Throws away what is queued at close()."""

    class writer(WriteTransport):
        def close(self) -> None:
            self._close(None)


@saboteur("PIPE-CONNECT_WRITE_PIPE-04")
class SendsInAnAbort(Pipes):
    """Sends what is queued before it aborts."""

    class writer(WriteTransport):
        def abort(self) -> None:
            self.write_eof()


@saboteur("PIPE-CONNECT_WRITE_PIPE-06")
class TakesTheLossForAnEnd(Pipes):
    """Tells no error though data are queued when the reader goes."""

    class writer(WriteTransport):
        def _close(self, exc: Any = None) -> None:
            super()._close(None if isinstance(exc, BrokenPipeError) else exc)


@saboteur("PIPE-CONNECT_WRITE_PIPE-07")
class SaysNothing(Pipes):
    """Logs no warning about writes to a lost pipe."""

    class writer(WriteTransport):
        def write(self, data: Any) -> None:
            if not self._closing:
                super().write(data)


@saboteur("PIPE-CONNECT_WRITE_PIPE-11")
class SendsBehindTheEnd(Pipes):
    """Writes though the transport is closing."""

    class writer(WriteTransport):
        def write(self, data: Any) -> None:
            closing, self._closing = self._closing, False
            super().write(data)
            self._closing = closing


@saboteur("PIPE-CONNECT_WRITE_PIPE-13")
class KeepsTheBuffer(Pipes):
    """Keeps the buffer of the caller until the next iteration."""

    class writer(WriteTransport):
        def write(self, data: Any) -> None:
            if isinstance(data, bytearray):
                self._loop.call_soon(super().write, data)
            else:
                super().write(data)


@saboteur("PIPE-CONNECT_WRITE_PIPE-15")
class ClosesBehindTheBack(Pipes):
    """Closes the descriptor and not the pipe object."""

    class writer(WriteTransport):
        def _call_connection_lost(self, exc: Any) -> None:
            self._pipe = Number(self._fileno)
            super()._call_connection_lost(exc)


class Number:
    """A descriptor in the place of a pipe object."""

    def __init__(self, number: int) -> None:
        self._number = number

    def close(self) -> None:
        os.close(self._number)


@saboteur("PIPE-CONNECT_WRITE_PIPE-16")
class StopsAtAnError(Pipes):
    """Ends the connection when a callback raises."""

    class writer(WriteTransport):
        def _maybe_pause_protocol(self) -> None:
            try:
                self._protocol.pause_writing()
                self._protocol_paused = True
            except Exception as error:
                self._fatal_error(error)


@saboteur("PIPE-CONNECT_WRITE_PIPE-17")
class LosesTwice(Pipes):
    """Calls connection_lost() for each end."""

    class writer(WriteTransport):
        def abort(self) -> None:
            if self._protocol is not None:
                self._loop.call_soon(self._protocol.connection_lost, None)
            super().abort()


@saboteur("PIPE-CONNECT_WRITE_PIPE-18")
class TakesDataForTheEnd(Pipes):
    """Takes data in the pipe that nobody has read for the loss of the reader."""

    class writer(WriteTransport):
        def write(self, data: Any) -> None:
            super().write(data)
            self._loop.call_soon(self._read_ready)


@saboteur("PIPE-CONNECT_WRITE_PIPE-20")
class ReportsErrors(Pipes):
    """Reports what the system says to a write()."""

    class writer(WriteTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            self._loop.call_exception_handler({"message": message, "exception": exc})
            super()._fatal_error(exc, message)


@saboteur("PIPE-CONNECT_WRITE_PIPE-22")
class KeepsTheProtocol(Pipes):
    """Tells the first protocol of the pauses."""

    class writer(WriteTransport):
        def set_protocol(self, protocol: Any) -> None:
            protocol.pause_writing = self._protocol.pause_writing
            super().set_protocol(protocol)


@saboteur("PIPE-CONNECT_READ_PIPE-22")
class SwallowsErrorsOfReading(Pipes):
    """Takes an error in reading for the end."""

    class reader(ReadTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            self._close(None)
