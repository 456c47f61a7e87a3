/* TLS sessions without Python and without sockets: two of them against each other through memory. */

#include "cases.h"
#include "tls.h"
#include "tls_identity.h"

#define SIZE 100000u

enum version { ONE_TWO, ONE_THREE };

struct pair {
  struct fk_tls_context *contexts[2];
  struct fk_tls *server;
  struct fk_tls *client;
};

static struct pair begin_pair(enum version version, size_t fragment) {
  struct identity identity = make_identity();
  struct fk_tls_settings server = {
      .server = true,
      .certificate = identity.certificate,
      .key = identity.key,
      .protocols = text("\x02h2\x08http/1.1"),
      .version = text(version == ONE_TWO ? "1.2" : "1.3"),
      .tickets = 2,
  };
  struct fk_tls_settings client = {
      .authority = identity.certificate,
      .server_name = text("localhost"),
      .protocols = text("\x08http/1.1"),
  };
  struct pair pair = {.contexts = {make_context(&server), make_context(&client)}};

  pair.server = fk_tls_begin(pair.contexts[0], fragment);
  pair.client = fk_tls_begin(pair.contexts[1], fragment);
  CHECK(pair.server != NULL && pair.client != NULL);
  free_identity(&identity);
  return pair;
}

static void end_pair(struct pair *pair) {
  fk_tls_end(pair->server);
  fk_tls_end(pair->client);
  fk_tls_context_free(pair->contexts[0]);
  fk_tls_context_free(pair->contexts[1]);
}

/* Hands over what waits; returns how many bytes that were. */
static size_t carry(struct fk_tls *from, struct fk_tls *to) {
  struct fk_bytes all;
  CHECK(fk_tls_records_take(&from->waiting, &all));
  CHECK(fk_tls_feed(to, all.data, all.size));
  free(all.data);
  return all.size;
}

static void shake_hands(struct pair *pair) {
  enum fk_tls_outcome client;
  enum fk_tls_outcome server;

  do {
    client = fk_tls_handshake(pair->client);
    carry(pair->client, pair->server);
    server = fk_tls_handshake(pair->server);
    carry(pair->server, pair->client);
    CHECK(client != FK_TLS_FAILED && server != FK_TLS_FAILED);
  } while (client != FK_TLS_DONE || server != FK_TLS_DONE);
}

static struct pair begin_connected(enum version version, size_t fragment) {
  struct pair pair = begin_pair(version, fragment);
  shake_hands(&pair);
  return pair;
}

static void send_text(struct fk_tls *from, struct fk_tls *to, const char *sent) {
  CHECK(fk_tls_emit(from, FK_TLS_APPLICATION_DATA, (const uint8_t *)sent, strlen(sent)));
  carry(from, to);
}

/* The next bytes that come are this text. */
static void expect_text(struct fk_tls *tls, const char *expected) {
  uint8_t seen[64];
  size_t got;

  CHECK(fk_tls_read(tls, seen, sizeof seen, &got) == FK_TLS_DONE);
  CHECK(got == strlen(expected) && memcmp(seen, expected, got) == 0);
}

static void expect_words(const char *seen, const char *expected) {
  if (strstr(seen, expected) == NULL) {
    fprintf(stderr, "expected '%s', seen '%s'\n", expected, seen);
    exit(1);
  }
}

static void expect_outcome(struct fk_tls *tls, enum fk_tls_outcome outcome, const char *reason) {
  uint8_t seen[64];
  size_t got;

  CHECK(fk_tls_read(tls, seen, sizeof seen, &got) == outcome);
  expect_words(tls->reason, reason);
}

static void test_data_goes_both_ways(void) {
  for (enum version version = ONE_TWO; version <= ONE_THREE; version++) {
    struct pair pair = begin_connected(version, 0);
    send_text(pair.client, pair.server, "from the client");
    expect_text(pair.server, "from the client");
    send_text(pair.server, pair.client, "from the server");
    expect_text(pair.client, "from the server");
    expect_outcome(pair.client, FK_TLS_HUNGRY, "");
    CHECK(SSL_version(pair.client->ssl) == (version == ONE_TWO ? TLS1_2_VERSION : TLS1_3_VERSION));
    end_pair(&pair);
  }
}

