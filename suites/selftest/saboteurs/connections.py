"""Saboteurs of create_connection() and connect_accepted_socket(): they connect, choose, cancel and clean up wrongly."""

import asyncio
import socket
import ssl
from typing import Any

from saboteurs import saboteur
from saboteurs.stream_loop import SocketTransport, Transports


class Connecting(asyncio.SelectorEventLoop):
    """The steps of stock asyncio's create_connection(), untyped, for saboteurs to change."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        return await super().create_connection(*args, **options)

    async def connect_accepted_socket(self, *args: Any, **options: Any) -> Any:
        return await super().connect_accepted_socket(*args, **options)


@saboteur("CONN-CREATE_CONNECTION-02")
@saboteur("CONN-CREATE_CONNECTION-04")
class MakesTheProtocolFirst(Connecting):
    """Calls the factory before it connects."""

    async def create_connection(self, factory: Any, *args: Any, **options: Any) -> Any:
        protocol = factory()
        return await super().create_connection(lambda: protocol, *args, **options)


@saboteur("CONN-CREATE_CONNECTION-02")
class MakesTheProtocolTwice(Connecting):
    """Calls the factory once to see whether it works."""

    async def create_connection(self, factory: Any, *args: Any, **options: Any) -> Any:
        return await super().create_connection(lambda: (factory(), factory())[1], *args, **options)


@saboteur("CONN-CREATE_CONNECTION-05")
class RaisesWhatConnectionMadeRaises(Connecting):
    """Lets an error of connection_made() out of create_connection()."""

    async def create_connection(self, factory: Any, *args: Any, **options: Any) -> Any:
        errors: list[Exception] = []

        def watched() -> Any:
            protocol = factory()
            original = protocol.connection_made

            def made(transport: Any) -> None:
                try:
                    original(transport)
                except Exception as error:
                    errors.append(error)

            protocol.connection_made = made
            return protocol

        pair = await super().create_connection(watched, *args, **options)
        if errors:
            pair[0].abort()
            raise errors[0]
        return pair


@saboteur("CONN-CREATE_CONNECTION-07", "fail", "leak")
@saboteur("CONN-CREATE_CONNECTION-59", "fail", "leak")
class KeepsASocketThatIsCancelled(Connecting):
    """Does not close a socket when its connect is cancelled."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        try:
            await super().sock_connect(sock, address)
        except asyncio.CancelledError:
            kept = socket.socket(fileno=socket.dup(sock.fileno()))
            self.call_later(30, kept.close)
            raise


@saboteur("CONN-CREATE_CONNECTION-59", "fail", "leak")
class SwallowsALateCancel(Connecting):
    """Returns the pair although it was cancelled when the connection was there."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        attempt = asyncio.ensure_future(super().create_connection(*args, **options))
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if attempt.done() and not attempt.exception():
                return attempt.result()
            attempt.cancel()
            raise


@saboteur("CONN-CREATE_CONNECTION-09")
class DelaysSmallWrites(Transports):
    """Leaves Nagle's algorithm on."""

    class transport(SocketTransport):
        def __init__(self, loop: Any, sock: Any, *args: Any, **options: Any) -> None:
            super().__init__(loop, sock, *args, **options)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)


@saboteur("CONN-CREATE_CONNECTION-11")
class PrefersTheSocket(Connecting):
    """Ignores host and port where there is a socket."""

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if options.get("sock") is not None:
            host = port = None
        return await super().create_connection(factory, host, port, **options)


