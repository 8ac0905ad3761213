/*
 * status.c - ping and the pool's state.
 */
#include "daemon/status.h"

#include <string.h>
#include <time.h>

#include "base/str.h"

#define PAGE_MAX (256u * 1024u)

/* A page in one of its forms. */
struct form {
	const char *query;
	const char *type;
	void (*write)(const struct status *status, struct buf *out);
};

static void write_totals(const struct status *status, struct buf *out)
{
	const struct scoreboard *board = status->board;
	char started[64];
	time_t start = (time_t)board->started;
	struct tm utc;

	gmtime_r(&start, &utc);
	strftime(started, sizeof started, "%d/%b/%Y:%H:%M:%S +0000", &utc);
	buf_printf(out, "pool:                 %s\n", status->settings->pool);
	buf_printf(out, "process manager:      static\n");
	buf_printf(out, "master:               %ld\n", (long)board->master);
	buf_printf(out, "start time:           %s\n", started);
	buf_printf(out, "start since:          %lld\n", (long long)(time(NULL) - start));
	buf_printf(out, "reloads:              %ld\n", atomic_load(&board->reloads));
	buf_printf(out, "workers died:         %ld\n", atomic_load(&board->deaths));
	buf_printf(out, "active:               %ld\n", scoreboard_active(board));
	for (int c = 0; c < COUNTER_COUNT_; c++) {
		const char *name = scoreboard_counter_name(c);

		buf_printf(out, "%s:%*s%ld\n", name, (int)(21 - strlen(name)), "", scoreboard_sum(board, c));
	}
}

/* Of the files as they are now. Files of document roots count as endpoints once they were asked for. */
static const struct shelf_complaint *look_at_files(const struct status *status, struct arena *arena, unsigned *serving, unsigned *broken)
{
	unsigned count; /* of this worker's files alone */

	catalog_count(status->catalog, serving, &count);
	return catalog_complaints(status->catalog, arena, broken);
}

/* A file's line as a compiler would say it, and what that means for its callers. */
static void write_files(const struct status *status, struct buf *out)
{
	unsigned serving, broken;
	const struct shelf_complaint *complaints = look_at_files(status, out->arena, &serving, &broken);

	buf_printf(out, "endpoints:            %u\nbroken files:         %u\n", serving, broken);
	for (unsigned i = 0; i < broken; i++) {
		const struct shelf_complaint *c = &complaints[i];

		buf_printf(out, "  %s", c->at);
		if (c->line > 0)
			buf_printf(out, ":%u:%u", c->line, c->column);
		buf_printf(out, ": %s; since %lld s; ", c->message, (long long)(time(NULL) - c->since));
		if (!str_eq(c->at, c->file))
			buf_printf(out, "used by %s; ", c->file);
		buf_puts(out, c->serving ? "its last good version is served\n" : "nothing is served\n");
	}
}

static bool in_use(const struct slot *slot)
{
	return atomic_load(&slot->state) != SLOT_FREE;
}

static void write_text(const struct status *status, struct buf *out)
{
	write_totals(status, out);
	write_files(status, out);
	buf_puts(out, "\npid      state     since    threads  active   accepted requests\n");
	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct slot *slot = &status->board->slots[i];

		if (in_use(slot))
			buf_printf(out, "%-8ld %-9s %-8lld %-8ld %-8ld %-8ld %ld\n", (long)slot->pid, scoreboard_state_name(atomic_load(&slot->state)),
			           (long long)(time(NULL) - slot->started), atomic_load(&slot->threads), atomic_load(&slot->active),
			           atomic_load(&slot->counters[COUNTER_ACCEPTED]), atomic_load(&slot->counters[COUNTER_REQUESTS]));
	}
}

static void write_json_worker(const struct slot *slot, struct buf *out)
{
	buf_printf(out, "{\"pid\": %ld, \"state\": \"%s\", \"name\": ", (long)slot->pid, scoreboard_state_name(atomic_load(&slot->state)));
	buf_json_string(out, slot->name, strlen(slot->name));
	buf_printf(out, ", \"start since\": %lld, \"threads\": %ld, \"active\": %ld", (long long)(time(NULL) - slot->started), atomic_load(&slot->threads),
	           atomic_load(&slot->active));
	for (int c = 0; c < COUNTER_COUNT_; c++)
		buf_printf(out, ", \"%s\": %ld", scoreboard_counter_name(c), atomic_load(&slot->counters[c]));
	buf_puts(out, "}");
}

static void write_json_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\": ", name);
	buf_json_string(out, text, strlen(text));
}

static void write_json_files(const struct status *status, struct buf *out)
{
	unsigned serving, broken;
	const struct shelf_complaint *complaints = look_at_files(status, out->arena, &serving, &broken);

	buf_printf(out, ", \"endpoints\": %u, \"broken\": [", serving);
	for (unsigned i = 0; i < broken; i++) {
		const struct shelf_complaint *c = &complaints[i];

		buf_puts(out, i == 0 ? "{" : ", {");
		write_json_text(out, "file", c->file);
		buf_puts(out, ", ");
		write_json_text(out, "at", c->at);
		buf_printf(out, ", \"line\": %u, \"column\": %u, ", c->line, c->column);
		write_json_text(out, "message", c->message);
		buf_printf(out, ", \"since\": %lld, \"serving\": %s}", (long long)c->since, c->serving ? "true" : "false");
	}
	buf_puts(out, "]");
}