static void test_handshakes_are_cut_into_records_of_any_size(void) {
  static const size_t sizes[] = {1, 7, 100};
  for (enum version version = ONE_TWO; version <= ONE_THREE; version++) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      struct pair pair = begin_pair(version, sizes[i]);
      CHECK(fk_tls_handshake(pair.client) == FK_TLS_HUNGRY);
      CHECK(pair.client->waiting.count > 1);
      CHECK(pair.client->waiting.items[0].size == FK_TLS_HEADER + sizes[i]);
      shake_hands(&pair);
      send_text(pair.server, pair.client, "whole");
      expect_text(pair.client, "whole");
      end_pair(&pair);
    }
  }
}

static void test_records_of_the_script_leave_openssl_in_step(void) {
  for (enum version version = ONE_TWO; version <= ONE_THREE; version++) {
    struct pair pair = begin_connected(version, 0);
    for (int i = 0; i < 3; i++) {
      send_text(pair.client, pair.server, "ahead");
      expect_text(pair.server, "ahead");
    }
    if (version == ONE_TWO) {
      CHECK(fk_tls_renegotiate(pair.server)); /* HelloRequest is OpenSSL's */
      send_text(pair.server, pair.client, "behind");
      expect_text(pair.client, "behind");
      expect_outcome(pair.client, FK_TLS_HUNGRY, "");
      carry(pair.client, pair.server);
      expect_outcome(pair.server, FK_TLS_FAILED, "no renegotiation"); /* refused, by an alert of OpenSSL's */
      CHECK(pair.server->alerted && pair.server->alert == 100);
    } else {
      CHECK(fk_tls_give_tickets(pair.server, 2));
      send_text(pair.server, pair.client, "behind");
      expect_text(pair.client, "behind");
      CHECK(pair.client->messages[4] == 4);
    }
    end_pair(&pair);
  }
}

static void test_a_new_handshake_brings_new_keys(void) {
  struct pair pair = begin_connected(ONE_TWO, 0);
  uint8_t seen[1];
  size_t got;

  SSL_clear_options(pair.client->ssl, SSL_OP_NO_RENEGOTIATION);
  send_text(pair.server, pair.client, "before");
  CHECK(fk_tls_renegotiate(pair.server));
  carry(pair.server, pair.client);
  expect_text(pair.client, "before");
  for (int turn = 0; turn < 3; turn++) {
    CHECK(fk_tls_read(pair.client, seen, 1, &got) == FK_TLS_HUNGRY);
    carry(pair.client, pair.server);
    CHECK(fk_tls_read(pair.server, seen, 1, &got) == FK_TLS_HUNGRY);
    carry(pair.server, pair.client);
  }
  CHECK(pair.server->messages[1] == 2 && pair.server->messages[20] == 2);
  send_text(pair.server, pair.client, "after");
  expect_text(pair.client, "after");
  send_text(pair.client, pair.server, "after, too");
  expect_text(pair.server, "after, too");
  end_pair(&pair);
}

static void test_keys_are_updated(void) {
  struct pair pair = begin_connected(ONE_THREE, 0);
  for (int i = 0; i < 3; i++) {
    CHECK(fk_tls_key_update(pair.server, i == 1));
    send_text(pair.server, pair.client, "with new keys");
    expect_text(pair.client, "with new keys");
    CHECK(pair.client->messages[24] == (uint32_t)i + 1);
    send_text(pair.client, pair.server, "back");
    expect_text(pair.server, "back");
  }
  CHECK(pair.server->messages[24] == 1);
  end_pair(&pair);

  pair = begin_connected(ONE_TWO, 0);
  CHECK(!fk_tls_key_update(pair.server, false));
  CHECK(strstr(pair.server->reason, "TLS 1.3") != NULL);
  end_pair(&pair);
}

static void test_data_may_follow_close_notify(void) {
  static const uint8_t close_notify[] = {1, 0};
  for (enum version version = ONE_TWO; version <= ONE_THREE; version++) {
    struct pair pair = begin_connected(version, 0);
    CHECK(fk_tls_emit(pair.server, FK_TLS_ALERT, close_notify, 2));
    CHECK(fk_tls_emit(pair.server, FK_TLS_APPLICATION_DATA, (const uint8_t *)"late", 4));
    CHECK(pair.server->waiting.count == 2);
    carry(pair.server, pair.client);
    expect_outcome(pair.client, FK_TLS_CLOSED, "");
    end_pair(&pair);
  }
}

