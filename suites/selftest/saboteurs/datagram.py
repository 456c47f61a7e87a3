"""Saboteurs of datagram transports: they send, receive, count and end wrongly."""

import errno
import os
from typing import Any

from saboteurs import saboteur
from saboteurs.datagram_loop import Datagrams, DatagramTransport


@saboteur("DGRAM-SENDTO-03")
class TakesOtherAddresses(Datagrams):
    """Ignores the address where the endpoint is connected."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            super().sendto(data, None if self._address else addr)


@saboteur("DGRAM-SENDTO-04")
class TakesText(Datagrams):
    """Encodes what is no data."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            super().sendto(data.encode() if isinstance(data, str) else data, addr)


@saboteur("DGRAM-SENDTO-05")
class SendsNothingForNothing(Datagrams):
    """Takes empty data for none, as before Python 3.13."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            if data:
                super().sendto(data, addr)


@saboteur("DGRAM-SENDTO-06")
class SendsEmptyDatagrams(Datagrams):
    """Sends empty data before Python 3.13."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            if data or self._address is None:
                super().sendto(data, addr)
            else:
                self._sock.send(data)


@saboteur("DGRAM-SENDTO-07")
class PassesTheQueue(Datagrams):
    """Sends at once what the kernel takes, though datagrams are queued."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            if self._buffer:
                try:
                    self._sock.send(data)
                    return
                except OSError:
                    pass
            super().sendto(data, addr)


@saboteur("DGRAM-SENDTO-08")
class KeepsTheBuffer(Datagrams):
    """Queues the caller's buffer in place of its bytes."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            queued = len(self._buffer)
            super().sendto(data, addr)
            if len(self._buffer) > queued:
                self._buffer[-1] = (data, addr)


@saboteur("DGRAM-SENDTO-10")
class RaisesWhenClosed(Datagrams):
    """Raises for a datagram after the end."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            if self._conn_lost:
                raise RuntimeError("the endpoint is closed")
            super().sendto(data, addr)


@saboteur("DGRAM-SENDTO-11")
class DiesOfErrors(Datagrams):
    """Takes an error of one datagram for one of the endpoint."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            try:
                self._sock.sendto(data, *([addr] if addr else []))
            except OSError as error:
                self._force_close(error)


@saboteur("DGRAM-SENDTO-12")
class SendsItems(Datagrams):
    """Takes the number of items for that of bytes."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            super().sendto(bytes(data)[: len(data)] if isinstance(data, memoryview) else data, addr)


@saboteur("DGRAM-SENDTO-13")
class SendsTheMemory(Datagrams):
    """Sends the memory that a view lies in."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            strided = isinstance(data, memoryview) and not data.contiguous
            super().sendto(bytes(data.obj)[: data.nbytes] if strided else data, addr)


@saboteur("DGRAM-SENDTO-14")
class SwallowsWrongAddresses(Datagrams):
    """Drops a datagram whose address is wrong."""

    class transport(DatagramTransport):
        def _fatal_error(self, exc: Any, message: str = "") -> None:
            if not isinstance(exc, TypeError | OverflowError):
                super()._fatal_error(exc, message)