static void write_json(const struct status *status, struct buf *out)
{
	const struct scoreboard *board = status->board;
	const char *separator = "";

	buf_puts(out, "{\"pool\": ");
	buf_json_string(out, status->settings->pool, strlen(status->settings->pool));
	buf_printf(out, ", \"process manager\": \"static\", \"master\": %ld, \"start time\": %lld, \"start since\": %lld", (long)board->master,
	           (long long)board->started, (long long)(time(NULL) - board->started));
	buf_printf(out, ", \"reloads\": %ld, \"workers died\": %ld, \"active\": %ld", atomic_load(&board->reloads), atomic_load(&board->deaths),
	           scoreboard_active(board));
	for (int c = 0; c < COUNTER_COUNT_; c++)
		buf_printf(out, ", \"%s\": %ld", scoreboard_counter_name(c), scoreboard_sum(board, c));
	write_json_files(status, out);
	buf_puts(out, ", \"workers\": [");
	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (!in_use(&board->slots[i]))
			continue;
		buf_puts(out, separator);
		separator = ", ";
		write_json_worker(&board->slots[i], out);
	}
	buf_puts(out, "]}\n");
}

/* Prometheus' text format 0.0.4. A pool's name is a section of the settings file: its quotes and backslashes are escaped as JSON does. */
static void write_metric(const struct status *status, struct buf *out, const char *name, const char *type, const char *about, long value)
{
	buf_printf(out, "# HELP promptfpm_%s %s\n# TYPE promptfpm_%s %s\npromptfpm_%s{pool=", name, about, name, type, name);
	buf_json_string(out, status->settings->pool, strlen(status->settings->pool));
	buf_printf(out, "} %ld\n", value);
}

static void write_metrics(const struct status *status, struct buf *out)
{
	const struct scoreboard *board = status->board;
	unsigned endpoints, broken;
	long serving = 0, threads = 0;

	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (atomic_load(&board->slots[i].state) != SLOT_SERVING)
			continue;
		serving++;
		threads += atomic_load(&board->slots[i].threads);
	}
	for (int c = 0; c < COUNTER_COUNT_; c++) {
		char name[64];

		snprintf(name, sizeof name, "%s_total", scoreboard_counter_name(c));
		write_metric(status, out, name, "counter", scoreboard_counter_about(c), scoreboard_sum(board, c));
	}
	write_metric(status, out, "worker_deaths_total", "counter", "Workers that ended without being told to.", atomic_load(&board->deaths));
	write_metric(status, out, "reloads_total", "counter", "Reloads that succeeded.", atomic_load(&board->reloads));
	write_metric(status, out, "active", "gauge", "Requests in hand.", scoreboard_active(board));
	write_metric(status, out, "workers", "gauge", "Workers that take requests.", serving);
	write_metric(status, out, "threads", "gauge", "Requests they can have in hand.", threads);
	look_at_files(status, out->arena, &endpoints, &broken);
	write_metric(status, out, "endpoints", "gauge", "Endpoints that serve.", endpoints);
	write_metric(status, out, "endpoints_broken", "gauge", "Files that do not load now.", broken);
	write_metric(status, out, "start_time_seconds", "gauge", "When the daemon started, in seconds since 1970.", (long)board->started);
}

static void write_pong(const struct status *status, struct buf *out)
{
	buf_puts(out, status->settings->ping_response);
}

/* The path of a request line's target, without its query. */
static bool is_for(const char *uri, const char *path)
{
	size_t n = strlen(path);

	return n > 0 && strncmp(uri, path, n) == 0 && (uri[n] == '\0' || uri[n] == '?');
}

static const struct form *choose(const struct status *status, struct fcgi *fcgi)
{
	static const struct form ping = {NULL, "text/plain", write_pong};
	static const struct form forms[] = {
		{"json", "application/json", write_json},
		{"metrics", "text/plain; version=0.0.4", write_metrics},
		{"", "text/plain", write_text},
	};
	const char *uri = fcgi_uri(fcgi), *query;

	if (uri == NULL)
		uri = fcgi_param(fcgi, "SCRIPT_NAME");
	if (uri == NULL)
		return NULL;
	if (is_for(uri, status->settings->ping_path))
		return &ping;
	if (!is_for(uri, status->settings->pm_status_path))
		return NULL;
	query = strchr(uri, '?');
	for (size_t i = 0; query != NULL && i + 1 < COUNT_OF(forms); i++)
		if (str_eq(query + 1, forms[i].query))
			return &forms[i];
	return &forms[COUNT_OF(forms) - 1];
}

static void answer(const struct status *status, struct fcgi *fcgi, struct arena *arena, const struct form *form)
{
	struct buf page, head;
	enum rc rc;

	buf_init(&page, arena, PAGE_MAX);
	buf_init(&head, arena, 512);
	form->write(status, &page);
	buf_printf(&head, "Status: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n\r\n",
	           page.rc == RC_OK ? "200 OK" : "500 Internal Server Error", form->type, page.len);
	rc = fcgi_write(fcgi, buf_text(&head), head.len);
	if (rc == RC_OK && !str_eq(fcgi_param(fcgi, "REQUEST_METHOD"), "HEAD"))
		rc = fcgi_write(fcgi, buf_text(&page), page.len);
	(void)rc; /* who asked may have left: there is nobody to tell, and nothing to undo */
}

bool status_serve(const struct status *status, struct fcgi *fcgi)
{
	const struct form *form = choose(status, fcgi);
	struct arena *arena;
	const char *body;
	size_t len;

	if (form == NULL)
		return false;
	arena = arena_new(2 * PAGE_MAX);
	if (arena != NULL && fcgi_body(fcgi, arena, 0, &body, &len) != RC_PROTOCOL)
		answer(status, fcgi, arena, form);
	fcgi_finish(fcgi);
	arena_free(arena);
	return true;
}
