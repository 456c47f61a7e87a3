/* Addresses of the bench. */
#include "address.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static struct address parse_path(const char *path) {
  struct address address = {.size = sizeof(struct sockaddr_un)};
  struct sockaddr_un *name = (struct sockaddr_un *)&address.value;
  if (strlen(path) >= sizeof name->sun_path) {
    fprintf(stderr, "the path is too long for a UNIX socket: %s\n", path);
    exit(2);
  }
  name->sun_family = AF_UNIX;
  memcpy(name->sun_path, path, strlen(path) + 1);
  return address;
}

struct address address_parse(const char *text) {
  if (strchr(text, '/') != NULL) {
    return parse_path(text);
  }
  char *end;
  long port = strtol(text, &end, 10);
  if (*end != '\0' || port < 0 || port > 65535) {
    fprintf(stderr, "neither a port nor a path with a slash: %s\n", text);
    exit(2);
  }
  struct address address = {.size = sizeof(struct sockaddr_in)};
  struct sockaddr_in *name = (struct sockaddr_in *)&address.value;
  name->sin_family = AF_INET;
  name->sin_port = htons((uint16_t)port);
  name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void send_at_once(int descriptor) {
  int on = 1;
  (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
