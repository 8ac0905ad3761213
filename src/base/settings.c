/*
 * settings.c - the table of settings, and how a value of each kind is read.
 */
#include "base/settings.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/log.h"
#include "base/str.h"

enum kind { TEXT, SECRET, LEVEL, ADDRESS, ADDRESSES, PATH, PREFIX, MODEL, MODELS, NUMBER, OCTAL, BOOLEAN, TIME, SIZE, RATE };

struct setting {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *standard; /* the default, as it would be written */
	int64_t min, max;
	const char *about;
};

#define AT(member) offsetof(struct settings, member)
#define MINUTE (60 * 1000)
#define HOUR (60 * MINUTE)

static const struct setting global_table[] = {
	{"pid", TEXT, AT(pid), "", 0, 0, "File that holds the master's process id while it runs."},
	{"error_log", TEXT, AT(error_log), "", 0, 0, "File for log lines; unset: standard error. Reopened on SIGUSR1."},
	{"log_level", LEVEL, AT(log_level), "info", 0, 0, "Least level to log: debug, info, warning, error."},
	{"daemonize", BOOLEAN, AT(daemonize), "no", 0, 0, "Whether to go to the background once listening."},
	{"process_control_timeout", TIME, AT(process_control_timeout), "30s", 0, HOUR,
	 "How long streams in flight may take to finish after SIGTERM or SIGHUP."},
};

