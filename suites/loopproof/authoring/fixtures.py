"""The fixtures of cases as plain generator functions: pytest runs them, and a reproducer carries them along."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from .links import Connect
from .serving import Serve

Factory = Callable[[], asyncio.AbstractEventLoop]
Report = dict[str, Any]


def new_loop(loop_factory: Factory) -> Iterator[Factory]:
    """A callable that returns a fresh loop of the kind under test; what a case leaves open is closed afterwards."""
    made: list[asyncio.AbstractEventLoop] = []

    def make() -> asyncio.AbstractEventLoop:
        made.append(loop_factory())
        return made[-1]

    yield make
    while made:
        dispose(made.pop())


def reports() -> Iterator[list[Report]]:
    """The contexts that ``loop`` gave to its exception handler, in order."""
    yield []


def loop(new_loop: Factory, reports: list[Report]) -> Iterator[asyncio.AbstractEventLoop]:
    """A fresh loop of the kind under test whose exception handler writes to ``reports``."""
    loop = new_loop()
    loop.set_exception_handler(lambda *given: reports.append(given[-1]))  # that it gets the loop is a case of its own
    yield loop
    dispose(loop)


class Records(logging.Handler):
    """Keeps the records that reach it, in order."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        self.records.append(record)


def logged() -> Iterator[list[logging.LogRecord]]:
    """The warnings and errors that reached the logger ``asyncio``, in order, while the case ran."""
    logger = logging.getLogger("asyncio")
    handler = Records(logging.WARNING)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield handler.records
    logger.removeHandler(handler)
    logger.setLevel(level)
    logger.propagate = propagate


def dispose(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on ``loop``, shut down its generators and executor, and close it; nothing if closed."""
    if loop.is_closed():
        return
    try:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
            for task in left:
                if not task.cancelled():
                    task.exception()
        with contextlib.suppress(NotImplementedError):
            loop.run_until_complete(loop.shutdown_asyncgens())
        with contextlib.suppress(NotImplementedError):
            loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def connect(loop: asyncio.AbstractEventLoop, stream: str) -> Iterator[Connect]:
    """Makes links of the kind that a case is parametrized with (``@on_streams``); what is left open is aborted."""
    connect = Connect(loop, stream)
    yield connect
    if not loop.is_closed():
        loop.run_until_complete(connect.close())


def serve(loop: asyncio.AbstractEventLoop, server: str) -> Iterator[Serve]:
    """Makes servers of the kind that a case is parametrized with (``@on_servers``); they end with the case."""
    serve = Serve(loop, server)
    yield serve
    if not loop.is_closed():
        loop.run_until_complete(serve.close())
