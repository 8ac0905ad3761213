/*
 * tls.c - certificates, read once.
 */
#include "port/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct tls_store {
	pthread_mutex_t mutex;
	X509_STORE *x509; /* NULL until it was read */
	char *ca_file;
};

struct tls_store *tls_store_new(const char *ca_file)
{
	struct tls_store *store = calloc(1, sizeof *store);

	if (store == NULL)
		return NULL;
	pthread_mutex_init(&store->mutex, NULL);
	if (ca_file != NULL)
		store->ca_file = strdup(ca_file);
	if (ca_file != NULL && store->ca_file == NULL) {
		tls_store_free(store);
		return NULL;
	}
	return store;
}

void tls_store_free(struct tls_store *store)
{
	if (store == NULL)
		return;
	X509_STORE_free(store->x509);
	pthread_mutex_destroy(&store->mutex);
	free(store->ca_file);
	free(store);
}

/* The flags are those that libcurl sets on each connection's store: set here, it changes nothing in the one that is shared. */
static X509_STORE *read_certificates(const char *ca_file)
{
	X509_STORE *x509 = X509_STORE_new();
	bool ok = x509 != NULL && X509_STORE_set_flags(x509, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN) == 1;

	if (ok)
		ok = ca_file == NULL ? X509_STORE_set_default_paths(x509) == 1 : X509_STORE_load_file(x509, ca_file) == 1;
	if (ok)
		return x509;
	X509_STORE_free(x509);
	ERR_clear_error();
	return NULL;
}

enum rc tls_store_read(struct tls_store *store)
{
	enum rc rc;

	pthread_mutex_lock(&store->mutex);
	if (store->x509 == NULL)
		store->x509 = read_certificates(store->ca_file);
	rc = store->x509 != NULL ? RC_OK : RC_UNAVAILABLE;
	pthread_mutex_unlock(&store->mutex);
	return rc;
}

void tls_store_use(struct tls_store *store, void *ssl_ctx)
{
	SSL_CTX_set1_cert_store(ssl_ctx, store->x509);
}
