"""Saboteurs of stream transports that do not expect somebody else to be quicker."""

import socket

from saboteurs import saboteur
from saboteurs.stream_loop import SocketTransport, Transports


@saboteur("TRANS-READ-01")
class TakesNothingForTheEnd(Transports):
    """Loses the connection where the data that a poll has seen are gone."""

    class transport(SocketTransport):
        def _read_ready(self) -> None:
            try:
                self._sock.recv(1, socket.MSG_PEEK)
            except BlockingIOError as error:
                self._force_close(error)
            else:
                super()._read_ready()


@saboteur("TRANS-WRITE_EOF-04")
class EndsTwice(Transports):
    """Shuts the socket down in each write_eof()."""

    class transport(SocketTransport):
        def write_eof(self) -> None:
            if self._eof and not self.get_write_buffer_size():
                self._sock.shutdown(socket.SHUT_WR)
            super().write_eof()