static void test_alerts_are_noted(void) {
  static const uint8_t fatal[] = {2, 40};
  for (enum version version = ONE_TWO; version <= ONE_THREE; version++) {
    struct pair pair = begin_connected(version, 0);
    CHECK(!pair.client->alerted);
    CHECK(fk_tls_emit(pair.server, FK_TLS_ALERT, fatal, 2));
    carry(pair.server, pair.client);
    expect_outcome(pair.client, FK_TLS_FAILED, "alert handshake failure");
    CHECK(pair.client->alerted && pair.client->alert_level == 2 && pair.client->alert == 40);
    end_pair(&pair);
  }
}

static void test_what_is_wrong_with_a_record_is_found(void) {
  static uint8_t zeros[FK_TLS_MOST];
  for (enum version version = ONE_TWO; version <= ONE_THREE; version++) {
    struct pair pair = begin_connected(version, 0);
    CHECK(fk_tls_emit(pair.server, FK_TLS_APPLICATION_DATA, zeros, FK_TLS_PLAINTEXT + 1));
    carry(pair.server, pair.client);
    expect_outcome(pair.client, FK_TLS_FAILED, "too long");
    CHECK(!fk_tls_emit(pair.server, FK_TLS_APPLICATION_DATA, zeros, FK_TLS_MOST));
    carry(pair.client, pair.server); /* the alert about it is OpenSSL's */
    expect_outcome(pair.server, FK_TLS_FAILED, "alert record overflow");
    end_pair(&pair);

    pair = begin_connected(version, 0);
    CHECK(fk_tls_emit(pair.server, FK_TLS_APPLICATION_DATA, zeros, 10));
    pair.server->waiting.items[0].data[20] ^= 1;
    carry(pair.server, pair.client);
    expect_outcome(pair.client, FK_TLS_FAILED, "bad record mac");
    end_pair(&pair);

    pair = begin_connected(version, 0);
    CHECK(fk_tls_emit(pair.server, 99, zeros, 10));
    carry(pair.server, pair.client);
    expect_outcome(pair.client, FK_TLS_FAILED, version == ONE_TWO ? "unexpected record" : "bad record type");
    end_pair(&pair);
  }
}

static void test_waiting_records_are_arranged(void) {
  struct fk_tls_records records = {0};
  struct fk_bytes joined;
  const size_t order[] = {2, 0, 0};
  const size_t wrong[] = {0, 3};

  CHECK(fk_tls_records_add(&records, (const uint8_t *)"one", 3));
  CHECK(fk_tls_records_add(&records, (const uint8_t *)"two", 3));
  CHECK(fk_tls_records_add(&records, (const uint8_t *)"three", 5));
  CHECK(!fk_tls_records_arrange(&records, wrong, 2) && records.count == 3 && records.size == 11);
  CHECK(fk_tls_records_arrange(&records, order, 3) && records.count == 3 && records.size == 11);
  CHECK(fk_tls_records_take(&records, &joined));
  CHECK(joined.size == 11 && memcmp(joined.data, "threeoneone", 11) == 0);
  CHECK(records.count == 0 && records.size == 0);
  CHECK(!fk_tls_records_add(&records, joined.data, FK_TLS_MOST_WAITING + 1));
  free(joined.data);
  fk_tls_records_clear(&records);
}

static void expect_refusal(const struct fk_tls_settings *settings, const char *expected) {
  char reason[FK_TLS_REASON] = "";
  CHECK(fk_tls_context_new(settings, reason) == NULL);
  expect_words(reason, expected);
}

