"""The loop that saboteurs of pipes derive from: stock asyncio with pipe transports of classes of its own."""

import asyncio
from asyncio.unix_events import _UnixReadPipeTransport, _UnixWritePipeTransport  # type: ignore[attr-defined]
from typing import Any, ClassVar

ReadTransport: Any = _UnixReadPipeTransport
WriteTransport: Any = _UnixWritePipeTransport


class Pipes(asyncio.SelectorEventLoop):
    """Makes its pipe transports of the classes ``reader`` and ``writer``."""

    reader: ClassVar[type[Any]] = ReadTransport
    writer: ClassVar[type[Any]] = WriteTransport

    def _make_read_pipe_transport(self, *args: Any, **kwargs: Any) -> Any:
        return self.reader(self, *args, **kwargs)

    def _make_write_pipe_transport(self, *args: Any, **kwargs: Any) -> Any:
        return self.writer(self, *args, **kwargs)
