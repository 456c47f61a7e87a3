"""One short, ordinary use of each capability of a loop: it works, is missing (NotImplementedError), or fails."""

import asyncio
import concurrent.futures
import contextlib
import os
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from ..authoring.resolution import HOST, Resolver

Loop = asyncio.AbstractEventLoop
PROBES: dict[str, Callable[[Loop], None]] = {}
"""The attempts by the name of the capability. Each gets a fresh loop that is closed after it."""


def _probe(function: Callable[[Loop], Any]) -> Callable[[Loop], Any]:
    """Register an attempt under its name; a coroutine function is run on the loop."""

    def attempt(loop: Loop) -> None:
        outcome = function(loop)
        if asyncio.iscoroutine(outcome):
            loop.run_until_complete(outcome)

    PROBES[function.__name__] = attempt
    return function


@contextlib.contextmanager
def _listener(kind: int = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        yield listener


@contextlib.contextmanager
def _pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


async def _connection(loop: Loop, **options: Any) -> None:
    with _listener() as listener:
        transport, _ = await loop.create_connection(asyncio.Protocol, *listener.getsockname(), **options)
        transport.close()
        await asyncio.sleep(0)


async def _file_sent(send: Callable[[Any], Awaitable[Any]]) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"content")
        file.seek(0)
        await send(file)


@_probe
async def tcp(loop: Loop) -> None:
    """create_connection()."""
    await _connection(loop)


@_probe
async def servers(loop: Loop) -> None:
    """create_server()."""
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    server.close()


@_probe
async def happy_eyeballs(loop: Loop) -> None:
    """create_connection() with a delay between attempts."""
    with _listener() as listener:
        transport, _ = await loop.create_connection(
            asyncio.Protocol, *listener.getsockname(), happy_eyeballs_delay=0.25, interleave=1
        )
        transport.close()
        await asyncio.sleep(0)


@_probe
async def accepted_socket(loop: Loop) -> None:
    """connect_accepted_socket()."""
    ours, theirs = socket.socketpair()
    with theirs:
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        transport.close()
        await asyncio.sleep(0)


@_probe
async def unix(loop: Loop) -> None:
    """create_unix_server() and create_unix_connection()."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "s"))
        server = await loop.create_unix_server(asyncio.Protocol, path)
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, path)
        transport.close()
        await asyncio.sleep(0)
        server.close()


@_probe
async def tls(loop: Loop) -> None:
    """create_connection() with TLS, up to the refusal of a peer that does not speak it."""
    with _listener() as listener:
        listener.settimeout(5)
        connecting = asyncio.ensure_future(
            loop.create_connection(
                asyncio.Protocol, *listener.getsockname(), ssl=ssl.create_default_context(), server_hostname="x"
            )
        )
        waiting = asyncio.ensure_future(asyncio.sleep(0.05))
        await asyncio.wait([connecting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            peer, _ = listener.accept()
            peer.sendall(b"this is no TLS\r\n")
            peer.close()
        with contextlib.suppress(OSError):
            await connecting


@_probe
async def udp(loop: Loop) -> None:
    """create_datagram_endpoint()."""
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
    transport.close()
    await asyncio.sleep(0)


@_probe
async def pipes(loop: Loop) -> None:
    """connect_read_pipe() and connect_write_pipe()."""
    reading, writing = os.pipe()
    reader, _ = await loop.connect_read_pipe(asyncio.Protocol, os.fdopen(reading, "rb"))
    writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(writing, "wb"))
    writer.close()
    reader.close()
    await asyncio.sleep(0)


@_probe
async def subprocess(loop: Loop) -> None:
    """subprocess_exec()."""
    ended = loop.create_future()

    class Protocol(asyncio.SubprocessProtocol):
        def process_exited(self) -> None:
            ended.set_result(None)

    if sys.version_info < (3, 12):
        asyncio.get_child_watcher().attach_loop(loop)
    transport, _ = await loop.subprocess_exec(Protocol, "true", stdin=None, stdout=None, stderr=None)
    await ended
    transport.close()


@_probe
def signals(loop: Loop) -> None:
    """add_signal_handler()."""
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)


@_probe
def fdwatch(loop: Loop) -> None:
    """add_reader() and add_writer()."""
    with _pair() as (ours, theirs):
        theirs.send(b"x")
        loop.add_reader(ours.fileno(), loop.stop)
        loop.run_forever()
        loop.remove_reader(ours.fileno())
        loop.add_writer(ours.fileno(), loop.stop)
        loop.run_forever()
        loop.remove_writer(ours.fileno())


@_probe
async def sock(loop: Loop) -> None:
    """sock_sendall() and sock_recv()."""
    with _pair() as (ours, theirs):
        await loop.sock_sendall(ours, b"x")
        theirs.send(b"y")
        await loop.sock_recv(ours, 1)


@_probe
async def sock_datagram(loop: Loop) -> None:
    """sock_sendto() and sock_recvfrom()."""
    with _listener(socket.SOCK_DGRAM) as ours:
        ours.setblocking(False)
        await loop.sock_sendto(ours, b"x", ours.getsockname())
        await loop.sock_recvfrom(ours, 1)


@_probe
async def sendfile(loop: Loop) -> None:
    """sendfile()."""
    with _listener() as listener:
        transport, _ = await loop.create_connection(asyncio.Protocol, *listener.getsockname())
        try:
            await _file_sent(lambda file: loop.sendfile(transport, file))
        finally:
            transport.close()
            await asyncio.sleep(0)


@_probe
async def sock_sendfile(loop: Loop) -> None:
    """sock_sendfile()."""
    with _pair() as (ours, _):
        await _file_sent(lambda file: loop.sock_sendfile(ours, file))


@_probe
async def executor(loop: Loop) -> None:
    """run_in_executor(), default and given."""
    await loop.run_in_executor(None, os.getpid)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        await loop.run_in_executor(pool, os.getpid)


@_probe
async def dns(loop: Loop) -> None:
    """getaddrinfo() and getnameinfo()."""
    await loop.getaddrinfo("127.0.0.1", 80)
    await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)


@_probe
async def resolver(loop: Loop) -> None:
    """create_connection() to a name that socket.getaddrinfo() alone knows."""
    with _listener() as listener, Resolver({HOST: [listener.getsockname()]}):
        try:
            transport, _ = await loop.create_connection(asyncio.Protocol, HOST, 1)
        except socket.gaierror as error:
            raise NotImplementedError from error
        transport.close()
        await asyncio.sleep(0)


@_probe
def asyncgens(loop: Loop) -> None:
    """shutdown_asyncgens() closes what is open."""
    closed = []

    async def generator() -> Any:
        try:
            yield
        finally:
            closed.append(True)

    async def main() -> None:
        left = generator()
        await left.__anext__()
        await loop.shutdown_asyncgens()
        if not closed:
            raise NotImplementedError

    loop.run_until_complete(main())


@_probe
def debug(loop: Loop) -> None:
    """set_debug()."""
    loop.set_debug(True)
    if not loop.get_debug():
        raise NotImplementedError