static const struct setting pool_table[] = {
	{"user", TEXT, AT(user), "", 0, 0, "Account the workers run as; only where the master is root."},
	{"group", TEXT, AT(group), "", 0, 0, "Group the workers run as; unset: the user's own."},
	{"listen", ADDRESS, AT(listen), "", 0, 0,
	 "Where to listen for FastCGI: /path/to/socket, host:port or :port (loopback); 0.0.0.0:port or [::]:port on every address of the machine. Unset: on the socket on descriptor 0 (spawn-fcgi, bin-path)."},
	{"listen.backlog", NUMBER, AT(listen_backlog), "4096", 1, 65535, "Connections that may wait to be accepted."},
	{"listen.owner", TEXT, AT(listen_owner), "", 0, 0, "Owner of the socket file."},
	{"listen.group", TEXT, AT(listen_group), "", 0, 0, "Group of the socket file: the web server's."},
	{"listen.mode", OCTAL, AT(listen_mode), "0660", 0, 0777, "Mode of the socket file, octal."},
	{"listen.allowed_clients", ADDRESSES, AT(listen_allowed_clients), "", 0, 0,
	 "Addresses of web servers that may connect over TCP, separated by commas; unset: this machine alone."},
	{"pm.max_children", NUMBER, AT(pm_max_children), "2", 1, 64, "Worker processes."},
	{"pm.threads", NUMBER, AT(pm_threads), "256", 1, 8192, "Requests that one worker has in hand at once."},
	{"pm.status_path", PATH, AT(pm_status_path), "", 0, 0, "Path that answers with the pool's state; unset: none."},
	{"ping.path", PATH, AT(ping_path), "", 0, 0, "Path that answers as long as workers do; unset: none."},
	{"ping.response", TEXT, AT(ping_response), "pong", 0, 0, "What it answers."},
	{"request_terminate_timeout", TIME, AT(request_terminate_timeout), "120s", 100, 24 * (int64_t)HOUR,
	 "A request's deadline, from its first byte to its last."},
	{"slowlog", TEXT, AT(slowlog), "", 0, 0, "File for entries of slow requests, which tell where their time went; unset: none. Reopened on SIGUSR1."},
	{"request_slowlog_timeout", TIME, AT(request_slowlog_timeout), "0", 0, 24 * (int64_t)HOUR,
	 "A request that keeps its caller waiting for longer than this is slow: for the whole of an answer in one piece, or for the next text of a stream. 0: none is."},
	{"request_body_max", SIZE, AT(request_body_max), "256k", 1, 64 << 20, "Largest request body taken."},
	{"heartbeat", TIME, AT(heartbeat), "5s", 50, HOUR, "A caller who left a stream of server-sent events is noticed within this time behind any web server: comments are sent in shorter silences."},
	{"send_timeout", TIME, AT(send_timeout), "30s", 100, HOUR, "How long the web server may refuse to take bytes before it counts as gone."},
	{"endpoints", TEXT, AT(endpoints), "", 0, 0, "Directory of the pool's own .prompt files."},
	{"prefix", PREFIX, AT(prefix), "/api/ai", 0, 0, "Path that they stand under."},
	{"default_model", MODEL, AT(default_model), "openai/gpt-4o-mini", 0, 0, "Model of endpoints that name none, as provider/model."},
	{"max_output_tokens", NUMBER, AT(max_output_tokens), "4096", 1, 1000000, "Ceiling on an endpoint's maxOutputTokens."},
	{"input_max_string", NUMBER, AT(input_max_string), "8000", 1, 1000000, "Characters of a string in the input whose schema states no maximum."},
	{"input_max_items", NUMBER, AT(input_max_items), "200", 1, 1000000, "Items of an array in the input whose schema states no maximum."},
	{"drop_in.models", MODELS, AT(drop_in_models), "", 0, 0,
	 "Models that .prompt files of document roots may name, separated by commas; a * at an end stands for any. Unset: any. The default_model is always allowed."},
	{"drop_in.max_output_tokens", NUMBER, AT(drop_in_max_output_tokens), "0", 0, 1000000,
	 "Ceiling on the maxOutputTokens of .prompt files of document roots; 0: max_output_tokens alone."},
	{"drop_in.rate", RATE, AT(drop_in_rate), "", 0, 0,
	 "Rate that every .prompt file of document roots is held to, such as 60/hour or 10/second burst 20; one of its own counts where it is tighter. Unset: none."},
	{"database", TEXT, AT(database), "", 0, 0, "PostgreSQL connection string; unset: the PG* environment. Keep the password in a password file."},
	{"database.connections", NUMBER, AT(database_connections), "3", 1, 32, "Connections of each worker."},
	{"database.batch", NUMBER, AT(database_batch), "32", 1, 64, "Admissions and settlements that may share one transaction."},
	{"database.connect_timeout", TIME, AT(database_connect_timeout), "800ms", 100, MINUTE, "How long connecting may take; where several servers are named, each has its share of it."},
	{"database.statement_timeout", TIME, AT(database_statement_timeout), "5s", 100, MINUTE, "How long one call may take."},
	{"database.retry", TIME, AT(database_retry), "250ms", 10, MINUTE, "Longest pause after a failed connection; one that was refused at once is tried again at once."},
	{"authenticate_cache", TIME, AT(authenticate_cache), "60s", 0, HOUR,
	 "How long a worker may remember whose key it saw. Admission asks the database again all the same: a revoked key is refused at once."},
	{"idempotency_keep", TIME, AT(idempotency_keep), "24h", 100, 30 * 24 * (int64_t)HOUR, "How long the answer to a request with an Idempotency-Key is kept."},
	{"cache_max", SIZE, AT(cache_max), "1G", 1, (int64_t)1 << 50,
	 "Most bytes of answers that the cache keeps; what expires soonest goes first. Pools that share a database share the cache: the smallest holds."},
	{"openai.base_url", TEXT, AT(openai_base_url), "", 0, 0,
	 "Where OpenAI's protocol is spoken; unset: https://api.openai.com/v1. With neither this nor a key, the sample provider answers."},
	{"openai.api_key", SECRET, AT(openai_api_key), "", 0, 0, "Key for it; better from the environment, \"${OPENAI_API_KEY}\", or a file."},
	{"openai.api_key_file", TEXT, AT(openai_api_key_file), "", 0, 0, "File whose first line is the key."},
	{"anthropic.base_url", TEXT, AT(anthropic_base_url), "", 0, 0, "Where Anthropic's protocol is spoken; unset: https://api.anthropic.com."},
	{"anthropic.api_key", SECRET, AT(anthropic_api_key), "", 0, 0, "Key for it."},
	{"anthropic.api_key_file", TEXT, AT(anthropic_api_key_file), "", 0, 0, "File whose first line is the key."},
	{"local.base_url", TEXT, AT(local_base_url), "", 0, 0, "Where a local server speaks OpenAI's protocol."},
	{"tls_ca_file", TEXT, AT(tls_ca_file), "", 0, 0, "Certificates to verify upstreams with, PEM; unset: the system's."},
	{"upstream.connect_timeout", TIME, AT(upstream_connect_timeout), "5s", 50, MINUTE, "How long connecting to a provider may take."},
	{"upstream.idle_timeout", TIME, AT(upstream_idle_timeout), "60s", 50, HOUR, "Longest silence of a provider."},
	{"upstream.retries", NUMBER, AT(upstream_retries), "2", 0, 10,
	 "How often a call is made again that a provider refused for now (429, 5xx) or could not be reached for, before the endpoint's fallback is asked. Each waits longer; nothing is charged for what is refused."},
	{"upstream.keep", NUMBER, AT(upstream_keep), "64", 0, 8192, "Idle connections to providers that a worker keeps."},
	{"janitor.interval", TIME, AT(janitor_interval), "10s", 50, HOUR, "Pause between two sweeps of what was left open."},
	{"janitor.grace", TIME, AT(janitor_grace), "60s", 0, HOUR, "How long a reservation is left alone beyond the time that its request can be in hand (deadline, send_timeout, database timeouts)."},
};