static void test_settings_that_make_no_sense_are_refused(void) {
  struct identity one = make_identity();
  struct identity other = make_identity();
  struct fk_tls_settings good = {.server = true, .certificate = one.certificate, .key = one.key};
  struct fk_tls_settings bad = good;

  bad.certificate = text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  expect_refusal(&bad, "certificate: ");
  bad.certificate = text("nonsense");
  expect_refusal(&bad, "certificate: ");
  bad.certificate = (struct fk_bytes){NULL, 0};
  expect_refusal(&bad, "certificate: a server needs one");
  bad = good;
  bad.key = other.key;
  expect_refusal(&bad, "key: not the certificate's private key in PEM: key values mismatch");
  bad.key = (struct fk_bytes){NULL, 0};
  expect_refusal(&bad, "key: ");
  bad = good;
  bad.authority = text("nonsense");
  expect_refusal(&bad, "authority: ");
  bad = good;
  bad.request_certificate = true;
  expect_refusal(&bad, "request_certificate: ");
  bad = good;
  bad.version = text("1.1");
  expect_refusal(&bad, "version: ");
  bad = good;
  bad.protocols = text("\x05h2");
  expect_refusal(&bad, "alpn: ");
  bad = good;
  bad.tickets = 1001;
  expect_refusal(&bad, "tickets: ");
  bad = good;
  bad.server_name = (struct fk_bytes){(uint8_t[]){'a', 0}, 2};
  expect_refusal(&bad, "server_name: ");
  free_identity(&one);
  free_identity(&other);
}

static void test_sessions_are_resumed(void) {
  for (enum version version = ONE_TWO; version <= ONE_THREE; version++) {
    struct pair pair = begin_pair(version, 0);
    SSL_SESSION *kept = NULL;
    pair.client->kept = &kept;
    shake_hands(&pair);
    send_text(pair.server, pair.client, "with tickets");
    expect_text(pair.client, "with tickets");
    CHECK(kept != NULL);
    CHECK(!fk_tls_early_data(pair.client, (const uint8_t *)"too late", 8));
    fk_tls_end(pair.server);
    fk_tls_end(pair.client);

    pair.server = fk_tls_begin(pair.contexts[0], 0);
    pair.client = fk_tls_begin(pair.contexts[1], 0);
    CHECK(pair.server != NULL && pair.client != NULL && fk_tls_resume(pair.client, kept));
    if (version == ONE_THREE) { /* refused, as the server never allowed it, and passed over */
      CHECK(fk_tls_early_data(pair.client, (const uint8_t *)"early", 5));
      CHECK(pair.client->waiting.count == 3);
    }
    shake_hands(&pair);
    CHECK(SSL_session_reused(pair.server->ssl) && SSL_session_reused(pair.client->ssl));
    send_text(pair.client, pair.server, "in time");
    expect_text(pair.server, "in time");
    SSL_SESSION_free(kept);
    end_pair(&pair);
  }
}

/* Whatever comes, a session says that it failed or wants more, and frees what it has. */
static void test_any_bytes_may_come(void) {
  uint32_t random = 7;
  for (int round = 0; round < 100; round++) {
    struct pair pair = begin_connected(round % 2 == 0 ? ONE_TWO : ONE_THREE, 0);
    uint8_t seen[64];
    size_t got;
    for (int i = 0; i < 4; i++) {
      send_text(pair.client, pair.server, "sent as it should be");
      CHECK(fk_tls_emit(pair.client, (uint8_t)next_random(&random), (const uint8_t *)"\x01\x02\x03\x04", random % 5));
      struct fk_bytes *last = &pair.client->waiting.items[0];
      if (next_random(&random) % 4 == 0)
        last->data[random % last->size] ^= (uint8_t)next_random(&random);
      carry(pair.client, pair.server);
    }
    while (fk_tls_read(pair.server, seen, sizeof seen, &got) == FK_TLS_DONE)
      CHECK(got > 0);
    end_pair(&pair);
  }
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
      {"data", test_data_goes_both_ways},
      {"fragments", test_handshakes_are_cut_into_records_of_any_size},
      {"in_step", test_records_of_the_script_leave_openssl_in_step},
      {"renegotiation", test_a_new_handshake_brings_new_keys},
      {"key_update", test_keys_are_updated},
      {"close_notify", test_data_may_follow_close_notify},
      {"alerts", test_alerts_are_noted},
      {"wrong_records", test_what_is_wrong_with_a_record_is_found},
      {"arranged", test_waiting_records_are_arranged},
      {"settings", test_settings_that_make_no_sense_are_refused},
      {"resumption", test_sessions_are_resumed},
      {"any_bytes", test_any_bytes_may_come},
  };

  return run_named_case(cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
