"""Saboteurs of files that are sent: wrong parts of them, wrong numbers, files and transports left in disorder."""

import asyncio
import io
import os
from typing import Any

from saboteurs import saboteur


class Native(asyncio.SelectorEventLoop):
    """A stock loop that lets saboteurs change what its system call is asked for, and what it answers."""

    async def _sock_sendfile_native(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        return await self.natively(sock, file, offset, count)

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        """Send in the stock way."""
        sent: int = await super()._sock_sendfile_native(sock, file, offset, count)  # type: ignore[misc]
        return sent


@saboteur("SENDF-COMMON-01")
class SendsOneMore(Native):
    """Takes count for the last index."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        return await super().natively(sock, file, offset, count and count + 1)


@saboteur("SENDF-COMMON-01")
class ReturnsNone(Native):
    """Forgets the result where there is one."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> Any:
        await super().natively(sock, file, offset, count)


@saboteur("SENDF-COMMON-02")
class CountsFromTheEnd(Native):
    """Returns what is left behind the offset, though there is none."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        sent = await super().natively(sock, file, offset, count)
        return sent or os.fstat(file.fileno()).st_size - offset


@saboteur("SENDF-COMMON-03")
class OffsetsOf32Bits(Native):
    """Keeps the offset in 32 bits."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        return await super().natively(sock, file, offset & 0xFFFFFFFF, count)


@saboteur("SENDF-COMMON-03")
class CountsOf32Bits(Native):
    """Keeps the count in 32 bits."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        return await super().natively(sock, file, offset, count and (count & 0xFFFFFFFF or 1))


@saboteur("SENDF-COMMON-04")
class StartsWhereTheFileIs(Native):
    """Takes an offset of 0 for none."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        return await super().natively(sock, file, offset or file.tell(), count)


@saboteur("SENDF-COMMON-05")
class BelievesTheFirstSize(Native):
    """Returns the size that the file had when the call began."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        size = os.fstat(file.fileno()).st_size
        sent = await super().natively(sock, file, offset, count)
        return size - offset if sent and count is None else sent


@saboteur("SENDF-COMMON-08")
class ClosesTheFile(Native):
    """Closes the file that it has sent."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        sent = await super().natively(sock, file, offset, count)
        os.close(file.fileno())
        return sent


@saboteur("SENDF-COMMON-10")
class ReadsInTheLoop(asyncio.SelectorEventLoop):
    """Reads files in the thread of the loop."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        if getattr(func, "__name__", "") != "readinto":
            return super().run_in_executor(executor, func, *args)
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


@saboteur("SENDF-COMMON-12")
class TakesLittleForTheEnd(asyncio.SelectorEventLoop):
    """Takes less than it has asked for as the end of the file."""

    ended: Any = None

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        await super().sock_sendall(sock, data)
        self.ended = len(data) < len(data.obj) if isinstance(data, memoryview) else None

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        if self.ended and getattr(func, "__name__", "").startswith("read"):
            func = lambda _: 0  # noqa: E731
        return super().run_in_executor(executor, func, *args)


@saboteur("SENDF-COMMON-13")
class TakesErrorsForTheEnd(Native):
    """Returns what was sent before an error."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        try:
            return await super().natively(sock, file, offset, count)
        except OSError:
            return int(file.tell()) - offset


@saboteur("SENDF-COMMON-14")
class FallsBackToTheStart(asyncio.SelectorEventLoop):
    """Forgets the offset in the fallback."""

    async def _sock_sendfile_fallback(self, sock: Any, file: Any, offset: int, count: Any) -> Any:
        return await super()._sock_sendfile_fallback(sock, file, 0, count)  # type: ignore[misc]


@saboteur("SENDF-COMMON-07")
class SendsForTheDead(Native):
    """Sends another piece after a cancel."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        try:
            return await super().natively(sock, file, offset, count)
        except asyncio.CancelledError:
            number = os.dup(sock.fileno())

            def more() -> None:
                self.remove_writer(number)
                os.write(number, b"more")
                os.close(number)

            self.add_writer(number, more)
            raise


@saboteur("SENDF-SENDFILE-05")
class NeverRefuses(asyncio.SelectorEventLoop):
    """Takes fallback=False for a wish."""

    async def sendfile(
        self, transport: Any, file: Any, offset: Any = 0, count: Any = None, *, fallback: Any = True
    ) -> int:
        return await super().sendfile(transport, file, offset, count, fallback=True)


@saboteur("SENDF-SENDFILE-06")
class SendsToTheClosing(asyncio.SelectorEventLoop):
    """Returns 0 for a transport that is closing."""

    async def sendfile(self, transport: Any, *args: Any, **kwargs: Any) -> int:
        return 0 if transport.is_closing() else await super().sendfile(transport, *args, **kwargs)


@saboteur("SENDF-SENDFILE-08")
class Overtakes(asyncio.SelectorEventLoop):
    """Does not wait for what is queued."""

    async def _sendfile_native(self, transp: Any, file: Any, offset: Any, count: Any) -> Any:
        queued, transp._buffer = transp._buffer, type(transp._buffer)()
        self.remove_writer(transp._sock_fd) if queued else None
        try:
            return await super()._sendfile_native(transp, file, offset, count)  # type: ignore[misc]
        finally:
            for data in [bytes(queued)] if isinstance(queued, bytearray) else queued:
                transp.write(data)


@saboteur("SENDF-SENDFILE-09")
class WritesBetween(asyncio.SelectorEventLoop):
    """Lets write() work while the kernel sends a file."""

    async def _sendfile_native(self, transp: Any, file: Any, offset: Any, count: Any) -> Any:
        make = transp._make_empty_waiter

        async def waiter() -> None:
            await make()
            transp._reset_empty_waiter()

        transp._make_empty_waiter = waiter
        try:
            return await super()._sendfile_native(transp, file, offset, count)  # type: ignore[misc]
        finally:
            del transp._make_empty_waiter


@saboteur("SENDF-SENDFILE-10")
class ReadsOn(asyncio.SelectorEventLoop):
    """Resumes reading after each file, whether or not it was paused before."""

    async def sendfile(self, transport: Any, *args: Any, **kwargs: Any) -> int:
        try:
            return await super().sendfile(transport, *args, **kwargs)
        finally:
            transport.resume_reading()


@saboteur("SENDF-SENDFILE-11")
class LosesTheProtocol(asyncio.SelectorEventLoop):
    """Leaves a protocol of its own behind."""

    async def sendfile(self, transport: Any, *args: Any, **kwargs: Any) -> int:
        sent = await super().sendfile(transport, *args, **kwargs)
        transport.set_protocol(asyncio.Protocol())
        return sent


@saboteur("SENDF-SENDFILE-16")
class RefusesTooLate(Native):
    """Looks at count when it has sent the first bytes."""

    def _check_sendfile_params(self, sock: Any, file: Any, offset: Any, count: Any) -> None:
        if count == 0:
            os.sendfile(sock.fileno(), file.fileno(), 0, 10)
        super()._check_sendfile_params(sock, file, offset, count)  # type: ignore[misc]


@saboteur("SENDF-SOCK_SENDFILE-02")
class TakesText(asyncio.SelectorEventLoop):
    """Sends the bytes behind a file in text mode."""

    async def sock_sendfile(self, sock: Any, file: Any, *args: Any, **kwargs: Any) -> int:
        return await super().sock_sendfile(sock, getattr(file, "buffer", file), *args, **kwargs)


@saboteur("SENDF-SOCK_SENDFILE-04")
class TakesZeroForAll(asyncio.SelectorEventLoop):
    """Takes a count of 0 for None."""

    async def sock_sendfile(self, sock: Any, file: Any, offset: Any = 0, count: Any = None, **kwargs: Any) -> int:
        return await super().sock_sendfile(sock, file, offset, count or None, **kwargs)


@saboteur("SENDF-SOCK_SENDFILE-05")
class CutsOffsets(asyncio.SelectorEventLoop):
    """Takes what is below zero for zero."""

    async def sock_sendfile(self, sock: Any, file: Any, offset: Any = 0, *args: Any, **kwargs: Any) -> int:
        offset = max(offset, 0) if isinstance(offset, int) else offset
        return await super().sock_sendfile(sock, file, offset, *args, **kwargs)


@saboteur("SENDF-SOCK_SENDFILE-08")
class NeverSaysSo(asyncio.SelectorEventLoop):
    """Raises the error of the file object itself."""

    async def sock_sendfile(self, sock: Any, *args: Any, **kwargs: Any) -> int:
        try:
            return await super().sock_sendfile(sock, *args, **kwargs)
        except asyncio.SendfileNotAvailableError:
            raise io.UnsupportedOperation from None


@saboteur("SENDF-SOCK_SENDFILE-12")
class WatchesOn(Native):
    """Watches the number of a socket whose file was cancelled."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        number = sock.fileno()
        try:
            return await super().natively(sock, file, offset, count)
        except asyncio.CancelledError:
            self.call_later(0.003, self.add_reader, number, list)
            raise


@saboteur("SENDF-SOCK_SENDFILE-14")
class LeavesThePosition(Native):
    """Moves the file when all went well, and not when the connection was lost."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        try:
            return await super().natively(sock, file, offset, count)
        except ConnectionError:
            file.seek(0)
            raise


@saboteur("SENDF-COMMON-19")
class TrustsTheNumber(Native):
    """Raises what the system says of a number that is no descriptor."""

    async def natively(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        if hasattr(file, "fileno") and not isinstance(file, io.BytesIO):
            os.fstat(file.fileno())
        return await super().natively(sock, file, offset, count)


@saboteur("SENDF-SENDFILE-08")
class WantsAnEmptyQueue(Native):
    """Refuses a transport whose protocol is paused."""

    async def sendfile(self, transport: Any, *args: Any, **options: Any) -> int:
        if getattr(transport, "_protocol_paused", False):
            raise RuntimeError("the transport is not ready")
        return await super().sendfile(transport, *args, **options)
