"""Saboteurs of queues of datagrams: what goes wrong behind the back of sendto()."""

from saboteurs import saboteur
from saboteurs.datagram_loop import Datagrams, DatagramTransport


@saboteur("DGRAM-SENDTO-14")
class ForgetsWhatCannotBeSentLater(Datagrams):
    """Drops a datagram with a wrong address without a word, if it was queued."""

    class transport(DatagramTransport):
        def _sendto_ready(self) -> None:
            kept = [(data, address) for data, address in self._buffer if isinstance(address, str)]
            self._buffer.clear()
            self._buffer.extend(kept)
            super()._sendto_ready()
