/* Addresses of the bench: the number of a TCP port on the loopback interface, or the path of a UNIX socket. */
#ifndef LOOPPROOF_BENCH_ADDRESS_H
#define LOOPPROOF_BENCH_ADDRESS_H

#include <sys/socket.h>

struct address {
  struct sockaddr_storage value;
  socklen_t size;
};

/* Parse a port or, if it contains a slash, a path. Ends the program with a message if it is neither. */
struct address address_parse(const char *text);

/* Let small TCP segments leave at once; nothing for other sockets. */
void send_at_once(int descriptor);

#endif
