"""Saboteurs with bugs that loops which people use have had, or still have, each made anew on the stock loop."""

import asyncio
import contextvars
import ipaddress
import os
import select
import socket
import weakref
from typing import Any

from saboteurs import saboteur
from saboteurs.datagram_loop import Datagrams, DatagramTransport
from saboteurs.server_loop import Servers
from saboteurs.stream_loop import SocketTransport, Transports

Stock: Any = asyncio.SelectorEventLoop


@saboteur("FD-ADD_READER-15")
class SwitchesTheMode(Stock):
    """Makes a watched descriptor one that does not block, as libuv does."""

    def _add_reader(self, fd: int, *given: Any) -> Any:
        os.set_blocking(fd, False)
        return super()._add_reader(fd, *given)


@saboteur("FD-ADD_READER-16")
class GivesUpOnErrors(Stock):
    """Polls a descriptor no more once an error of it was reported, though the watch is still there."""

    def _process_events(self, events: Any) -> None:
        super()._process_events(events)
        for key, _ in events:
            poll = select.poll()
            poll.register(key.fd, 0)
            if any(found & select.POLLERR for _, found in poll.poll(0)):
                self._selector.unregister(key.fd)


@saboteur("FD-REMOVE_READER-06")
class LosesTheWatchOfAFinalizer(Stock):
    """Lets go of the callback first, and then forgets whatever watch there is."""

    def _remove_reader(self, fd: int) -> bool:
        key = self._selector.get_map().get(fd)
        if key is not None and key.data[0] is not None:
            key.data[0].cancel()
        return bool(super()._remove_reader(fd))


@saboteur("FD-REMOVE_READER-07")
class StaysRegistered(Stock):
    """Forgets a removed descriptor, and leaves it registered with the kernel, which goes on telling of it."""

    def _remove_reader(self, fd: int) -> bool:
        return self._selector._fd_to_key.pop(fd, None) is not None


@saboteur("PROTO-ORDER-08")
class WritesInBatches(Transports):
    """Sends what was written at the end of the iteration, transport by transport, while the set of them may grow."""

    def __init__(self) -> None:
        super().__init__()
        self.written: set[Any] = set()

    def send_all(self) -> None:
        """Send what all transports have to send."""
        try:
            for transport in self.written:
                transport.send()
        finally:
            self.written.clear()

    class transport(SocketTransport):
        batch = b""

        def write(self, data: Any) -> None:
            self.batch += bytes(data)
            if len(self.batch) > self._high_water and not self._protocol_paused:
                self._protocol_paused = True
                self._protocol.pause_writing()
            if not self._loop.written:
                self._loop.call_soon(self._loop.send_all)
            self._loop.written.add(self)

        def send(self) -> None:
            """Send the batch."""
            batch, self.batch = self.batch, b""
            super().write(batch)
            self._maybe_resume_protocol()

        def close(self) -> None:
            self.send()
            super().close()


@saboteur("PROTO-CONTEXT-01")
class ForgetsTheContext(Stock):
    """Calls what it calls for a descriptor in a context of its own."""

    def _add_reader(self, fd: int, *given: Any) -> Any:
        return contextvars.Context().run(super()._add_reader, fd, *given)


@saboteur("TRANS-WRITE-12")
class KeepsWhatWasWritten(Transports):
    """Keeps what was written for as long as the transport lives."""

    class transport(SocketTransport):
        def __init__(self, *given: Any, **named: Any) -> None:
            self.kept: list[Any] = []
            super().__init__(*given, **named)

        def write(self, data: Any) -> None:
            self.kept.append(data)
            super().write(data)


@saboteur("TRANS-CLOSE-09")
class RefersToItself(Transports):
    """Keeps one of its own methods."""

    class transport(SocketTransport):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.again = self.resume_reading


@saboteur("FLOW-SET_WRITE_BUFFER_LIMITS-12")
class ResumesWhoHasGivenUp(Transports):
    """Calls resume_writing() when an abort() in pause_writing() has emptied the buffer."""

    class transport(SocketTransport):
        def _maybe_pause_protocol(self) -> None:
            paused = self._protocol_paused
            super()._maybe_pause_protocol()
            if self._closing and not paused:
                self._maybe_resume_protocol()


@saboteur("STREAM-START_SERVER-06")
class RefersWeakly(Stock):
    """Keeps no transport alive that waits for data."""

    def _add_reader(self, fd: int, callback: Any, *given: Any) -> Any:
        if isinstance(getattr(callback, "__self__", None), SocketTransport):
            weakly = weakref.WeakMethod(callback)
            return super()._add_reader(fd, lambda *given: (weakly() or print)(*given), *given)
        return super()._add_reader(fd, callback, *given)


@saboteur("STREAM-STREAMWRITER_WAIT_CLOSED-03")
class ReportsTheLoss(Transports):
    """Tells the exception handler of every connection that its peer resets."""

    class transport(SocketTransport):
        def _fatal_error(self, exc: Any, message: str = "lost") -> None:
            self._loop.call_exception_handler({"message": message, "exception": exc, "transport": self})
            self._force_close(exc)


@saboteur("STREAM-OPEN_CONNECTION-18")
class SchedulesInItsFinalizer(Transports):
    """Schedules the end of a transport that is collected, whether the loop is closed or not."""

    class transport(SocketTransport):
        def __del__(self) -> None:
            if self._sock is not None:
                self._sock.close()
                self._loop.call_soon(self._call_connection_lost, None)


@saboteur("DGRAM-SENDTO-19")
class ResolvesNothing(Datagrams):
    """Takes numeric addresses alone."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            if isinstance(addr, tuple) and addr[0] != "<broadcast>":
                ipaddress.ip_address(addr[0])
            super().sendto(data, addr)


@saboteur("DGRAM-SENDTO-20")
class KnowsNoBroadcast(Datagrams):
    """Takes the host that stands for everybody for a name."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            if isinstance(addr, tuple) and addr[0].startswith("<"):
                raise ValueError(f"{addr}: a DNS lookup is required")
            super().sendto(data, addr)


@saboteur("SERV-CREATE_SERVER-50")
class ServesInternetOnly(Servers):
    """Refuses a UNIX socket in create_server()."""

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **given: Any) -> Any:
        if given.get("sock") is not None and given["sock"].family == socket.AF_UNIX:
            raise RuntimeError("cannot convert sockaddr into Python object")
        return await super().create_server(protocol_factory, host, port, **given)


@saboteur("LIFE-RUN_FOREVER-20")
class SwallowsInterrupts(Stock):
    """Ends the run as if it had been stopped when an interrupt comes while it waits."""

    def _run_once(self) -> None:
        try:
            super()._run_once()
        except KeyboardInterrupt:
            self.stop()


@saboteur("SOCK-COMMON-09")
class StumblesOverClosedSockets(Stock):
    """Ends the run when a descriptor is to be polled that was closed since."""

    def _run_once(self) -> None:
        for fd in list(self._selector.get_map()):
            os.fstat(fd)
        super()._run_once()
