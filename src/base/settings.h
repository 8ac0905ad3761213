/*
 * settings.h - every setting in one table: name, kind, default, unit, description.
 *
 * The sample file and the manual page are checked against this table. Values are strings, numbers and durations in plain structs, const once
 * the daemon runs; a reload reads new ones for the new workers.
 */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/rate.h"

#define SETTINGS_MAX 80

/* Times are milliseconds, sizes bytes. Strings are never NULL; "" is unset. */
struct settings {
	/* [global] */
	const char *pid;
	const char *error_log;
	const char *log_level;
	bool daemonize;
	int64_t process_control_timeout;
	/* [pool] */
	const char *pool; /* the section's name */
	bool pool_is_blank; /* nothing was set in it yet */
	const char *user, *group;
	const char *listen;
	int64_t listen_backlog;
	const char *listen_owner, *listen_group;
	int64_t listen_mode;
	const char *listen_allowed_clients;
	int64_t pm_max_children, pm_threads;
	const char *pm_status_path, *ping_path, *ping_response;
	int64_t request_terminate_timeout, request_body_max;
	const char *slowlog;
	int64_t request_slowlog_timeout;
	int64_t heartbeat, send_timeout;
	const char *endpoints, *prefix, *default_model;
	int64_t max_output_tokens, input_max_string, input_max_items;
	const char *drop_in_models;
	int64_t drop_in_max_output_tokens;
	struct rate drop_in_rate;
	const char *database;
	int64_t database_connections, database_batch, database_connect_timeout, database_statement_timeout, database_retry;
	int64_t authenticate_cache;
	int64_t idempotency_keep, cache_max;
	const char *openai_base_url, *openai_api_key, *openai_api_key_file;
	const char *anthropic_base_url, *anthropic_api_key, *anthropic_api_key_file;
	const char *local_base_url;
	const char *tls_ca_file;
	int64_t upstream_connect_timeout, upstream_idle_timeout, upstream_retries, upstream_keep;
	int64_t janitor_interval, janitor_grace;

	unsigned lines[SETTINGS_MAX]; /* where each was set: settings_line */
};

/* Fills in the defaults. Strings set later are copied and kept until settings_free. */
void settings_init(struct settings *settings);
void settings_free(struct settings *settings);

/* Sets one by its name within its section ("global", or a pool's name); `line` is where, 0 for nowhere in a file. A name of NULL begins the section. Returns NULL, or what is wrong (static, or valid until the next call). */
const char *settings_set(struct settings *settings, const char *section, const char *name, const char *value, unsigned line);

/* The line that a setting of that name was set on last; 0 where it has its default. */
unsigned settings_line(const struct settings *settings, const char *name);

/* What still is wrong when all are set (no listen address, both a key and a key file…); NULL when nothing is. */
const char *settings_check(const struct settings *settings);

/* Prints the table: as a sample file with every setting commented out at its default, or as the manual page's list. */
void settings_print_sample(FILE *out);
void settings_print_manual(FILE *out);

#endif
