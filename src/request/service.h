/*
 * service.h - what all requests of one worker process share: settings, database, endpoints, providers, and the work that outlives a request.
 */
#ifndef REQUEST_SERVICE_H
#define REQUEST_SERVICE_H

#include <stdatomic.h>

#include "base/settings.h"
#include "port/db.h"
#include "port/http.h"
#include "prompt/catalog.h"
#include "provider/provider.h"

#define SERVICE_WORKER_SIZE 96

struct settle_queue;
struct refusals;
struct callers;
struct answers;
struct ready;

struct service {
	const struct settings *settings;
	char worker[SERVICE_WORKER_SIZE]; /* "host:pid:start": names this process, and no other, in the ledger, so that its rows can be ended when it dies */
	struct db *db;
	struct endpoint_bounds bounds; /* of .prompt files in document roots */
	struct catalog *catalog;
	struct http_pool *http;
	struct provider_access openai, anthropic, local, sample; /* provider is NULL where it is not configured */
	struct callers *callers;      /* whose keys were seen of late */
	struct settle_queue *settles; /* settlements that the database could not take yet */
	struct refusals *refusals;    /* refusals counted, not yet written */
	struct answers *answers;      /* who waits for an answer that another request makes */
	struct ready *ready;          /* which calls have nothing in their way */

	/* For the status page. */
	atomic_long requests, streams, active, cache_hits, refused, failed, aborted, retries, fallbacks;
};

/* Once per worker, after fork and before its threads: reads keys, loads the endpoints, opens no connection yet. `settings` outlives the service, and so does
 * `shelf` (NULL where no other process shares one). The reason of a
 * failure is logged. The caller owns it: service_free when no request is in hand. */
enum rc service_new(const struct settings *settings, const char *worker, struct shelf *shelf, struct service **out) MUST_CHECK;
void service_free(struct service *service);

/* Housekeeping, called about once a second by one thread: settlements are tried again, refusals written. */
void service_tick(struct service *service);

/* Before the process ends and with no request in hand: writes what is left, for at most `ms`. RC_TIMEOUT when something could not be written
 * (its rows are then ended by sweep). */
enum rc service_drain(struct service *service, int ms);

/* How long past its deadline a request may still be in hand: while the web server takes no bytes, while the database books it; and janitor.grace on top. What it
 * holds in the database is nobody else's until then. */
int64_t service_grace_ms(const struct service *service);

/* The provider for "openai/gpt-4o-mini"; *model is set behind the slash. NULL where it is not configured. */
const struct provider_access *service_provider(const struct service *service, const char *name, const char **model);

#endif