_Static_assert(COUNT_OF(global_table) + COUNT_OF(pool_table) <= SETTINGS_MAX, "each setting has a line");

static void *member(const struct settings *settings, const struct setting *row)
{
	return (char *)settings + row->offset;
}

static bool is_text(const struct setting *row)
{
	return row->kind < NUMBER;
}

static bool is_model(const char *name)
{
	const char *slash = strchr(name, '/');

	return slash != NULL && slash > name && slash[1] != '\0';
}

/* A name without its provider would match nothing, and refuse every file. */
static bool lists_models(const char *list)
{
	static const char between[] = ", \t";

	for (list += strspn(list, between); *list != '\0'; list += strspn(list, between)) {
		size_t n = strcspn(list, between);

		if (memchr(list, '/', n) == NULL && (n != 1 || *list != '*'))
			return false;
		list += n;
	}
	return true;
}

/* What is wrong with a text by its form, or NULL. */
static const char *text_fault(const struct setting *row, const char *value)
{
	enum log_level level;

	switch (row->kind) {
	case LEVEL:
		return log_level_parse(value, &level) == RC_OK ? NULL : "must be debug, info, warning or error";
	case ADDRESS:
		return *value == '\0' ? NULL : address_fault(value);
	case ADDRESSES:
		return address_list_fault(value);
	case PATH:
		return *value == '\0' || *value == '/' ? NULL : "must begin with a slash";
	case PREFIX:
		return *value == '/' && value[strlen(value) - 1] != '/' ? NULL : "must begin with a slash and not end with one";
	case MODEL:
		return is_model(value) ? NULL : "must be written as provider/model";
	case MODELS:
		return lists_models(value) ? NULL : "must list models as provider/model";
	default:
		return NULL;
	}
}

static const char *read_boolean(const char *value, bool *out)
{
	static const char *const yes[] = {"yes", "on", "true", "1"}, *const no[] = {"no", "off", "false", "0"};

	for (size_t i = 0; i < COUNT_OF(yes); i++) {
		if (str_eq(value, yes[i]) || str_eq(value, no[i])) {
			*out = str_eq(value, yes[i]);
			return NULL;
		}
	}
	return "must be yes or no";
}

static const char *read_octal(const struct setting *row, const char *value, int64_t *out)
{
	char *end;
	long n = strtol(value, &end, 8);

	if (*value == '\0' || *end != '\0' || n < row->min || n > row->max)
		return "must be an octal mode such as 0660";
	*out = n;
	return NULL;
}

static const char *read_rate(const char *value, struct rate *out)
{
	if (*value == '\0') {
		*out = (struct rate){0};
		return NULL;
	}
	return rate_parse(value, out) == RC_OK ? NULL : "must be a rate such as 60/hour or 10/second burst 20";
}

static const char *read_amount(const struct setting *row, const char *value, int64_t *out)
{
	static _Thread_local char reason[128];
	int64_t n;
	enum rc rc;

	switch (row->kind) {
	case TIME:
		rc = str_duration_ms(value, &n);
		break;
	case SIZE:
		rc = str_size(value, &n);
		break;
	default:
		rc = str_int(value, INT64_MIN, INT64_MAX, &n);
		break;
	}
	if (rc == RC_OK && n >= row->min && n <= row->max) {
		*out = n;
		return NULL;
	}
	snprintf(reason, sizeof reason, "must be %s from %lld to %lld%s",
	         row->kind == TIME ? "a time such as 500ms, 30s or 2m," : row->kind == SIZE ? "a size such as 64k or 1M," : "a whole number",
	         (long long)row->min, (long long)row->max, row->kind == TIME ? " ms" : row->kind == SIZE ? " bytes" : "");
	return reason;
}

static const char *assign_text(const char **place, const char *value)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return "out of memory";
	free((char *)*place);
	*place = copy;
	return NULL;
}

static const char *assign(struct settings *settings, const struct setting *row, const char *value)
{
	const char *wrong = text_fault(row, value);

	if (wrong != NULL)
		return wrong;
	if (is_text(row))
		return assign_text(member(settings, row), value);
	if (row->kind == BOOLEAN)
		return read_boolean(value, member(settings, row));
	if (row->kind == RATE)
		return read_rate(value, member(settings, row));
	if (row->kind == OCTAL)
		return read_octal(row, value, member(settings, row));
	return read_amount(row, value, member(settings, row));
}

