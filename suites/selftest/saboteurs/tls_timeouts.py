"""Saboteurs of the timeouts of TLS: they do not hand them on to the connection."""

import asyncio
from typing import Any

from saboteurs import saboteur


@saboteur("CONN-CONNECT_ACCEPTED_SOCKET-10")
@saboteur("UNIX-CREATE_UNIX_CONNECTION-14")
class WaitsLongForHandshakes(asyncio.SelectorEventLoop):
    """Bounds handshakes by the default alone."""

    def _make_ssl_transport(self, *args: Any, **options: Any) -> Any:
        options.pop("ssl_handshake_timeout", None)
        return super()._make_ssl_transport(*args, **options)  # type: ignore[misc]


@saboteur("CONN-CREATE_CONNECTION-63")
@saboteur("SERV-CREATE_SERVER-46")
class WaitsLongForTheEnd(asyncio.SelectorEventLoop):
    """Bounds the end of connections by the default alone."""

    def _make_ssl_transport(self, *args: Any, **options: Any) -> Any:
        options.pop("ssl_shutdown_timeout", None)
        return super()._make_ssl_transport(*args, **options)  # type: ignore[misc]