@saboteur("CONN-CREATE_CONNECTION-12")
class KeepsTheGivenSocket(Connecting):
    """Works on a duplicate of the socket that it is given, and leaves that open."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        if options.get("sock") is not None and options["sock"].fileno() != -1:
            options["sock"] = options["sock"].dup()
        return await super().create_connection(*args, **options)


@saboteur("CONN-CREATE_CONNECTION-13")
class TakesDatagrams(Connecting):
    """Makes a transport of a datagram socket, too."""

    async def create_connection(self, factory: Any, *args: Any, **options: Any) -> Any:
        sock = options.get("sock")
        if sock is not None and sock.fileno() != -1 and sock.type == socket.SOCK_DGRAM:
            return None, factory()
        return await super().create_connection(factory, *args, **options)


@saboteur("CONN-CREATE_CONNECTION-14")
class ClosesWhatItRefuses(Connecting):
    """Closes a socket that it refuses."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().create_connection(*args, **options)
        except TypeError:
            if isinstance(options.get("sock"), ssl.SSLSocket):
                options["sock"].close()
            raise


@saboteur("CONN-CREATE_CONNECTION-17")
class IgnoresTheFamily(Connecting):
    """Looks up addresses of all families."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        return await super().create_connection(*args, **{**options, "family": 0})


@saboteur("CONN-CREATE_CONNECTION-18")
class IgnoresTheFlags(Connecting):
    """Forgets the flags of the lookup."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        return await super().create_connection(*args, **{**options, "flags": 0})


@saboteur("CONN-CREATE_CONNECTION-19")
@saboteur("CONN-CREATE_CONNECTION-33")
class TriesTheLastFirst(Connecting):
    """Tries addresses in the opposite order."""

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        return (await super().getaddrinfo(*args, **options))[::-1]


@saboteur("CONN-CREATE_CONNECTION-20")
@saboteur("CONN-CREATE_CONNECTION-21")
class RaisesLookupErrors(Connecting):
    """Raises LookupError where a name is not found."""

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        try:
            found = await super().getaddrinfo(*args, **options)
        except socket.gaierror as error:
            raise LookupError(str(error)) from None
        if not found:
            raise LookupError("no address")
        return found


@saboteur("CONN-CREATE_CONNECTION-22")
class LooksUpAddresses(Connecting):
    """Asks the resolver for literal addresses, too."""

    async def _ensure_resolved(self, address: Any, *, loop: Any, **options: Any) -> Any:
        return await self.getaddrinfo(*address[:2], **options)


@saboteur("CONN-CREATE_CONNECTION-24")
class IgnoresTheLocalAddress(Connecting):
    """Connects from any address."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        return await super().create_connection(*args, **{**options, "local_addr": None})


@saboteur("CONN-CREATE_CONNECTION-25")
class DoesNotSayWhere(Connecting):
    """Raises the plain error of a bind."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().create_connection(*args, **options)
        except OSError as error:
            if "bind" in str(error):
                raise OSError(error.errno, "bind failed") from None
            raise


@saboteur("CONN-CREATE_CONNECTION-27")
class RaisesTheLastError(Connecting):
    """Raises only the error of the last attempt."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().create_connection(*args, **options)
        except OSError as error:
            if str(error).startswith("Multiple"):
                raise OSError(str(error).rpartition(", [")[2]) from None
            raise


@saboteur("CONN-CREATE_CONNECTION-30", "hang")
class WaitsForEachAttempt(Connecting):
    """Takes happy_eyeballs_delay for an order of addresses alone."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        if options.pop("happy_eyeballs_delay", None) is not None:
            options.setdefault("interleave", 1)
        return await super().create_connection(*args, **options)


@saboteur("CONN-CREATE_CONNECTION-30")
class DoesNotWait(Connecting):
    """Begins all attempts at once."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        if options.get("happy_eyeballs_delay") is not None:
            options["happy_eyeballs_delay"] = 0
        return await super().create_connection(*args, **options)


@saboteur("CONN-CREATE_CONNECTION-32", "fail", "leak")
@saboteur("CONN-CREATE_CONNECTION-55", "fail", "leak")
class LeavesTheLosers(Connecting):
    """Lets the attempts that have lost run on."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        await asyncio.shield(asyncio.ensure_future(super().sock_connect(sock.dup(), address)))
        await super().sock_connect(sock, address)