static void each(void (*visit)(struct settings *, const struct setting *), struct settings *settings)
{
	for (size_t i = 0; i < COUNT_OF(global_table); i++)
		visit(settings, &global_table[i]);
	for (size_t i = 0; i < COUNT_OF(pool_table); i++)
		visit(settings, &pool_table[i]);
}

static void set_standard(struct settings *settings, const struct setting *row)
{
	if (assign(settings, row, row->standard) != NULL)
		abort(); /* a default that its own row refuses, or no memory for a few words at start */
}

static void drop(struct settings *settings, const struct setting *row)
{
	if (is_text(row))
		free(*(char **)member(settings, row));
}

void settings_init(struct settings *settings)
{
	memset(settings, 0, sizeof *settings);
	each(set_standard, settings);
}

void settings_free(struct settings *settings)
{
	each(drop, settings);
	free((char *)settings->pool);
	memset(settings, 0, sizeof *settings);
}

/* A section with nothing in it makes way for another. */
static const char *enter_pool(struct settings *settings, const char *section, bool begins)
{
	bool same = str_eq(settings->pool, section), free_to_take = settings->pool == NULL || settings->pool_is_blank;

	if (!same && !free_to_take)
		return begins ? NULL : "there is one pool to a daemon: start another daemon for another pool";
	settings->pool_is_blank = begins && free_to_take;
	return same ? NULL : assign_text(&settings->pool, section);
}

/* Its row, counted through both tables: no name is in both. */
static size_t row_number(const struct setting *row)
{
	return row >= global_table && row < global_table + COUNT_OF(global_table) ? (size_t)(row - global_table) : COUNT_OF(global_table) + (size_t)(row - pool_table);
}

static const struct setting *find(const struct setting *table, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(table[i].name, name))
			return &table[i];
	return NULL;
}

unsigned settings_line(const struct settings *settings, const char *name)
{
	const struct setting *row = find(global_table, COUNT_OF(global_table), name);

	if (row == NULL)
		row = find(pool_table, COUNT_OF(pool_table), name);
	return row == NULL ? 0 : settings->lines[row_number(row)];
}

const char *settings_set(struct settings *settings, const char *section, const char *name, const char *value, unsigned line)
{
	bool global = str_eq(section, "global");
	const char *wrong = global ? NULL : enter_pool(settings, section, name == NULL);
	const struct setting *row;

	if (wrong != NULL || name == NULL)
		return wrong;
	row = global ? find(global_table, COUNT_OF(global_table), name) : find(pool_table, COUNT_OF(pool_table), name);
	if (row == NULL)
		return global ? "no such setting in [global]" : "no such setting in a pool";
	settings->lines[row_number(row)] = line;
	return assign(settings, row, value);
}

const char *settings_check(const struct settings *settings)
{
	if (settings->pool == NULL)
		return "there is no pool: a section such as [www] must follow [global]";
	if (*settings->openai_api_key && *settings->openai_api_key_file)
		return "openai.api_key and openai.api_key_file cannot both be set";
	if (*settings->anthropic_api_key && *settings->anthropic_api_key_file)
		return "anthropic.api_key and anthropic.api_key_file cannot both be set";
	if (settings->request_slowlog_timeout > 0 && *settings->slowlog == '\0')
		return "request_slowlog_timeout needs a slowlog to write to";
	if (settings->request_slowlog_timeout > settings->request_terminate_timeout)
		return "request_slowlog_timeout cannot be longer than request_terminate_timeout";
	return NULL;
}

static void print_rows(FILE *out, const struct setting *table, size_t count, const char *format)
{
	for (size_t i = 0; i < count; i++)
		fprintf(out, format, table[i].about, table[i].name, table[i].standard);
}

void settings_print_sample(FILE *out)
{
	fputs("; Every setting of prompt-fpm at its default. Take away the semicolon to change one.\n\n[global]\n", out);
	print_rows(out, global_table, COUNT_OF(global_table), "; %s\n;%s = %s\n");
	fputs("\n[www]\n", out);
	print_rows(out, pool_table, COUNT_OF(pool_table), "; %s\n;%s = %s\n");
}

static void print_manual_rows(FILE *out, const struct setting *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fprintf(out, ".TP\n.B %s\n%s\nDefault: %s.\n", table[i].name, table[i].about, *table[i].standard ? table[i].standard : "unset");
}

void settings_print_manual(FILE *out)
{
	fputs(".SS In [global]\n", out);
	print_manual_rows(out, global_table, COUNT_OF(global_table));
	fputs(".SS In the pool's section\n", out);
	print_manual_rows(out, pool_table, COUNT_OF(pool_table));
}
