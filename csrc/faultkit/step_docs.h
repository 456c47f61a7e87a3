/* Docstrings of the functions that make steps; included once, by steps.c. */

PyDoc_STRVAR(accept_doc, "accept($module, /)\n--\n\n"
                         "Step: wait for a connection on the peer's listening socket; it becomes the connection.");
PyDoc_STRVAR(connect_doc, "connect($module, /, address)\n--\n\n"
                          "Step: connect to an address: (IP address, port, ...), or the path of a UNIX stream socket.");
PyDoc_STRVAR(buffers_doc,
             "buffers($module, /, *, receive=0, send=0)\n--\n\n"
             "Step: set SO_RCVBUF and SO_SNDBUF in bytes, 0 leaves it, of the connection or, before there is one, of\n"
             "the listening socket, which hands them on to the connections it accepts.");
PyDoc_STRVAR(send_doc, "send($module, /, data, *, chunks=(), pause=0.0)\n--\n\n"
                       "Step: send bytes, in pieces of the given sizes in turn, with a pause of that many seconds\n"
                       "between them. On a datagram socket each piece is one datagram; no data is an empty one.");
PyDoc_STRVAR(send_pattern_doc,
             "send_pattern($module, /, seed, size, *, offset=0, chunks=(), pause=0.0)\n--\n\n"
             "Step: send bytes offset to offset + size of the pattern of a seed, in pieces like send().");
PyDoc_STRVAR(receive_doc, "receive($module, /, size)\n--\n\n"
                          "Step: receive that many bytes, whatever they are.");
PyDoc_STRVAR(expect_doc, "expect($module, /, data)\n--\n\n"
                         "Step: receive exactly these bytes; fails at the first wrong one.");
PyDoc_STRVAR(expect_pattern_doc,
             "expect_pattern($module, /, seed, size, *, offset=0)\n--\n\n"
             "Step: receive bytes offset to offset + size of the pattern of a seed; fails at the first wrong one and\n"
             "tells where in the pattern it belongs.");
PyDoc_STRVAR(expect_eof_doc, "expect_eof($module, /)\n--\n\n"
                             "Step: wait for the end of the stream; fails if anything comes before it.");
PyDoc_STRVAR(expect_reset_doc,
             "expect_reset($module, /)\n--\n\n"
             "Step: wait for a reset of the connection, which is closed then; what comes before it is\n"
             "thrown away. Fails at the end of the stream.");
PyDoc_STRVAR(drain_doc, "drain($module, /)\n--\n\n"
                        "Step: receive until the end of the stream, whatever comes.");
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
