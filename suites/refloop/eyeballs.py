"""Happy eyeballs: attempts to connect that start one after the other and race (RFC 8305)."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

Attempt = Callable[[], Coroutine[Any, Any, socket.SocketType]]


class Race:
    """Attempts to connect, each a task of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[socket.SocketType]] = []
        self.winner: socket.SocketType | None = None

    async def start(self, attempt: Attempt, delay: float) -> None:
        """Start an attempt, and wait until it has ended, or one has won, so many seconds at most."""
        task = self._loop.create_task(attempt())
        self._tasks.append(task)
        deadline = self._loop.time() + delay
        while True:
            await self.wait(max(deadline - self._loop.time(), 0))
            if self.winner is not None or task.done() or self._loop.time() >= deadline:
                return

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until an attempt ends; returns whether there was one to wait for.

        Raises:
            BaseException: what an attempt raised, unless it is an OSError.
        """
        running = [task for task in self._tasks if not task.done()]
        if running:
            await asyncio.wait(running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if not task.done():
                continue
            error = task.exception()
            if error is None:
                self.winner = task.result()
                break
            if not isinstance(error, OSError):
                raise error
        return bool(running)

    async def stop(self) -> None:
        """Cancel what runs, and close the connection of each attempt but the winner."""
        running = [task for task in self._tasks if task.cancel()]
        try:
            if running:
                await asyncio.wait(running)
        except BaseException:
            self.winner = None
            raise
        finally:
            for task in self._tasks:
                if task.done() and not task.cancelled() and task.exception() is None:
                    self._close_loser(task.result())

    def _close_loser(self, sock: socket.SocketType) -> None:
        if sock is not self.winner:
            sock.close()


async def race(attempts: Iterable[Attempt], delay: float) -> socket.SocketType | None:
    """The socket of the attempt that succeeds first; None if all fail with OSError. The others are cancelled.

    Args:
        attempts: each makes a coroutine that returns a connected socket, or closes what it has opened and raises.
        delay: so many seconds after one has started, or as soon as it has failed, the next one starts.
    """
    it = Race()
    try:
        for attempt in attempts:
            await it.start(attempt, delay)
            if it.winner is not None:
                break
        while it.winner is None and await it.wait():
            pass
    except BaseException:
        it.winner = None
        raise
    finally:
        await it.stop()
    return it.winner
