/*
 * tls.h - the certificates that upstreams are verified with, through OpenSSL's libssl (the only file that includes it is tls.c).
 *
 * Reading the system's bundle costs forty milliseconds and a megabyte: it is done once per process, at the first need, and shared by all connections.
 */
#ifndef PORT_TLS_H
#define PORT_TLS_H

#include <stdbool.h>

#include "base/rc.h"

struct tls_store;

/* For a PEM bundle, or the system's certificates where ca_file is NULL. Reads nothing yet. NULL when out of memory. The caller owns it:
 * tls_store_free. */
struct tls_store *tls_store_new(const char *ca_file);
void tls_store_free(struct tls_store *store);

/* Reads the certificates unless they are read already. Any thread. RC_UNAVAILABLE when they cannot be read: the next call tries again. */
enum rc tls_store_read(struct tls_store *store) MUST_CHECK;

/* Makes an SSL_CTX verify with them. Only after tls_store_read was RC_OK. */
void tls_store_use(struct tls_store *store, void *ssl_ctx);

#endif
