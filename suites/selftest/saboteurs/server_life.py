"""Saboteurs of Server: they close, wait, serve and describe themselves wrongly."""

import asyncio
from typing import Any

from saboteurs import saboteur
from saboteurs.server_loop import Server, Servers


@saboteur("SERV-SERVER_SOCKETS-01")
class ShowsNoSocketsBeforeServing(Servers):
    """Tells of its sockets only while it serves."""

    class server(Server):
        @property
        def sockets(self) -> Any:
            return super().sockets if self.is_serving() else ()


@saboteur("SERV-SERVER_SOCKETS-03")
class HandsOutItsSockets(Servers):
    """Gives the sockets themselves."""

    class server(Server):
        @property
        def sockets(self) -> Any:
            return tuple(self._sockets or ())


@saboteur("SERV-SERVER_CLOSE-01", "fail", "leak")
class GoesOnListening(Servers):
    """Leaves the sockets open at close()."""

    class server(Server):
        def close(self) -> None:
            self._serving = False
            for sock in self._sockets or ():
                self._loop._remove_reader(sock.fileno())


@saboteur("SERV-SERVER_CLOSE-02")
class ClosesConnectionsToo(Servers):
    """Ends its connections at close()."""

    def _make_socket_transport(self, *args: Any, server: Any = None, **kwargs: Any) -> Any:
        transport = super()._make_socket_transport(*args, server=server, **kwargs)
        if server is not None:
            self.__dict__.setdefault("made", []).append(transport)
        return transport

    class server(Server):
        def close(self) -> None:
            super().close()
            for transport in self._loop.__dict__.get("made", []):
                transport.close()


@saboteur("SERV-SERVER_CLOSE-03")
class ClosesOnce(Servers):
    """Raises when it is closed again."""

    class server(Server):
        def close(self) -> None:
            if self._sockets is None:
                raise RuntimeError("the server is closed")
            super().close()


@saboteur("SERV-SERVER_CLOSE-04")
class ServesForeverIndeed(Servers):
    """Leaves serve_forever() waiting at close()."""

    class server(Server):
        def close(self) -> None:
            waiting, self._serving_forever_fut = self._serving_forever_fut, None
            super().close()
            self._serving_forever_fut = waiting


@saboteur("SERV-SERVER_WAIT_CLOSED-01")
class WaitsForNobody(Servers):
    """Returns from wait_closed() at once."""

    class server(Server):
        async def wait_closed(self) -> None:
            await asyncio.sleep(0)


@saboteur("SERV-SERVER_WAIT_CLOSED-04")
class ReleasesTheFirst(Servers):
    """Wakes up only one of those who wait."""

    class server(Server):
        def _wakeup(self) -> None:
            self._waiters, first = None, self._waiters[:1]
            for waiter in first:
                if not waiter.done():
                    waiter.set_result(None)


@saboteur("SERV-SERVER_WAIT_CLOSED-05")
class CancelsTogether(Servers):
    """Shares one future among those who wait, which a cancellation of one of them cancels."""

    class server(Server):
        async def wait_closed(self) -> None:
            if self._waiters is None:
                return
            if not self._waiters:
                self._waiters.append(self._loop.create_future())
            await self._waiters[0]


@saboteur("SERV-SERVER_CLOSE_CLIENTS-01")
class AbortsPolitely(Servers):
    """Throws away what is queued in close_clients()."""

    class server(Server):
        def close_clients(self) -> None:
            self.abort_clients()


@saboteur("SERV-SERVER_ABORT_CLIENTS-01")
class ClosesInPlaceOfAbort(Servers):
    """Waits for what is queued in abort_clients()."""

    class server(Server):
        def abort_clients(self) -> None:
            self.close_clients()


@saboteur("SERV-SERVER_START_SERVING-01")
class StartsOnce(Servers):
    """Raises when serving is started again."""

    class server(Server):
        async def start_serving(self) -> None:
            if self.is_serving():
                raise RuntimeError("already serving")
            await super().start_serving()


@saboteur("SERV-SERVER_SERVE_FOREVER-01")
class WaitsToBeStarted(Servers):
    """Does not start to serve in serve_forever()."""

    class server(Server):
        async def serve_forever(self) -> None:
            try:
                await self._loop.create_future()
            finally:
                self.close()


@saboteur("SERV-SERVER_SERVE_FOREVER-02")
class ServesOnWhenCancelled(Servers):
    """Leaves the server open when serve_forever() is cancelled."""

    class server(Server):
        async def serve_forever(self) -> None:
            await self.start_serving()
            await self._loop.create_future()


@saboteur("SERV-SERVER_SERVE_FOREVER-03")
class ServesForeverTwice(Servers):
    """Allows serve_forever() twice at a time."""

    class server(Server):
        async def serve_forever(self) -> None:
            if self._serving_forever_fut is not None:
                return
            await super().serve_forever()


@saboteur("SERV-SERVER_SERVE_FOREVER-04")
class ServesWhenClosed(Servers):
    """Returns from serve_forever() where the server is closed."""

    class server(Server):
        async def serve_forever(self) -> None:
            if self._sockets is not None:
                await super().serve_forever()


@saboteur("SERV-SERVER_IS_SERVING-01")
class ServesSinceItWasMade(Servers):
    """Claims to serve as long as it has sockets."""

    class server(Server):
        def is_serving(self) -> bool:
            return self._sockets is not None


@saboteur("SERV-SERVER_GET_LOOP-01")
class ForgetsItsLoop(Servers):
    """Has no loop any more after close()."""

    class server(Server):
        def get_loop(self) -> Any:
            return self._loop if self._sockets is not None else None


@saboteur("SERV-SERVER_ASYNC_WITH-01")
class StaysOpenAfterTheBlock(Servers):
    """Does nothing at the end of async with."""

    class server(Server):
        async def __aexit__(self, *_: Any) -> None:
            pass


@saboteur("SERV-SERVER_WAIT_CLOSED-01")
class LeavesTheBlockAtOnce(Servers):
    """Closes at the end of async with, and does not wait."""

    class server(Server):
        async def __aexit__(self, *_: Any) -> None:
            self.close()
