"""Saboteurs of watches: theirs outlive what they were for, and those of others do not."""

import asyncio
from typing import Any

from saboteurs import saboteur
from saboteurs.pipe_loop import Pipes, WriteTransport
from saboteurs.server_loop import Servers


@saboteur("SERV-SERVER_CLOSE-06")
class WatchesClosedListeners(Servers):
    """Closes a listening socket without an end to its watch."""

    def _stop_serving(self, sock: Any) -> None:
        sock.close()


@saboteur("SOCK-COMMON-03")
class LeavesAWatch(asyncio.SelectorEventLoop):
    """Watches the socket on when data have been received."""

    def _sock_read_done(self, fd: int, future: Any, handle: Any = None) -> None:
        if handle is None or not handle.cancelled():
            self.add_reader(fd, list)


@saboteur("SOCK-COMMON-08")
class EndsTheWatchOfAnybody(asyncio.SelectorEventLoop):
    """Ends the watch of a number whosever it is by now."""

    def _sock_write_done(self, fd: int, future: Any, handle: Any = None) -> None:
        self.remove_writer(fd)


@saboteur("PIPE-CONNECT_WRITE_PIPE-15")
class WatchesClosedPipes(Pipes):
    """Closes a pipe without an end to its watch."""

    class writer(WriteTransport):
        def _call_connection_lost(self, error: Any) -> None:
            self._loop._add_reader(self._fileno, list)
            super()._call_connection_lost(error)
