"""Saboteurs of streams: what transports, servers and start_tls() do wrong that readers and writers get to feel."""

import asyncio
from typing import Any

from saboteurs import saboteur
from saboteurs.server_loop import Servers
from saboteurs.stream_loop import SocketTransport, Transports


@saboteur("STREAM-OPEN_CONNECTION-04")
class ForgetsTheReason(Transports):
    """Tells of no error when the connection is lost."""

    class transport(SocketTransport):
        def _call_connection_lost(self, exc: Any) -> None:
            super()._call_connection_lost(None)


@saboteur("STREAM-OPEN_CONNECTION-03")
class NeverPauses(Transports):
    """Does not tell of a full buffer, so that drain() never waits."""

    class transport(SocketTransport):
        def _maybe_pause_protocol(self) -> None:
            pass


@saboteur("STREAM-OPEN_CONNECTION-07")
class CannotPause(Transports):
    """Reads on in a pause."""

    class transport(SocketTransport):
        def pause_reading(self) -> None:
            pass

        def resume_reading(self) -> None:
            pass


@saboteur("STREAM-OPEN_CONNECTION-13")
class LosesAByte(Transports):
    """Loses the byte at which its buffer is full for the first time."""

    class transport(SocketTransport):
        seen = 0

        def _read_ready__data_received(self) -> None:
            protocol, deliver = self._protocol, self._protocol.data_received

            def cut(data: bytes) -> None:
                at = 4096 - self.seen
                self.seen += len(data)
                deliver(data[:at] + data[at + 1 :] if 0 <= at < len(data) else data)

            protocol.data_received = cut
            try:
                super()._read_ready__data_received()
            finally:
                del protocol.data_received


@saboteur("STREAM-OPEN_CONNECTION-15")
class ForgetsWhereFrom(asyncio.SelectorEventLoop):
    """Ignores local_addr."""

    async def create_connection(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("local_addr", None)
        return await super().create_connection(*args, **kwargs)


@saboteur("STREAM-STREAMREADER_AT_EOF-01")
class TakesTheEndForAClose(Transports):
    """Closes the connection when the peer ends its half."""

    class transport(SocketTransport):
        def _read_ready__on_eof(self) -> None:
            super()._read_ready__on_eof()
            self.close()


@saboteur("STREAM-STREAMWRITER_WRITE_EOF-01")
class ClosesBothHalves(Transports):
    """Closes the connection in write_eof()."""

    class transport(SocketTransport):
        def write_eof(self) -> None:
            self.close()


@saboteur("STREAM-STREAMWRITER_CLOSE-01")
class ThrowsAway(Transports):
    """Throws away what was written in the iteration of the close()."""

    class transport(SocketTransport):
        def write(self, data: Any) -> None:
            self._loop.call_soon(self.write_later, bytes(data))

        def write_later(self, data: bytes) -> None:
            if not self._closing:
                super().write(data)


@saboteur("STREAM-STREAMWRITER_WRITE-01")
class LosesItsPlace(Transports):
    """Sends what writelines() got before what is already queued."""

    class transport(SocketTransport):
        def writelines(self, parts: Any) -> None:
            for part in reversed(list(parts)):
                self.write(part)


@saboteur("STREAM-STREAMWRITER_EXTRA-01")
class ForgetsThePeer(Transports):
    """Knows nothing of the peer when the connection is closed."""

    class transport(SocketTransport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return default if self._closing else super().get_extra_info(name, default)


@saboteur("STREAM-STREAMWRITER_WAIT_CLOSED-01")
class AbortsWithAnError(Transports):
    """Takes an abort() for an error."""

    class transport(SocketTransport):
        def abort(self) -> None:
            self._force_close(ConnectionAbortedError("aborted"))


@saboteur("STREAM-STREAMWRITER_WAIT_CLOSED-02")
class EndsQuietly(Transports):
    """Closes as usual when the peer resets the connection."""

    class transport(SocketTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            self._force_close(None)


@saboteur("STREAM-STREAMWRITER_DRAIN-01")
class IsNeverClosing(Transports):
    """Is closing only when it is closed."""

    class transport(SocketTransport):
        def close(self) -> None:
            self._loop.call_later(0.2, super().close)


@saboteur("STREAM-STREAMWRITER_DRAIN-03")
class WaitsToAbort(Transports):
    """Sends what is queued before it aborts."""

    class transport(SocketTransport):
        def abort(self) -> None:
            self.close()


@saboteur("STREAM-START_SERVER-01")
class ServesAtOnce(Servers):
    """Starts to serve though it is told not to."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "start_serving": True}


@saboteur("STREAM-START_SERVER-03")
class ConnectsTwice(Servers):
    """Calls connection_made() twice."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        make = given["protocol_factory"]

        def factory() -> Any:
            protocol = make()
            protocol.connection_made = twice(protocol.connection_made)
            return protocol

        return {**given, "protocol_factory": factory}


def twice(connection_made: Any) -> Any:
    def made(transport: Any) -> None:
        connection_made(transport)
        connection_made(transport)

    return made


@saboteur("STREAM-START_SERVER-05")
class ReportsResets(Transports):
    """Reports what the peer does."""

    class transport(SocketTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            self._loop.call_exception_handler({"message": message, "exception": exc})
            self._force_close(exc)


@saboteur("STREAM-START_TLS-01")
class IgnoresTheName(asyncio.SelectorEventLoop):
    """Takes any name for that of the peer."""

    async def start_tls(self, transport: Any, protocol: Any, sslcontext: Any, **options: Any) -> Any:
        sslcontext.check_hostname = False
        return await super().start_tls(transport, protocol, sslcontext, **options)


@saboteur("STREAM-CANCELLATION-01", "fail", "leak")
class KeepsWhatWasCancelled(asyncio.SelectorEventLoop):
    """Goes on connecting when it is cancelled."""

    async def create_connection(self, *args: Any, **kwargs: Any) -> Any:
        self._connecting = self.create_task(super().create_connection(*args, **kwargs))
        return await asyncio.shield(self._connecting)


@saboteur("STREAM-CANCELLATION-02")
class StopsToSend(Transports):
    """Ends a connection that is closing at the next turn."""

    class transport(SocketTransport):
        def close(self) -> None:
            super().close()
            self._loop.call_soon(self.abort)