@saboteur("CONN-CREATE_CONNECTION-34")
class NeverInterleaves(Connecting):
    """Keeps the order of addresses unless told otherwise."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        if options.get("happy_eyeballs_delay") is not None:
            options.setdefault("interleave", 0)
        return await super().create_connection(*args, **options)


@saboteur("CONN-CREATE_CONNECTION-36")
class TrustsEverybody(Connecting):
    """Makes a context for ssl=True that verifies nothing."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        if options.get("ssl") is True:
            options["ssl"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            options["ssl"].check_hostname = False
            options["ssl"].verify_mode = ssl.CERT_NONE
        return await super().create_connection(*args, **options)


@saboteur("CONN-CREATE_CONNECTION-41")
class VerifiesTheHost(Connecting):
    """Verifies the host whatever server_hostname is."""

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if host and options.get("server_hostname"):
            options["server_hostname"] = host
        return await super().create_connection(factory, host, port, **options)


@saboteur("CONN-CREATE_CONNECTION-46")
class TimesOutWithAnErrorOfItsOwn(Connecting):
    """Raises TimeoutError when a handshake takes too long."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().create_connection(*args, **options)
        except ConnectionAbortedError as error:
            raise TimeoutError(str(error)) from None


@saboteur("CONN-CREATE_CONNECTION-49", "fail", "leak")
class LeavesARefusedSocketOpen(Connecting):
    """Leaves a socket open when its connect fails."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        try:
            await super().sock_connect(sock, address)
        except OSError:
            self.__dict__.setdefault("_kept", []).append(sock.dup())
            raise

    def close(self) -> None:
        for kept in self.__dict__.get("_kept", []):
            kept.close()
        super().close()


@saboteur("CONN-CREATE_CONNECTION-50")
class RemembersErrors(Connecting):
    """Raises errors that refer to themselves."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().create_connection(*args, **options)
        except OSError as error:
            error.itself = error  # type: ignore[attr-defined]
            raise


@saboteur("CONN-CONNECT_ACCEPTED_SOCKET-03")
class TakesAcceptedDatagrams(Connecting):
    """Makes a transport of a datagram socket, too."""

    async def connect_accepted_socket(self, factory: Any, sock: Any, **options: Any) -> Any:
        if sock.type == socket.SOCK_DGRAM:
            return None, factory()
        return await super().connect_accepted_socket(factory, sock, **options)


@saboteur("CONN-CONNECT_ACCEPTED_SOCKET-06", "fail", "leak")
class ClosesTheNumberAgain(Connecting):
    """Closes the number of an accepted socket once more, later."""

    async def connect_accepted_socket(self, factory: Any, sock: Any, **options: Any) -> Any:
        number = sock.fileno()
        pair = await super().connect_accepted_socket(factory, sock, **options)
        close = pair[0].abort

        def abort() -> None:
            close()
            if sock.fileno() == -1:
                socket.close(number)

        pair[0].abort = abort
        return pair


@saboteur("CONN-CONNECT_ACCEPTED_SOCKET-07", "fail", "leak")
class HidesFailedHandshakes(Connecting):
    """Returns a pair although the handshake has failed."""

    async def connect_accepted_socket(self, factory: Any, sock: Any, **options: Any) -> Any:
        try:
            return await super().connect_accepted_socket(factory, sock, **options)
        except OSError:
            return None, None


@saboteur("CONN-CONNECT_ACCEPTED_SOCKET-09", "fail", "leak")
class KeepsAnAcceptedSocket(Connecting):
    """Leaves an accepted socket open when it is cancelled."""

    async def connect_accepted_socket(self, factory: Any, sock: Any, **options: Any) -> Any:
        try:
            return await super().connect_accepted_socket(factory, sock, **options)
        except asyncio.CancelledError:
            kept = sock.dup()
            self.call_later(30, kept.close)
            raise
