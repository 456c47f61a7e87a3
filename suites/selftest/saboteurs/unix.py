"""Saboteurs of the UNIX calls: they misread paths, and treat files wrongly."""

import os
import pathlib
import socket
from typing import Any

from saboteurs import saboteur
from saboteurs.server_loop import Server, Servers


class Connections(Servers):
    """Lets `changes` change what create_unix_connection() is called with."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    async def create_unix_connection(self, protocol_factory: Any, path: Any = None, **given: Any) -> Any:
        named = self.changes({"protocol_factory": protocol_factory, "path": path, **given})
        return await super().create_unix_connection(**named)


@saboteur("UNIX-CREATE_UNIX_CONNECTION-02")
class ReadsPathsAsText(Connections):
    """Takes the repr() of bytes for a path."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "path": str(given["path"])} if given["path"] is not None else given


@saboteur("UNIX-CREATE_UNIX_CONNECTION-03")
class StopsAtTheNull(Connections):
    """Takes an abstract name for a path."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        path = given["path"]
        return {**given, "path": path.lstrip("\0")} if isinstance(path, str) else given


@saboteur("UNIX-CREATE_UNIX_CONNECTION-04")
class PrefersThePath(Connections):
    """Ignores a socket beside a path."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "sock": None} if given["path"] is not None else given


@saboteur("UNIX-CREATE_UNIX_CONNECTION-07")
class IgnoresTheName(Connections):
    """Ignores server_hostname where there is no TLS."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        return given if given.get("ssl") else {**given, "server_hostname": None}


@saboteur("UNIX-CREATE_UNIX_CONNECTION-08")
class IgnoresTimeouts(Connections):
    """Ignores the timeouts of TLS where there is none."""

    def changes(self, given: dict[str, Any]) -> dict[str, Any]:
        if not given.get("ssl"):
            given.pop("ssl_handshake_timeout", None)
            given.pop("ssl_shutdown_timeout", None)
        return given


@saboteur("UNIX-CREATE_UNIX_CONNECTION-09")
class SaysRefused(Servers):
    """Raises one exception for all reasons."""

    async def create_unix_connection(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().create_unix_connection(*args, **kwargs)
        except OSError:
            raise ConnectionRefusedError("no connection") from None


@saboteur("UNIX-CREATE_UNIX_CONNECTION-10", "fail", "leak")
class KeepsTheSocketOfAFailure(Servers):
    """Leaves a socket open when there is no connection."""

    async def create_unix_connection(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().create_unix_connection(*args, **kwargs)
        except OSError:
            self._kept = socket.socket(socket.AF_UNIX)
            raise


@saboteur("UNIX-CREATE_UNIX_SERVER-02")
class WantsText(Servers):
    """Refuses what is no str."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(given.get("path"), str | None):
            raise TypeError("path must be a str")
        return given


@saboteur("UNIX-CREATE_UNIX_SERVER-03")
class LeavesStaleFiles(Servers):
    """Does not remove a socket file that was left behind."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        path = given.get("path")
        if isinstance(path, str | bytes) and path[0] not in (0, "\0") and pathlib.Path(os.fsdecode(path)).is_socket():
            raise OSError(98, f"Address {path!r} is already in use")
        return given


@saboteur("UNIX-CREATE_UNIX_SERVER-04")
class RemovesWhateverIsThere(Servers):
    """Removes any file at the path."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        path = given.get("path")
        if isinstance(path, str) and "\0" not in path and pathlib.Path(path).is_file():
            pathlib.Path(path).unlink()
        return given


@saboteur("UNIX-CREATE_UNIX_SERVER-08")
class TakesAnySocket(Servers):
    """Serves sockets of other families."""

    async def create_unix_server(self, protocol_factory: Any, path: Any = None, **given: Any) -> Any:
        sock = given.get("sock")
        if sock is not None and sock.family != socket.AF_UNIX:
            return await self.create_server(protocol_factory, sock=sock)
        return await super().create_unix_server(protocol_factory, path, **given)


@saboteur("UNIX-CREATE_UNIX_SERVER-15", "fail", "leak")
class MakesAFileOfAbstractNames(Servers):
    """Binds an abstract name as a path."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        path = given.get("path")
        return {**given, "path": f"/tmp{path[1:]}"} if isinstance(path, str) and path[:1] == "\0" else given


@saboteur("UNIX-CREATE_UNIX_SERVER-20")
class LooksAtTheFile(Servers):
    """Wants the file of a socket that it is given."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("sock") is not None:
            pathlib.Path(given["sock"].getsockname()).stat()
        return given


@saboteur("UNIX-CREATE_UNIX_SERVER-21")
class KeepsTheSocketOfABadName(Servers):
    """Leaves a socket open when its name cannot be encoded."""

    async def create_unix_server(self, *args: Any, **given: Any) -> Any:
        try:
            return await super().create_unix_server(*args, **given)
        except UnicodeEncodeError:
            self._kept = socket.socket(socket.AF_UNIX)
            raise


@saboteur("UNIX-CREATE_UNIX_SERVER-16")
class ServesAtOnce(Servers):
    """Starts to serve though it is told not to."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "start_serving": True}


class Files(Servers):
    """Leaves the file of a server to `closed`."""

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        self.cleans = given.get("cleanup_socket", True)
        return {**given, "cleanup_socket": False}

    class server(Server):
        def close(self) -> None:
            paths = [sock.getsockname() for sock in self._sockets or ()]
            super().close()
            for path in paths:
                self._loop.closed(pathlib.Path(os.fsdecode(path)))

    def closed(self, path: pathlib.Path) -> None:
        """Do what is done to the file of a server that was closed."""


@saboteur("UNIX-CREATE_UNIX_SERVER-09")
class LeavesTheFile(Files):
    """Does not remove the file."""


@saboteur("UNIX-CREATE_UNIX_SERVER-10")
class RemovesTheFilesOfOthers(Files):
    """Removes what is at the path by then."""

    def closed(self, path: pathlib.Path) -> None:
        if self.cleans:
            path.unlink(missing_ok=True)


@saboteur("UNIX-CREATE_UNIX_SERVER-11")
class RemovesTheFileAlways(Files):
    """Removes the file though that is not wanted."""

    def closed(self, path: pathlib.Path) -> None:
        path.unlink(missing_ok=True)


@saboteur("UNIX-CREATE_UNIX_SERVER-13")
@saboteur("UNIX-CREATE_UNIX_SERVER-19")
class WantsTheFile(Files):
    """Raises when the file is gone, or its folder."""

    def closed(self, path: pathlib.Path) -> None:
        if self.cleans:
            path.unlink()


@saboteur("UNIX-CREATE_UNIX_SERVER-12")
class RemovesTheFileTooEarly(Servers):
    """Removes the file on Python versions in which it stays."""

    class server(Server):
        def close(self) -> None:
            for sock in self._sockets or ():
                pathlib.Path(os.fsdecode(sock.getsockname())).unlink(missing_ok=True)
            super().close()