@saboteur("DGRAM-SENDTO-16")
class SendsLater(Datagrams):
    """Sends in the next iteration."""

    class transport(DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            self._loop.call_soon(super().sendto, data, addr)


@saboteur("DGRAM-RECEIVED-01")
class GivesByteArrays(Datagrams):
    """Delivers what it received into."""

    class transport(DatagramTransport):
        def _read_ready(self) -> None:
            data, address = self._sock.recvfrom(self.max_size)
            self._protocol.datagram_received(bytearray(data), address)


@saboteur("DGRAM-RECEIVED-02")
class TakesEmptyForTheEnd(Datagrams):
    """Closes at an empty datagram, as if it were the end of a stream."""

    class transport(DatagramTransport):
        def _read_ready(self) -> None:
            data, address = self._sock.recvfrom(self.max_size)
            if data:
                self._protocol.datagram_received(data, address)
            else:
                self.close()


@saboteur("DGRAM-RECEIVED-03")
class ReceivesSmallDatagrams(Datagrams):
    """Has room for what fits into one frame."""

    class transport(DatagramTransport):
        max_size = 1500


@saboteur("DGRAM-RECEIVED-04")
class DiesOfTheProtocol(Datagrams):
    """Takes an error of the protocol for one of the endpoint."""

    class transport(DatagramTransport):
        def _read_ready(self) -> None:
            try:
                super()._read_ready()
            except Exception as error:
                self._fatal_error(error)


@saboteur("DGRAM-RECEIVED-05")
class DeliversTheLastFirst(Datagrams):
    """Reads all that is there, and delivers it from the end."""

    class transport(DatagramTransport):
        def _read_ready(self) -> None:
            found = []
            try:
                while True:
                    found.append(self._sock.recvfrom(self.max_size))
            except OSError:
                pass
            for data, address in reversed(found):
                self._protocol.datagram_received(data, address)


@saboteur("DGRAM-RECEIVED-06")
class ReadsUntilNothingIsLeft(Datagrams):
    """Reads on as long as datagrams come."""

    class transport(DatagramTransport):
        def _read_ready(self) -> None:
            count = -1
            while self._sock is not None and count != len(self._protocol.history.events):
                count = len(self._protocol.history.events)
                super()._read_ready()


@saboteur("DGRAM-RECEIVED-07")
class CutsAddresses(Datagrams):
    """Tells host and port alone."""

    class transport(DatagramTransport):
        def _read_ready(self) -> None:
            data, address = self._sock.recvfrom(self.max_size)
            self._protocol.datagram_received(data, address[:2] if isinstance(address, tuple) else address)


@saboteur("DGRAM-ERROR-02")
class ClosesAfterAnError(Datagrams):
    """Tells the error, and closes."""

    class transport(DatagramTransport):
        def _read_ready(self) -> None:
            told = self._protocol.history.names.count("error_received")
            super()._read_ready()
            if self._protocol.history.names.count("error_received") > told:
                self.close()


@saboteur("DGRAM-ERROR-05")
class TellsErrorsOfTheQueueTwice(Datagrams):
    """Tells of an error for the datagram, and once more for the queue."""

    class transport(DatagramTransport):
        def _sendto_ready(self) -> None:
            told = self._protocol.history.names.count("error_received")
            super()._sendto_ready()
            if self._sock and self._protocol.history.names.count("error_received") > told:
                self._protocol.error_received(OSError(errno.EMSGSIZE, "again"))


@saboteur("DGRAM-CLOSE-01")
class DropsTheQueue(Datagrams):
    """Closes without sending what is queued."""

    class transport(DatagramTransport):
        def close(self) -> None:
            self.abort()


@saboteur("DGRAM-CLOSE-02")
class TellsOfAnAbort(Datagrams):
    """Calls connection_lost() with an error after abort()."""

    class transport(DatagramTransport):
        def abort(self) -> None:
            self._force_close(ConnectionAbortedError())


@saboteur("DGRAM-CLOSE-03")
class ReceivesWhileItCloses(Datagrams):
    """Goes on receiving while the queue is sent."""

    class transport(DatagramTransport):
        def close(self) -> None:
            super().close()
            if self._buffer:
                self._loop._add_reader(self._sock_fd, self._read_ready)

        def _call_connection_lost(self, exc: Any) -> None:
            self._loop._remove_reader(self._sock_fd)
            super()._call_connection_lost(exc)


@saboteur("DGRAM-CLOSE-04")
class CallsFromWithin(Datagrams):
    """Calls connection_lost() from within abort()."""

    class transport(DatagramTransport):
        def abort(self) -> None:
            if not self._closing:
                self._closing = True
                self._conn_lost += 1
                self._buffer.clear()
                self._loop._remove_reader(self._sock_fd)
                self._loop._remove_writer(self._sock_fd)
                self._call_connection_lost(None)


@saboteur("DGRAM-CLOSE-05")
class ClosesTooEarly(Datagrams):
    """Closes the descriptor, and then calls connection_lost()."""

    class transport(DatagramTransport):
        def _call_connection_lost(self, exc: Any) -> None:
            self._sock.close()
            super()._call_connection_lost(exc)


@saboteur("DGRAM-CREATE_DATAGRAM_ENDPOINT-12")
class ClosesTheNumberAgain(Datagrams):
    """Closes the number of its descriptor once more when it is told to close again."""

    class transport(DatagramTransport):
        def close(self) -> None:
            if self._sock is None:
                os.close(self._sock_fd)
            else:
                super().close()


@saboteur("DGRAM-CLOSE-07")
class NotesTheEndLate(Datagrams):
    """Is not closing before connection_lost()."""

    class transport(DatagramTransport):
        def is_closing(self) -> bool:
            return self._sock is None


@saboteur("DGRAM-SET_PROTOCOL-01")
class KeepsTheFirstProtocol(Datagrams):
    """Ignores another protocol."""

    class transport(DatagramTransport):
        def set_protocol(self, protocol: Any) -> None:
            if not self._protocol_connected:
                super().set_protocol(protocol)


@saboteur("DGRAM-FLOW-01")
class CountsDatagrams(Datagrams):
    """Counts datagrams in place of bytes."""

    class transport(DatagramTransport):
        def get_write_buffer_size(self) -> int:
            return len(self._buffer)


@saboteur("DGRAM-FLOW-01")
class PausesLater(Datagrams):
    """Calls pause_writing() in the next iteration."""

    class transport(DatagramTransport):
        def _maybe_pause_protocol(self) -> None:
            self._loop.call_soon(super()._maybe_pause_protocol)


@saboteur("DGRAM-FLOW-02")
class CountsBytesAlone(Datagrams):
    """Counts no headers, as before Python 3.13."""

    class transport(DatagramTransport):
        def get_write_buffer_size(self) -> int:
            return sum(len(data) for data, _ in self._buffer)


@saboteur("DGRAM-FLOW-03", "fail", "deviation")
class NeverForgetsHeaders(Datagrams):
    """Keeps some bytes of each datagram in its account."""

    class transport(DatagramTransport):
        def _sendto_ready(self) -> None:
            self._buffer_size += 8
            super()._sendto_ready()


@saboteur("DGRAM-FLOW-05")
class LowMarkInKibibytes(Datagrams):
    """Has a low mark of 16 bytes where 16 KiB are meant."""

    class transport(DatagramTransport):
        def _set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
            super()._set_write_buffer_limits(high, 16 if high is low is None else low)


@saboteur("DGRAM-FLOW-07")
class LetsErrorsOut(Datagrams):
    """Lets an error of pause_writing() out of sendto()."""

    class transport(DatagramTransport):
        def _maybe_pause_protocol(self) -> None:
            if self.get_write_buffer_size() > self._high_water and not self._protocol_paused:
                self._protocol_paused = True
                self._protocol.pause_writing()


@saboteur("DGRAM-FLOW-09")
class ResumesWhatIsLost(Datagrams):
    """Resumes a protocol whose endpoint is aborted."""

    class transport(DatagramTransport):
        def abort(self) -> None:
            super().abort()
            self._buffer_size = 0
            self._maybe_resume_protocol()


@saboteur("DGRAM-GET_EXTRA_INFO-01")
class ForgetsAddresses(Datagrams):
    """Asks the socket for its addresses, which is gone in the end."""

    class transport(DatagramTransport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return default if self._sock is None else super().get_extra_info(name, default)
