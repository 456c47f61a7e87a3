/* Peers without Python: scripts on socket pairs, their records, their ends. */

#include <errno.h>
#include <unistd.h>

#include "cases.h"
#include "pattern.h"
#include "peer.h"

#define SIZE 300000u

struct scene {
  struct fk_peer *peer;
  int ours;
};

/* A peer with a script of `count` steps on one end of a socket pair; the steps are copied. */
static struct scene begin(const struct fk_step *steps, size_t count, int64_t patience) {
  struct fk_script script = {malloc(count * sizeof *steps), count};
  struct fk_endpoint connection;
  struct scene scene;
  int ends[2];

  CHECK(script.steps != NULL);
  memcpy(script.steps, steps, count * sizeof *steps);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  CHECK(fk_endpoint_adopt(&connection, ends[1]) == 0);
  close(ends[1]);
  scene.ours = ends[0];
  scene.peer =
      fk_peer_start(&script, (struct fk_endpoint){.descriptor = -1}, connection, fk_now() + patience * FK_SECOND);
  CHECK(scene.peer != NULL);
  return scene;
}

static void end(struct scene *scene) {
  fk_peer_destroy(scene->peer);
  close(scene->ours);
}

static void write_all(int descriptor, const uint8_t *data, size_t size) {
  while (size > 0) {
    ssize_t written = write(descriptor, data, size);
    CHECK(written > 0);
    data += written;
    size -= (size_t)written;
  }
}

static void test_a_pattern_is_sent_whole(void) {
  static uint8_t received[SIZE];
  struct fk_step steps[] = {{.verb = FK_VERB_send_pattern, .seed = 5, .size = SIZE, .offset = 3},
                            {.verb = FK_VERB_close}};
  struct scene scene = begin(steps, 2, 60);
  size_t size = 0;
  ssize_t got;

  while ((got = read(scene.ours, received + size, SIZE - size)) > 0)
    size += (size_t)got;
  CHECK(size == SIZE);
  CHECK(fk_pattern_mismatch(received, SIZE, 5, 3) == SIZE);
  fk_peer_join(scene.peer);
  CHECK(fk_peer_record(scene.peer, 0).state == FK_DONE);
  CHECK(fk_peer_record(scene.peer, 0).bytes == SIZE);
  CHECK(fk_peer_completed(scene.peer) == 2);
  end(&scene);
}

static void test_a_wrong_byte_fails_the_step_that_expects(void) {
  static uint8_t sent[SIZE];
  struct fk_step steps[] = {{.verb = FK_VERB_expect_pattern, .seed = 5, .size = SIZE}};
  struct scene scene = begin(steps, 1, 60);
  struct fk_record record;

  fk_pattern_fill(sent, SIZE, 5, 0);
  sent[SIZE / 2] ^= 1;
  write_all(scene.ours, sent, SIZE / 2 + 1);
  fk_peer_join(scene.peer);
  record = fk_peer_record(scene.peer, 0);
  CHECK(record.state == FK_FAILED);
  CHECK(record.bytes == SIZE / 2);
  CHECK(record.detail[0] != '\0');
  end(&scene);
}

static void test_a_hold_waits_for_its_release(void) {
  struct fk_step steps[] = {{.verb = FK_VERB_hold}, {.verb = FK_VERB_hold}};
  struct scene scene = begin(steps, 2, 60);

  fk_peer_release(scene.peer, 1);
  CHECK(fk_peer_wait(scene.peer, 1, fk_now() + 60 * FK_SECOND));
  CHECK(!fk_peer_wait(scene.peer, 2, fk_now() + FK_SECOND / 100));
  fk_peer_release(scene.peer, 1);
  fk_peer_join(scene.peer);
  CHECK(fk_peer_completed(scene.peer) == 2);
  end(&scene);
}

static void test_a_stop_ends_a_peer_that_waits(void) {
  struct fk_step steps[] = {{.verb = FK_VERB_receive, .size = 1}};
  struct scene scene = begin(steps, 1, 60);

  fk_peer_stop(scene.peer);
  fk_peer_join(scene.peer);
  CHECK(fk_peer_record(scene.peer, 0).state == FK_STOPPED);
  end(&scene);
}

static void test_the_deadline_ends_a_peer_that_waits(void) {
  struct fk_step steps[] = {{.verb = FK_VERB_expect_eof}};
  struct scene scene = begin(steps, 1, 0);

  fk_peer_join(scene.peer);
  CHECK(fk_peer_record(scene.peer, 0).state == FK_LATE);
  end(&scene);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"send", test_a_pattern_is_sent_whole},
      {"expect", test_a_wrong_byte_fails_the_step_that_expects},
      {"hold", test_a_hold_waits_for_its_release},
      {"stop", test_a_stop_ends_a_peer_that_waits},
      {"deadline", test_the_deadline_ends_a_peer_that_waits},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
