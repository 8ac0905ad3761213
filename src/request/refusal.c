/*
 * refusal.c - the counts, by supplier, feature and reason.
 */
#include "request/refusal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define ROWS 1024u

struct row {
	char supplier[40];
	char feature[65]; /* a name is of 64 characters at most */
	char reason[32];
	long count; /* 0: free */
};

struct refusals {
	pthread_mutex_t lock;
	struct row rows[ROWS];
};

enum rc refusals_new(struct refusals **out)
{
	struct refusals *refusals = calloc(1, sizeof *refusals);

	if (refusals == NULL)
		return RC_NOMEM;
	pthread_mutex_init(&refusals->lock, NULL);
	*out = refusals;
	return RC_OK;
}

void refusals_free(struct refusals *refusals)
{
	if (refusals == NULL)
		return;
	pthread_mutex_destroy(&refusals->lock);
	free(refusals);
}

static unsigned start_at(const char *supplier, const char *feature, const char *reason)
{
	unsigned hash = 2166136261u;

	for (unsigned part = 0; part < 3; part++)
		for (const char *s = part == 0 ? supplier : part == 1 ? feature : reason; *s != '\0'; s++)
			hash = (hash ^ (unsigned char)*s) * 16777619u;
	return hash % ROWS;
}

static struct row *row_of(struct refusals *refusals, const char *supplier, const char *feature, const char *reason)
{
	unsigned start = start_at(supplier, feature, reason);

	for (unsigned i = 0; i < ROWS; i++) {
		struct row *row = &refusals->rows[(start + i) % ROWS];

		if (row->count == 0) {
			snprintf(row->supplier, sizeof row->supplier, "%s", supplier);
			snprintf(row->feature, sizeof row->feature, "%s", feature);
			snprintf(row->reason, sizeof row->reason, "%s", reason);
			return row;
		}
		if (strcmp(row->supplier, supplier) == 0 && strcmp(row->feature, feature) == 0 && strcmp(row->reason, reason) == 0)
			return row;
	}
	return NULL;
}

void refusals_count(struct refusals *refusals, const char *supplier, const char *feature, const char *reason)
{
	struct row *row;

	pthread_mutex_lock(&refusals->lock);
	row = row_of(refusals, supplier == NULL ? "" : supplier, feature, reason);
	if (row == NULL)
		row = &refusals->rows[start_at(supplier == NULL ? "" : supplier, feature, reason)];
	row->count++;
	pthread_mutex_unlock(&refusals->lock);
}

static void add_row(struct buf *json, const struct row *row)
{
	buf_puts(json, json->len == 0 ? "[{\"supplier\":" : ",{\"supplier\":");
	if (row->supplier[0] == '\0')
		buf_puts(json, "null");
	else
		buf_json_string(json, row->supplier, strlen(row->supplier));
	buf_puts(json, ",\"feature\":");
	buf_json_string(json, row->feature, strlen(row->feature));
	buf_puts(json, ",\"reason\":");
	buf_json_string(json, row->reason, strlen(row->reason));
	buf_printf(json, ",\"count\":%ld}", row->count);
}

/* Moves the counts out, so that counting goes on while they are written. */
static struct row *take(struct refusals *refusals, struct arena *arena, size_t *count)
{
	struct row *taken = arena_array(arena, ROWS, sizeof *taken);

	*count = 0;
	if (taken == NULL)
		return NULL;
	pthread_mutex_lock(&refusals->lock);
	for (unsigned i = 0; i < ROWS; i++)
		if (refusals->rows[i].count > 0)
			taken[(*count)++] = refusals->rows[i];
	memset(refusals->rows, 0, sizeof refusals->rows);
	pthread_mutex_unlock(&refusals->lock);
	return taken;
}

static void put_back(struct refusals *refusals, const struct row *rows, size_t count)
{
	pthread_mutex_lock(&refusals->lock);
	for (size_t i = 0; i < count; i++) {
		struct row *row = row_of(refusals, rows[i].supplier, rows[i].feature, rows[i].reason);

		if (row != NULL)
			row->count += rows[i].count;
	}
	pthread_mutex_unlock(&refusals->lock);
}

static bool anything(struct refusals *refusals)
{
	bool any = false;

	pthread_mutex_lock(&refusals->lock);
	for (unsigned i = 0; i < ROWS && !any; i++)
		any = refusals->rows[i].count > 0;
	pthread_mutex_unlock(&refusals->lock);
	return any;
}

static enum rc write_rows(struct arena *arena, struct db *db, const struct row *rows, size_t count)
{
	struct buf json;
	const char *params[1];
	const struct db_call call = {.sql = "select fpm.count_refusals($1)", .params = params, .param_count = 1, .commits = true};
	struct db_row row;

	buf_init(&json, arena, 1u << 20);
	for (size_t i = 0; i < count; i++)
		add_row(&json, &rows[i]);
	buf_putc(&json, ']');
	params[0] = buf_text(&json);
	return json.rc != RC_OK ? json.rc : db_call(db, arena, &call, &row);
}

enum rc refusals_write(struct refusals *refusals, struct db *db)
{
	struct arena *arena;
	struct row *rows;
	size_t count;
	enum rc rc;

	if (!anything(refusals))
		return RC_OK;
	arena = arena_new(4u << 20);
	rows = arena == NULL ? NULL : take(refusals, arena, &count);
	if (rows == NULL) {
		arena_free(arena);
		return RC_NOMEM;
	}
	rc = write_rows(arena, db, rows, count);
	if (rc != RC_OK)
		put_back(refusals, rows, count);
	arena_free(arena);
	return rc;
}
