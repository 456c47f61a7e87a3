"""Saboteurs of watched descriptors: callbacks that are lost, kept, mixed up, or called when nobody wants them."""

import asyncio
import contextvars
import os
import select
from typing import Any

from saboteurs import saboteur


class Loop(asyncio.SelectorEventLoop):
    """A stock loop that takes the stock methods by another name, for those who put something in between."""

    def watch(self, fd: Any, callback: Any, *args: Any) -> None:
        """The stock add_reader()."""
        super().add_reader(fd, callback, *args)


@saboteur("FD-ADD_READER-01")
class ReadsOnce(Loop):
    """Forgets a reader after its first call."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        self.watch(fd, lambda: (self.remove_reader(fd), callback(*args)))


@saboteur("FD-ADD_READER-02")
class KeepsTheFirst(Loop):
    """A second callback comes beside the first one."""

    def __init__(self) -> None:
        super().__init__()
        self.callbacks: dict[Any, list[Any]] = {}

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        known = self.callbacks.setdefault(fd, [])
        known.append(lambda: callback(*args))
        self.watch(fd, lambda: [call() for call in list(known)])

    def remove_reader(self, fd: Any) -> bool:
        self.callbacks.pop(fd, None)
        return super().remove_reader(fd)


@saboteur("FD-ADD_READER-03")
class NumbersOnly(Loop):
    """Takes no objects."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        if not isinstance(fd, int):
            raise ValueError(f"not a number: {fd!r}")
        self.watch(fd, callback, *args)


@saboteur("FD-ADD_READER-04")
class ReturnsTheHandle(asyncio.SelectorEventLoop):
    """Returns a handle, as call_soon() does."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        return self._add_reader(fd, callback, *args)  # type: ignore[attr-defined]


@saboteur("FD-ADD_READER-05")
class TakesDescriptorsOfTransports(asyncio.SelectorEventLoop):
    """Does not know what its transports use."""

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        pass


@saboteur("FD-ADD_READER-07")
class TellsOfDataOnce(Loop):
    """Calls back again only after more has come."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        def once() -> None:
            callback(*args)
            if self._remove_reader(fd):  # type: ignore[attr-defined]
                self.call_later(60, self.watch, fd, once)

        self.watch(fd, once)


@saboteur("FD-ADD_READER-12")
class RemovesWhatFails(Loop):
    """Watches no more once a callback has raised."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        def call() -> None:
            try:
                callback(*args)
            except Exception:
                self.remove_reader(fd)
                raise

        self.watch(fd, call)


@saboteur("FD-ADD_READER-13")
class RunsInTheWrongContext(Loop):
    """Runs readers in the context of whoever called the loop's constructor."""

    def __init__(self) -> None:
        super().__init__()
        self.context = contextvars.Context()

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        self.watch(fd, lambda: self.context.copy().run(callback, *args))


@saboteur("FD-ADD_READER-14")
class FindsOutLater(Loop):
    """Takes numbers that are not open."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        try:
            self.watch(fd, callback, *args)
        except OSError as error:
            self.call_soon(self.call_exception_handler, {"message": "cannot be watched", "exception": error})


@saboteur("FD-ADD_WRITER-01")
class CallsWithoutRoom(asyncio.SelectorEventLoop):
    """Calls a writer once at the beginning, whether there is room or not."""

    def add_writer(self, fd: Any, callback: Any, *args: Any) -> None:
        super().add_writer(fd, callback, *args)
        self.call_soon(callback, *args)


@saboteur("FD-ADD_WRITER-03")
class RemovesBoth(asyncio.SelectorEventLoop):
    """Stops watching a descriptor altogether when its writer is removed."""

    def remove_writer(self, fd: Any) -> bool:
        super().remove_reader(fd)
        return super().remove_writer(fd)


@saboteur("FD-ADD_WRITER-05")
class IgnoresErrors(asyncio.SelectorEventLoop):
    """A writer is not told that nobody reads any more."""

    def add_writer(self, fd: Any, callback: Any, *args: Any) -> None:
        def call() -> None:
            poller = select.poll()
            poller.register(fd, select.POLLOUT)
            if not any(event & select.POLLERR for _, event in poller.poll(0)):
                callback(*args)

        super().add_writer(fd, call)


@saboteur("FD-REMOVE_READER-01")
class ReturnsNothing(asyncio.SelectorEventLoop):
    """Does not say whether it removed anything."""

    def remove_reader(self, fd: Any) -> Any:
        super().remove_reader(fd)


@saboteur("FD-REMOVE_READER-02")
class RunsWhatIsQueued(Loop):
    """What is due in this iteration runs, removed or not."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        self.watch(fd, lambda: self.call_soon(callback, *args))


@saboteur("FD-REMOVE_WRITER-03", "fail", "hang")
class RemembersTheNumber(Loop):
    """Keeps the first callback that a number ever had."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[Any, Any] = {}

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        call = self.known.setdefault(fd, lambda: callback(*args))
        self.watch(fd, call)


@saboteur("FD-REMOVE_READER-04")
class WantsThemOpen(asyncio.SelectorEventLoop):
    """Removes only what is open."""

    def remove_reader(self, fd: Any) -> bool:
        os.fstat(fd)
        return super().remove_reader(fd)


@saboteur("FD-REMOVE_READER-05")
class KeepsCallbacks(Loop):
    """Keeps the last callback of each number."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[Any, Any] = {}

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        self.known.setdefault(fd, []).append((callback, args))
        self.watch(fd, callback, *args)
