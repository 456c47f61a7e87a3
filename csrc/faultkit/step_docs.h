/* Docstrings of the functions that make steps; included once, by steps.c. */

PyDoc_STRVAR(accept_doc, "accept($module, /, count=1)\n--\n\n"
                         "Step: wait for so many connections on the peer's listening socket. They are selected: the\n"
                         "steps that follow act on each of them in turn.");
PyDoc_STRVAR(
    connect_doc,
    "connect($module, /, address=None, *, count=1, type='stream', local=None, receive_buffer=0, "
    "send_buffer=0)\n--\n\n"
    "Step: connect so many new sockets to an address, (IP address, port, ...) or the path of a UNIX socket, or\n"
    "to the peer's own listening socket (None). All are begun before the first is waited for; they are\n"
    "selected then, as those of accept() are.\n\n"
    "type: 'stream', 'datagram' or 'seqpacket'. local: an address to bind to before, '' for any abstract name.\n"
    "receive_buffer, send_buffer: SO_RCVBUF and SO_SNDBUF in bytes, set before, 0 leaves them.");
PyDoc_STRVAR(use_doc,
             "use($module, /, first, count=1)\n--\n\n"
             "Step: select `count` connections. They are numbered from 0 in the order in which they were made.");
PyDoc_STRVAR(unlisten_doc, "unlisten($module, /)\n--\n\n"
                           "Step: close the listening socket. Connections that were not accepted are reset.");
PyDoc_STRVAR(buffers_doc,
             "buffers($module, /, *, receive=0, send=0)\n--\n\n"
             "Step: set SO_RCVBUF and SO_SNDBUF in bytes, 0 leaves it. A window of TCP that is small from\n"
             "the first byte on needs receive_buffer of Peer() or connect().");
PyDoc_STRVAR(
    send_doc,
    "send($module, /, data, *, chunks=(), pause=0.0, to=None, more=False, urgent=False)\n--\n\n"
    "Step: send bytes, in pieces of the given sizes in turn, with a pause of that many seconds between them.\n"
    "On a datagram socket each piece is one datagram; no data is an empty one.\n\n"
    "to: where a datagram goes; if not given, to where the last one came from, or to what the socket is\n"
    "connected to. more: the kernel keeps what does not fill a segment until more is sent, so that the end of\n"
    "the stream comes in the same segment (MSG_MORE). urgent: the last byte is out-of-band data (MSG_OOB).");
PyDoc_STRVAR(send_pattern_doc,
             "send_pattern($module, /, seed, size, *, offset=0, chunks=(), pause=0.0, to=None)\n--\n\n"
             "Step: send bytes offset to offset + size of the pattern of a seed, in pieces like send(). A datagram of\n"
             "it has at most 262144 bytes.");
PyDoc_STRVAR(send_ancillary_doc,
             "send_ancillary($module, /, data, *, descriptors=0, credentials=False, to=None)\n--\n\n"
             "Step: send bytes on a UNIX socket with so many descriptors (0 to 253), all of the writing end of one\n"
             "pipe, or with the credentials of this process. expect_descriptors_closed() tells what became of them.");
PyDoc_STRVAR(receive_doc,
             "receive($module, /, size, *, chunks=(), pause=0.0, sender=None)\n--\n\n"
             "Step: receive that many bytes, whatever they are, in pieces of at most the given sizes in turn, with a\n"
             "pause of that many seconds after each but the last. On a datagram socket each piece is one datagram of\n"
             "exactly that size: without chunks there is one. sender: the address that each has to come from.");
PyDoc_STRVAR(expect_doc, "expect($module, /, data, *, chunks=(), pause=0.0, sender=None)\n--\n\n"
                         "Step: receive exactly these bytes, in pieces like receive(); fails at the first wrong one.");
PyDoc_STRVAR(
    expect_pattern_doc,
    "expect_pattern($module, /, seed, size, *, offset=0, chunks=(), pause=0.0, sender=None)\n--\n\n"
    "Step: receive bytes offset to offset + size of the pattern of a seed, in pieces like receive(); fails at\n"
    "the first wrong one and tells where in the pattern it belongs.");
PyDoc_STRVAR(expect_silence_doc,
             "expect_silence($module, /, seconds)\n--\n\n"
             "Step: wait for a time in which nothing comes; fails if bytes, the end or a reset do.");
PyDoc_STRVAR(expect_eof_doc, "expect_eof($module, /)\n--\n\n"
                             "Step: wait for the end of the stream; fails if anything comes before it.");
PyDoc_STRVAR(expect_reset_doc,
             "expect_reset($module, /)\n--\n\n"
             "Step: wait for a reset of the connection, which is closed then; what comes before it is\n"
             "thrown away. Fails at the end of the stream.");
PyDoc_STRVAR(expect_descriptors_closed_doc,
             "expect_descriptors_closed($module, /)\n--\n\n"
             "Step: wait until nobody has a descriptor any more that send_ancillary() has sent.");
PyDoc_STRVAR(drain_doc, "drain($module, /, *, chunks=(), pause=0.0)\n--\n\n"
                        "Step: receive until the end of the stream, whatever comes, in pieces like receive().");
PyDoc_STRVAR(echo_doc, "echo($module, /, size=0)\n--\n\n"
                       "Step: send back what is received: that many bytes, or, if 0, until the end of the stream.");
PyDoc_STRVAR(pause_doc, "pause($module, /, seconds)\n--\n\n"
                        "Step: do nothing for a time.");
PyDoc_STRVAR(hold_doc, "hold($module, /)\n--\n\n"
                       "Step: do nothing until Peer.release() is called. A release that comes earlier counts.");
PyDoc_STRVAR(shutdown_doc, "shutdown($module, /)\n--\n\n"
                           "Step: end the stream that the peer sends; it can still receive.");
PyDoc_STRVAR(close_doc, "close($module, /)\n--\n\n"
                        "Step: close the connection. TCP resets it if something was not received.");
PyDoc_STRVAR(reset_doc, "reset($module, /)\n--\n\n"
                        "Step: reset the TCP connection; other kinds are just closed.");
