"""Saboteurs of create_server(): they listen at the wrong place, forget options, and accept wrongly."""

import asyncio
import errno
import socket
from typing import Any

from saboteurs import saboteur
from saboteurs.server_loop import Servers


@saboteur("SERV-CREATE_SERVER-02")
class SharesOneProtocol(Servers):
    """Calls the factory once and uses its result for every connection."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        made: list[Any] = []
        factory = given["protocol_factory"]

        def make() -> Any:
            if not made:
                made.append(factory())
            return made[0]

        return {**given, "protocol_factory": make}


@saboteur("SERV-CREATE_SERVER-02")
class MakesAProtocolInAdvance(Servers):
    """Calls the factory before anybody has connected."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        factory = given["protocol_factory"]
        ready = [factory()]

        def make() -> Any:
            ready.append(factory())
            return ready.pop(0)

        return {**given, "protocol_factory": make}


@saboteur("SERV-CREATE_SERVER-04")
class ListensOnLoopback(Servers):
    """Takes an empty host for localhost."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "host": given["host"] or "127.0.0.1"} if "sock" not in given else given


@saboteur("SERV-CREATE_SERVER-05")
class ListensOnTheFirstHost(Servers):
    """Binds the first host of a sequence only."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        host = given.get("host")
        return {**given, "host": host[0]} if isinstance(host, list | tuple) and host else given


@saboteur("SERV-CREATE_SERVER-07")
class IgnoresTheFamily(Servers):
    """Binds addresses of both families."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        given.pop("family", None)
        return given


@saboteur("SERV-CREATE_SERVER-08")
class ServesACopy(Servers):
    """Serves a duplicate of the socket that it is given, which stays open."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        sock = given.get("sock")
        return {**given, "sock": sock.dup()} if isinstance(sock, socket.socket) else given


@saboteur("SERV-CREATE_SERVER-09")
class PrefersTheSocket(Servers):
    """Ignores host and port beside a socket."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "host": None, "port": None} if given.get("sock") is not None else given


@saboteur("SERV-CREATE_SERVER-13")
class IgnoresTheBacklog(Servers):
    """Always listens with a backlog of 100."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        given.pop("backlog", None)
        return given


@saboteur("SERV-CREATE_SERVER-14")
class NeverReusesAddresses(Servers):
    """Sets SO_REUSEADDR only where it is asked to."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "reuse_address": given.get("reuse_address") or False}


@saboteur("SERV-CREATE_SERVER-15")
class ForgetsToSharePorts(Servers):
    """Ignores reuse_port."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        given.pop("reuse_port", None)
        return given


@saboteur("SERV-CREATE_SERVER-20")
class HidesTheAddress(Servers):
    """Does not tell which address is in use."""

    async def create_server(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().create_server(*args, **kwargs)
        except OSError as error:
            raise OSError(error.errno, "cannot bind") from None


@saboteur("SERV-CREATE_SERVER-22", "fail", "leak")
class KeepsWhatItBound(Servers):
    """Leaves a socket open when the next one cannot be bound."""

    async def create_server(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().create_server(*args, **kwargs)
        except OSError:
            self._kept = socket.socket()
            raise


@saboteur("SERV-CREATE_SERVER-23")
class AlwaysServes(Servers):
    """Starts to serve though it is told not to."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "start_serving": True}


@saboteur("SERV-CREATE_SERVER-26")
class TakesTimeoutsForNothing(Servers):
    """Ignores a timeout for handshakes where there are none."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        if not given.get("ssl"):
            given.pop("ssl_handshake_timeout", None)
        return given


@saboteur("SERV-CREATE_SERVER-28")
class HoldsBackSmallWrites(Servers):
    """Leaves Nagle's algorithm on for accepted connections."""

    def _make_socket_transport(self, sock: Any, *args: Any, **kwargs: Any) -> Any:
        transport = super()._make_socket_transport(sock, *args, **kwargs)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        return transport


@saboteur("SERV-CREATE_SERVER-30")
class KeepsConnectionsOfFailedFactories(Servers):
    """Leaves a connection open when its factory raises."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        factory = given["protocol_factory"]

        def make() -> Any:
            try:
                return factory()
            except BaseException:
                return asyncio.Protocol()

        return {**given, "protocol_factory": make}


class Accepting(Servers):
    """Accepts one connection at a time, and leaves the errors of that to `accept_failed`."""

    def accept_failed(self, sock: Any, error: OSError) -> None:
        raise NotImplementedError

    def _accept_connection(self, factory: Any, sock: Any, context: Any = None, server: Any = None, *_: Any) -> None:
        try:
            connection, address = sock.accept()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.accept_failed(sock, error)
            return
        connection.setblocking(False)
        if self.accepted(sock, connection):
            self.create_task(self._accept_connection2(factory, connection, {"peername": address}, context, server))

    def accepted(self, sock: Any, connection: Any) -> bool:
        """Tell whether a connection is to be served."""
        return True


@saboteur("SERV-CREATE_SERVER-32")
class AcceptsOneAPoll(Accepting):
    """Accepts one connection in an iteration, however many wait."""

    def accept_failed(self, sock: Any, error: OSError) -> None:
        self.call_exception_handler({"message": "accept", "exception": error})


@saboteur("SERV-CREATE_SERVER-34")
class SpinsWithoutAWord(Accepting):
    """Tries again at once when it has no descriptors left, and reports nothing."""

    def accept_failed(self, sock: Any, error: OSError) -> None:
        pass


@saboteur("SERV-CREATE_SERVER-34")
class NeverAcceptsAgain(Accepting):
    """Stops to accept when it has no descriptors left."""

    def accept_failed(self, sock: Any, error: OSError) -> None:
        self.remove_reader(sock.fileno())
        self.call_exception_handler({"message": "accept", "exception": error, "socket": sock})


@saboteur("SERV-CREATE_SERVER-37")
class EndsWithAnAbortedConnection(Accepting):
    """Takes any error of accept() for the end of the server."""

    def accept_failed(self, sock: Any, error: OSError) -> None:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            self.remove_reader(sock.fileno())


@saboteur("SERV-CREATE_SERVER-36")
class EndsWithAVanishedPeer(Accepting):
    """Asks for the name of the peer, and serves nobody any more when it is gone."""

    def accept_failed(self, sock: Any, error: OSError) -> None:
        pass

    def accepted(self, sock: Any, connection: Any) -> bool:
        try:
            connection.getpeername()
            gone = connection.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            gone = False
        except OSError:
            gone = True
        if gone:
            self.remove_reader(sock.fileno())
            connection.close()
        return not gone
