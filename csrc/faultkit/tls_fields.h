/* Fields of the verbs of TLS; included once, by steps.c. */

#define IDENTITY(need, giving)                                                                                         \
  FIELD("certificate", BYTES, tls.certificate, need, giving), FIELD("key", BYTES, tls.key, need, giving)
#define NEGOTIATION                                                                                                    \
  FIELD("authority", BYTES, tls.authority, OPTIONAL, BY_NAME),                                                         \
      FIELD("server_name", TEXT, tls.server_name, OPTIONAL, BY_NAME),                                                  \
      FIELD("alpn", PROTOCOLS, tls.protocols, OPTIONAL, BY_NAME),                                                      \
      FIELD("version", TEXT, tls.version, OPTIONAL, BY_NAME), FIELD("fragment", FRAGMENT, fragment, OPTIONAL, BY_NAME)

static const struct field tls_server_fields[] = {
    IDENTITY(REQUIRED, BY_PLACE),
    NEGOTIATION,
    FIELD("request_certificate", FLAG, tls.request_certificate, OPTIONAL, BY_NAME),
    FIELD("tickets", TICKETS, tls.tickets, OPTIONAL, BY_NAME),
    END_OF_FIELDS,
};
static const struct field tls_client_fields[] = {
    IDENTITY(OPTIONAL, BY_NAME),
    NEGOTIATION,
    FIELD("resume", FLAG, resume, OPTIONAL, BY_NAME),
    END_OF_FIELDS,
};
static const struct field tls_early_data_fields[] = {FIELD("data", BYTES, data, REQUIRED, BY_PLACE), END_OF_FIELDS};
static const struct field tls_handshake_fields[] = {
    FIELD("flights", SIZE, flights, OPTIONAL, BY_NAME),
    FIELD("limit", SIZE, size, OPTIONAL, BY_NAME),
    END_OF_FIELDS,
};
static const struct field tls_segments_fields[] = {
    FIELD("sizes", SIZES, chunks, OPTIONAL, BY_PLACE),
    PAUSE,
    END_OF_FIELDS,
};
static const struct field tls_arrange_fields[] = {
    FIELD("order", NUMBERS, chunks, REQUIRED, BY_PLACE),
    END_OF_FIELDS,
};
static const struct field tls_corrupt_fields[] = {
    FIELD("record", SIZE, record, REQUIRED, BY_PLACE),
    FIELD("offset", SIZE, offset, REQUIRED, BY_PLACE),
    FIELD("mask", BYTE, mask, OPTIONAL, BY_NAME),
    END_OF_FIELDS,
};
static const struct field tls_cut_fields[] = {
    FIELD("record", SIZE, record, REQUIRED, BY_PLACE),
    FIELD("size", SIZE, size, REQUIRED, BY_PLACE),
    END_OF_FIELDS,
};
static const struct field tls_raw_fields[] = {FIELD("data", BYTES, data, REQUIRED, BY_PLACE), END_OF_FIELDS};
static const struct field tls_record_fields[] = {
    FIELD("content_type", BYTE, code, REQUIRED, BY_PLACE),
    FIELD("data", BYTES, data, REQUIRED, BY_PLACE),
    END_OF_FIELDS,
};
static const struct field tls_alert_fields[] = {
    FIELD("description", BYTE, code, REQUIRED, BY_PLACE),
    FIELD("level", BYTE, level, OPTIONAL, BY_NAME),
    END_OF_FIELDS,
};
static const struct field tls_key_update_fields[] = {
    FIELD("request", FLAG, request, OPTIONAL, BY_NAME),
    END_OF_FIELDS,
};
static const struct field tls_tickets_fields[] = {FIELD("count", TICKETS, count, OPTIONAL, BY_PLACE), END_OF_FIELDS};
static const struct field tls_expect_alert_fields[] = {
    FIELD("description", BYTE, code, REQUIRED, BY_PLACE),
    END_OF_FIELDS,
};
static const struct field tls_expect_message_fields[] = {
    FIELD("message_type", BYTE, code, REQUIRED, BY_PLACE),
    END_OF_FIELDS,
};

#define tls_cork_fields no_fields
#define tls_uncork_fields no_fields
#define tls_close_notify_fields no_fields
#define tls_renegotiate_fields no_fields
#define tls_expect_close_notify_fields no_fields
#define tls_expect_truncation_fields no_fields
#define tls_forget_fields no_fields
