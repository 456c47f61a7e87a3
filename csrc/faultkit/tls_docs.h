/* Docstrings of the functions that make steps of TLS; included once, by steps.c. */

PyDoc_STRVAR(tls_server_doc,
             "tls_server($module, /, certificate, key, *, authority=b'', server_name='', alpn=(), version='',\n"
             "           fragment=0, request_certificate=False, tickets=2)\n--\n\n"
             "Step: begin TLS on the connection, as its server. Nothing is sent before tls_handshake(); from then on\n"
             "send(), expect() and the others that move bytes work on what goes over TLS.\n\n"
             "certificate: in PEM, then those that signed it. key: its private key in PEM. server_name: a client that\n"
             "asks for another (SNI) is refused. alpn: names of protocols, the best first; a client that offers none\n"
             "of them is refused. version: '1.2' or '1.3', else the higher one that the client has. fragment: most\n"
             "bytes (1 to 16384) of a handshake in one record. request_certificate: refuse clients without a\n"
             "certificate that `authority`, certificates in PEM, signed. tickets: for sessions, sent in the handshake\n"
             "(TLS 1.2: at most one). Raises ValueError for what makes no sense.\n\n"
             "The cipher is AES-128-GCM; the peer can make records that OpenSSL would not (RFC 8446, RFC 5246).");
PyDoc_STRVAR(tls_client_doc,
             "tls_client($module, /, *, certificate=b'', key=b'', authority=b'', server_name='', alpn=(), version='',\n"
             "           fragment=0, resume=False)\n--\n\n"
             "Step: begin TLS on the connection, as its client; otherwise like tls_server().\n\n"
             "authority: certificates in PEM, of which one must have signed that of the server; without any the peer\n"
             "believes everybody. server_name: sent (SNI) and, if there are authorities, wanted in the certificate.\n"
             "resume: the last session that a connection of this peer has got a ticket for.");
PyDoc_STRVAR(tls_early_data_doc,
             "tls_early_data($module, /, data)\n--\n\n"
             "Step: send the first flight of a handshake with data in it (0-RTT), although the server may never have\n"
             "allowed that; only where a session of TLS 1.3 is resumed. tls_handshake() goes on.");
PyDoc_STRVAR(tls_handshake_doc,
             "tls_handshake($module, /, *, flights=0, limit=0)\n--\n\n"
             "Step: shake hands to the end, or until the peer has sent so many flights, or so many bytes of them. A\n"
             "flight is all that a side sends before it has to wait: a server has two (TLS 1.3: the second are the\n"
             "tickets), a client two. A second tls_handshake() goes on where the first stopped.");
PyDoc_STRVAR(tls_segments_doc,
             "tls_segments($module, /, sizes=(), *, pause=0.0)\n--\n\n"
             "Step: from now on cut what goes out, records or several together, into pieces of the given sizes in\n"
             "turn, each sent by itself, with a pause of that many seconds between them; no sizes: all at once.");
PyDoc_STRVAR(tls_cork_doc,
             "tls_cork($module, /)\n--\n\n"
             "Step: let the records of the steps that follow wait, up to 64 MiB, instead of sending them.");
PyDoc_STRVAR(tls_arrange_doc,
             "tls_arrange($module, /, order)\n--\n\n"
             "Step: make what is corked the records of these numbers, from 0, in this order: reorder, repeat, drop.");
PyDoc_STRVAR(tls_corrupt_doc,
             "tls_corrupt($module, /, record, offset, *, mask=255)\n--\n\n"
             "Step: turn the bits of the mask in one byte of a corked record. Byte 0 is its type, 1 and 2 are its\n"
             "version, 3 and 4 its length.");
PyDoc_STRVAR(tls_cut_doc, "tls_cut($module, /, record, size)\n--\n\n"
                          "Step: leave only the first bytes of a corked record.");
PyDoc_STRVAR(tls_uncork_doc, "tls_uncork($module, /)\n--\n\n"
                             "Step: send what is corked, together, and from now on everything at once.");
PyDoc_STRVAR(tls_raw_doc, "tls_raw($module, /, data)\n--\n\n"
                          "Step: send bytes as they are, in the middle of TLS; tls_cork() keeps them like a record.");
PyDoc_STRVAR(tls_record_doc,
             "tls_record($module, /, content_type, data)\n--\n\n"
             "Step: send a record of a type (20 change_cipher_spec, 21 alert, 22 handshake, 23 application_data, or\n"
             "any from 0 to 255), protected as it has to be at this point. It may be empty, or larger than the 16384\n"
             "bytes that are allowed: up to 65511.");
PyDoc_STRVAR(tls_alert_doc,
             "tls_alert($module, /, description, *, level=2)\n--\n\n"
             "Step: send an alert by its number, see ssl.AlertDescription; level 1 is a warning, 2 fatal.");
PyDoc_STRVAR(tls_close_notify_doc,
             "tls_close_notify($module, /)\n--\n\n"
             "Step: say that nothing follows. close() or shutdown() without it truncate the stream; whatever is sent\n"
             "after it is still well protected.");
PyDoc_STRVAR(tls_renegotiate_doc,
             "tls_renegotiate($module, /)\n--\n\n"
             "Step: ask for a new handshake (TLS 1.2; a server by HelloRequest). Steps that receive go on with it;\n"
             "tls_expect_alert(100) waits for a refusal, after which the peer can only send.");
PyDoc_STRVAR(tls_key_update_doc,
             "tls_key_update($module, /, *, request=False)\n--\n\n"
             "Step: use new keys from now on (TLS 1.3). request: ask the other side to do so, too, which OpenSSL does\n"
             "before it sends next; tls_expect_message(24) waits for that.");
PyDoc_STRVAR(tls_tickets_doc, "tls_tickets($module, /, count=1)\n--\n\n"
                              "Step: send session tickets (a server of TLS 1.3), 0 to 1000, each in a record.");
PyDoc_STRVAR(
    tls_expect_alert_doc,
    "tls_expect_alert($module, /, description)\n--\n\n"
    "Step: wait for an alert, of the number 0 to 255; fails if another comes or the stream ends. Other things\n"
    "that come before are thrown away. It also goes on with a handshake.");
PyDoc_STRVAR(tls_expect_message_doc,
             "tls_expect_message($module, /, message_type)\n--\n\n"
             "Step: wait for a handshake message that no such step has waited for so far: 1 client_hello,\n"
             "4 new_session_ticket, 11 certificate, 20 finished, 24 key_update. Otherwise like tls_expect_alert().");
PyDoc_STRVAR(tls_expect_close_notify_doc,
             "tls_expect_close_notify($module, /)\n--\n\n"
             "Step: wait for close_notify; what comes before it is thrown away. Fails if the stream ends without it.");
PyDoc_STRVAR(tls_expect_truncation_doc,
             "tls_expect_truncation($module, /)\n--\n\n"
             "Step: wait for the end of the stream without close_notify; what comes before it is thrown away.");
PyDoc_STRVAR(tls_forget_doc,
             "tls_forget($module, /)\n--\n\n"
             "Step: end TLS without a word; the steps that follow move bytes as they are, and TLS may begin again.");
