/*
 * admit_load.c - admissions as fast as they go: so many threads, each with one in flight, through the daemon's own queue and connections.
 *
 *   admit_load --callers FILE [--connections N] [--batch N] [--threads N] [--seconds N]
 * FILE has a line for each caller: the SHA-256 of its key, its supplier's id, its key's id and the ledger's lock key, with spaces between them. As in the daemon, a call is asked
 * for as ready first, and decided where it is not. The database is the PG* environment's. One line of key=value on standard output.
 * Exit status 0 where every call was admitted, 1 where one was not, 2 for wrong usage.
 */
#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "port/token.h"
#include "request/ledger.h"
#include "request/ticket.h"

#define CALLERS_MAX 10000
#define THREADS_MAX 512
#define FEATURE "email_template"

static struct caller {
	char key_hash[65], supplier[37], key[37];
	int64_t lock_key;
} callers[CALLERS_MAX];
static int caller_count;

static struct db *db;
static int64_t until_us;
static atomic_long admitted, refused, failed, next_caller;

static bool read_caller(FILE *in, struct caller *caller)
{
	return fscanf(in, "%64s %36s %36s %" SCNd64, caller->key_hash, caller->supplier, caller->key, &caller->lock_key) == 4;
}

static void read_callers(const char *file)
{
	FILE *in = fopen(file, "r");

	if (in == NULL)
		err(2, "%s", file);
	while (caller_count < CALLERS_MAX && read_caller(in, &callers[caller_count]))
		caller_count++;
	fclose(in);
	if (caller_count == 0)
		errx(2, "%s: no callers", file);
}

/* The fields of fpm.admit_call: an e-mail, not to be cached. */
static void compose(struct buf *call, const struct caller *caller, long number)
{
	char id[32];

	snprintf(id, sizeof id, "req_%ld", number);
	db_item_begin(call);
	db_item_text(call, caller->key_hash);
	db_item_text(call, id);
	db_item_text(call, FEATURE);
	db_item_text(call, "generate-email-template");
	db_item_text(call, "openai");
	db_item_text(call, "gpt-4o-mini");
	for (int rate = 0; rate < 3; rate++)
		db_item_int4(call, 0);
	db_item_int8(call, 2000);
	db_item_int8(call, 400);
	db_item_int8(call, 1000);
	db_item_text(call, NULL);
	db_item_text(call, NULL);
	db_item_int4(call, 0);
	db_item_int8(call, 60000);
	db_item_int8(call, 10000);
	db_item_text(call, "bench");
	db_item_bool(call, false);
	db_item_uuid(call, NULL);
}

/* The fields of fpm.ready_call: the same. */
static void compose_ready(struct buf *call, const struct caller *caller, long number)
{
	char id[32], row[TOKEN_UUID_SIZE];

	snprintf(id, sizeof id, "req_%ld", number);
	if (token_uuid_rising(row) != RC_OK)
		errx(2, "no randomness");
	db_item_begin(call);
	db_item_uuid(call, row);
	db_item_int8(call, caller->lock_key);
	db_item_uuid(call, caller->key);
	db_item_text(call, id);
	db_item_text(call, FEATURE);
	db_item_text(call, "generate-email-template");
	db_item_text(call, "openai");
	db_item_text(call, "gpt-4o-mini");
	db_item_int8(call, 2000);
	db_item_int8(call, 400);
	db_item_int8(call, 1000);
	db_item_char(call, NULL);
	db_item_text(call, NULL);
	db_item_uuid(call, NULL);
	db_item_int4(call, 0);
	db_item_int8(call, 70000);
	db_item_text(call, "bench");
	db_item_bool(call, false);
}

static void admit_one(long number)
{
	const struct caller *caller = &callers[number % caller_count];
	struct arena *arena = arena_new(1u << 20);
	struct db_row row;
	struct buf call;
	bool ready;
	enum rc rc;

	if (arena == NULL)
		errx(2, "out of memory");
	buf_init(&call, arena, 1u << 16);
	compose_ready(&call, caller, number);
	rc = ledger_run(db, arena, LEDGER_READY, &call, caller->lock_key, &row);
	ready = rc == RC_OK;
	if (rc == RC_DONE) {
		buf_clear(&call);
		compose(&call, caller, number);
		rc = ledger_run(db, arena, LEDGER_ADMIT, &call, ticket_lock_key(caller->supplier, FEATURE), &row);
	}
	if (rc != RC_OK)
		atomic_fetch_add(&failed, 1);
	else
		atomic_fetch_add(ready || str_eq(row.values[LEDGER_VERDICT], "admitted") ? &admitted : &refused, 1);
	arena_free(arena);
}

static void *work(void *nothing)
{
	while (clock_us() < until_us)
		admit_one(atomic_fetch_add(&next_caller, 1));
	return nothing;
}

static int number(const char *text, int least, int most)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end != '\0' || n < least || n > most)
		errx(2, "%s: must be a number from %d to %d", text, least, most);
	return (int)n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"callers", required_argument, NULL, 'c'}, {"connections", required_argument, NULL, 'n'}, {"batch", required_argument, NULL, 'b'},
						{"threads", required_argument, NULL, 't'}, {"seconds", required_argument, NULL, 's'},     {NULL, 0, NULL, 0}};
	struct db_settings settings = {.conninfo = "", .connections = 4, .batch = 32, .connect_timeout_ms = 5000, .statement_timeout_ms = 20000, .retry_ms = 100};
	int threads = 64, seconds = 3, option;
	static pthread_t ids[THREADS_MAX];
	int64_t from_us;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c': read_callers(optarg); break;
		case 'n': settings.connections = (unsigned)number(optarg, 1, 32); break;
		case 'b': settings.batch = (unsigned)number(optarg, 1, 64); break;
		case 't': threads = number(optarg, 1, THREADS_MAX); break;
		case 's': seconds = number(optarg, 1, 60); break;
		default: return 2;
		}
	}
	if (caller_count == 0 || db_new(&settings, &db) != RC_OK)
		errx(2, "usage: admit_load --callers FILE [--connections N] [--batch N] [--threads N] [--seconds N]");
	from_us = clock_us();
	until_us = from_us + seconds * INT64_C(1000000);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, work, NULL) != 0)
			err(2, "pthread_create");
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("admitted=%ld refused=%ld failed=%ld rate=%.1f\n", admitted, refused, failed, (double)admitted * 1e6 / (double)(clock_us() - from_us));
	db_free(db);
	return refused + failed == 0 ? 0 : 1;
}
