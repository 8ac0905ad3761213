/*
 * service.c - building what a worker's requests share, and its housekeeping.
 */
#include "request/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "request/answers.h"
#include "request/caller.h"
#include "request/key_file.h"
#include "request/ready.h"
#include "request/refusal.h"
#include "request/settlement.h"

/* What may still be waited for when the deadline has passed: the batch before it, the end of a model that failed, the admission of its fallback, keeping the answer, the
 * settlement. */
#define DATABASE_CALLS_AFTER 5
#define NOBODY_MS 5000 /* a key that is made after somebody tried it is known no later than this */

static void report_endpoint(void *user, const char *file, const struct diagnostics *list)
{
	struct arena *arena;

	(void)user;
	if (list == NULL) {
		log_msg(LOG_INFO_, "endpoint", "%s loads again", file);
		return;
	}
	arena = arena_new(1u << 20);
	for (const struct diagnostic *d = list->first; d != NULL && arena != NULL; d = d->next)
		log_msg(d->warning ? LOG_WARN_ : LOG_ERROR_, "endpoint", "%s", diagnostic_text(arena, d));
	arena_free(arena);
}

static enum rc make_catalog(struct service *service, struct shelf *shelf)
{
	const struct settings *s = service->settings;
	const struct catalog_settings settings = {.directory = *s->endpoints ? s->endpoints : NULL,
						  .prefix = s->prefix,
						  .bounds = &service->bounds,
						  .shelf = shelf,
						  .report = report_endpoint,
						  .user = service};
	enum rc rc;

	service->bounds = endpoint_bounds_of(s);
	rc = catalog_new(&settings, &service->catalog);
	if (rc != RC_OK)
		log_msg(LOG_ERROR_, "endpoint", "cannot load the endpoints of %s: %s", s->endpoints, rc == RC_SYS ? strerror(errno) : rc_name(rc));
	return rc;
}

static enum rc make_database(struct service *service)
{
	const struct settings *s = service->settings;
	const struct db_settings settings = {
		.conninfo = s->database,
		.connections = (unsigned)s->database_connections,
		.batch = (unsigned)s->database_batch,
		.connect_timeout_ms = (int)s->database_connect_timeout,
		.statement_timeout_ms = (int)s->database_statement_timeout,
		.retry_ms = (int)s->database_retry,
	};

	return db_new(&settings, &service->db);
}

static enum rc make_http(struct service *service)
{
	const struct settings *s = service->settings;
	const struct http_settings settings = {
		.ca_file = *s->tls_ca_file ? s->tls_ca_file : NULL,
		.user_agent = "prompt-fpm",
		.keep = (unsigned)s->upstream_keep,
		.connect_timeout_ms = (int)s->upstream_connect_timeout,
	};

	return http_pool_new(&settings, &service->http);
}

static enum rc read_key_file(const char *file, char **key)
{
	char text[KEY_FILE_MAX];
	const char *why;
	enum rc rc = key_file_read(file, text, &why);

	if (rc != RC_OK) {
		log_msg(LOG_ERROR_, "provider", "cannot read the key file %s: %s", file, why);
		return rc;
	}
	*key = strdup(text);
	explicit_bzero(text, sizeof text);
	return *key == NULL ? RC_NOMEM : RC_OK;
}

/* A base URL without its last slash. */
static enum rc copy_base(const char *url, char **base)
{
	size_t n = strlen(url);

	while (n > 0 && url[n - 1] == '/')
		n--;
	*base = strndup(url, n);
	return *base == NULL ? RC_NOMEM : RC_OK;
}

static enum rc make_access(struct service *service, struct provider_access *access, const char *name, const char *base_url, const char *standard,
			   const char *key, const char *key_file)
{
	char *base = NULL, *copy = NULL;
	enum rc rc = RC_OK;

	if (*base_url == '\0' && *key == '\0' && *key_file == '\0')
		return RC_OK;
	rc = copy_base(*base_url ? base_url : standard, &base);
	if (rc == RC_OK && *key_file)
		rc = read_key_file(key_file, &copy);
	else if (rc == RC_OK && *key && (copy = strdup(key)) == NULL)
		rc = RC_NOMEM;
	access->base_url = base;
	access->api_key = copy;
	access->http = service->http;
	if (rc == RC_OK)
		access->provider = provider_find(name);
	return rc;
}

