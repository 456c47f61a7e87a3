/* An echo server on libuv alone: what a loop on libuv's own streams could reach. Prints its port or path once it
 * listens; runs until killed.
 *
 * usage: echo_uv ADDRESS    (a port, 0: any free one; or a path with a slash) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BUFFER ((size_t)256 * 1024)

union stream {
  uv_handle_t handle;
  uv_stream_t stream;
  uv_tcp_t tcp;
  uv_pipe_t pipe;
};

struct answer {
  uv_write_t request;
  char data[];
};

static void check(int code, const char *what) {
  if (code < 0) {
    fprintf(stderr, "%s: %s\n", what, uv_strerror(code));
    exit(1);
  }
}

static void on_closed(uv_handle_t *handle) { free(handle); }

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *given) {
  (void)suggested;
  *given = uv_buf_init(uv_loop_get_data(handle->loop), BUFFER); /* a read is answered, or copied, before the next */
}

static void on_written(uv_write_t *request, int status) {
  (void)status;
  free(request);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *given) {
  if (size < 0) {
    uv_close((uv_handle_t *)stream, on_closed);
    return;
  }
  uv_buf_t data = uv_buf_init(given->base, (unsigned)size);
  int sent = uv_try_write(stream, &data, 1);
  sent = sent < 0 ? 0 : sent;
  size_t left = (size_t)size - (size_t)sent;
  if (left == 0) {
    return;
  }
  struct answer *answer = malloc(sizeof *answer + left);
  if (answer == NULL) {
    check(UV_ENOMEM, "memory");
    return;
  }
  memcpy(answer->data, given->base + sent, left);
  data = uv_buf_init(answer->data, (unsigned)left);
  check(uv_write(&answer->request, stream, &data, 1, on_written), "write");
}

static union stream *new_stream(uv_loop_t *loop, int tcp) {
  union stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL) {
    check(UV_ENOMEM, "memory");
    exit(1);
  }
  check(tcp ? uv_tcp_init(loop, &stream->tcp) : uv_pipe_init(loop, &stream->pipe, 0), "a stream");
  return stream;
}

static void on_connection(uv_stream_t *server, int status) {
  int tcp = server->type == UV_TCP;
  check(status, "a connection");
  union stream *stream = new_stream(server->loop, tcp);
  check(uv_accept(server, &stream->stream), "accept");
  if (tcp) {
    check(uv_tcp_nodelay(&stream->tcp, 1), "no delay");
  }
  check(uv_read_start(&stream->stream, give_buffer, on_read), "read");
}

static void listen_on_port(union stream *server, const char *text) {
  struct sockaddr_in address;
  int size = sizeof address;
  check(uv_ip4_addr("127.0.0.1", atoi(text), &address), "address");
  check(uv_tcp_bind(&server->tcp, (struct sockaddr *)&address, 0), "bind");
  check(uv_listen(&server->stream, 128, on_connection), "listen");
  check(uv_tcp_getsockname(&server->tcp, (struct sockaddr *)&address, &size), "address");
  printf("%d\n", (int)ntohs(address.sin_port));
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: echo_uv ADDRESS\n");
    return 2;
  }
  uv_loop_t *loop = uv_default_loop();
  void *buffer = malloc(BUFFER);
  check(buffer == NULL ? UV_ENOMEM : 0, "memory");
  uv_loop_set_data(loop, buffer);
  int tcp = strchr(argv[1], '/') == NULL;
  union stream *server = new_stream(loop, tcp);
  if (tcp) {
    listen_on_port(server, argv[1]);
  } else {
    check(uv_pipe_bind(&server->pipe, argv[1]), "bind");
    check(uv_listen(&server->stream, 128, on_connection), "listen");
    printf("%s\n", argv[1]);
  }
  (void)fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