static enum rc make_providers(struct service *service)
{
	const struct settings *s = service->settings;
	enum rc rc = make_access(service, &service->openai, "openai", s->openai_base_url, "https://api.openai.com/v1", s->openai_api_key,
				 s->openai_api_key_file);

	if (rc == RC_OK)
		rc = make_access(service, &service->anthropic, "anthropic", s->anthropic_base_url, "https://api.anthropic.com", s->anthropic_api_key,
				 s->anthropic_api_key_file);
	if (rc == RC_OK)
		rc = make_access(service, &service->local, "local", s->local_base_url, "", "", "");
	if (rc == RC_OK && service->openai.provider == NULL && service->anthropic.provider == NULL && service->local.provider == NULL) {
		service->sample.provider = provider_find("sample");
		log_msg(LOG_WARN_, "provider", "no provider is configured: the sample provider answers");
	}
	return rc;
}

enum rc service_new(const struct settings *settings, const char *worker, struct shelf *shelf, struct service **out)
{
	struct service *service = calloc(1, sizeof *service);
	enum rc rc;

	if (service == NULL)
		return RC_NOMEM;
	service->settings = settings;
	snprintf(service->worker, sizeof service->worker, "%s", worker);
	rc = callers_new(settings->authenticate_cache, NOBODY_MS, &service->callers);
	if (rc == RC_OK)
		rc = settle_queue_new(&service->settles);
	if (rc == RC_OK)
		rc = refusals_new(&service->refusals);
	if (rc == RC_OK)
		rc = answers_new(&service->answers);
	if (rc == RC_OK)
		rc = ready_new(&service->ready);
	if (rc == RC_OK)
		rc = make_database(service);
	if (rc == RC_OK)
		rc = make_http(service);
	if (rc == RC_OK)
		rc = make_providers(service);
	if (rc == RC_OK)
		rc = make_catalog(service, shelf);
	if (rc != RC_OK) {
		service_free(service);
		return rc;
	}
	*out = service;
	return RC_OK;
}

static void free_access(struct provider_access *access)
{
	if (access->api_key != NULL)
		explicit_bzero((char *)access->api_key, strlen(access->api_key));
	free((char *)access->api_key);
	free((char *)access->base_url);
}

void service_free(struct service *service)
{
	if (service == NULL)
		return;
	catalog_free(service->catalog);
	free_access(&service->openai);
	free_access(&service->anthropic);
	free_access(&service->local);
	if (service->http != NULL)
		http_pool_free(service->http);
	db_free(service->db);
	ready_free(service->ready);
	answers_free(service->answers);
	refusals_free(service->refusals);
	settle_queue_free(service->settles);
	callers_free(service->callers);
	free(service);
}

void service_tick(struct service *service)
{
	enum rc rc = settle_queue_run(service->settles, service->db);

	if (rc == RC_OK || rc == RC_DENIED)
		(void)refusals_write(service->refusals, service->db);
}

enum rc service_drain(struct service *service, int ms)
{
	int64_t deadline_us = clock_us() + ms * (int64_t)1000;
	struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};

	while (settle_queue_run(service->settles, service->db) != RC_OK || refusals_write(service->refusals, service->db) != RC_OK) {
		if (clock_us() >= deadline_us)
			return RC_TIMEOUT;
		nanosleep(&pause, NULL); /* the database is away: nothing tells when it is back */
	}
	return RC_OK;
}

int64_t service_grace_ms(const struct service *service)
{
	const struct settings *s = service->settings;

	return s->janitor_grace + s->send_timeout + DATABASE_CALLS_AFTER * (s->database_connect_timeout + s->database_statement_timeout);
}

const struct provider_access *service_provider(const struct service *service, const char *name, const char **model)
{
	const struct provider_access *all[] = {&service->openai, &service->anthropic, &service->local};
	const char *slash = strchr(name, '/');

	if (service->sample.provider != NULL) {
		*model = "sample";
		return &service->sample;
	}
	if (slash == NULL)
		return NULL;
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		const struct provider *provider = all[i]->provider;

		if (provider != NULL && strlen(provider->name) == (size_t)(slash - name) && strncmp(provider->name, name, (size_t)(slash - name)) == 0) {
			*model = slash + 1;
			return all[i];
		}
	}
	return NULL;
}
