/*
 * doctor.c - promptctl doctor: one look at everything that has to be right for the pool to answer, a line each, with what to do about it.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/ctl.h"

/* A model, and the first that names it. */
struct named {
	const char *model, *by;
	struct named *next;
};

/* What the settings say of a provider. */
struct source {
	const char *name, *base_url, *key, *key_file;
};

struct visit {
	struct ctl *ctl;
	struct settings settings;
	struct named *models;
	unsigned ills;
};

PRINTF_LIKE(3, 4) static void note(struct visit *visit, bool well, const char *format, ...)
{
	va_list ap;

	fputs(well ? "good  " : "BAD   ", stdout);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	visit->ills += !well;
}

static void add_model(struct visit *visit, const char *model, const char *by)
{
	struct arena *arena = visit->ctl->arena;
	struct named **next = &visit->models, *named;

	for (; *next != NULL; next = &(*next)->next)
		if (str_eq((*next)->model, model))
			return;
	named = arena_alloc(arena, sizeof *named);
	if (named != NULL)
		*named = (struct named){.model = arena_strdup(arena, model), .by = arena_strdup(arena, by)};
	if (named == NULL || named->model == NULL || named->by == NULL)
		note(visit, false, "models: out of memory");
	else
		*next = named;
}

static void add_models(void *user, const char *file, const struct endpoint *endpoint)
{
	struct visit *visit = user;

	if (endpoint->model != NULL)
		add_model(visit, endpoint->model, file);
	for (unsigned i = 0; i < endpoint->fallback_count; i++)
		add_model(visit, endpoint->fallback[i], file);
}

static void look_at_endpoints(struct visit *visit)
{
	const char *directory = visit->settings.endpoints;
	struct lint_count count = {.on_endpoint = add_models, .user = visit};

	if (*directory == '\0')
		note(visit, true, "endpoints: the setting names no directory: those of document roots alone are served");
	else if (lint_path(visit->ctl->arena, directory, &count) != RC_OK)
		note(visit, false, "endpoints: %s cannot be read", directory);
	else if (count.files == 0)
		note(visit, false, "endpoints: %s holds none: promptctl new writes a first one", directory);
	else
		note(visit, count.errors == 0, "endpoints: %u in %s, %u error%s", count.files, directory, count.errors, count.errors == 1 ? "" : "s");
}

static void look_at_key_file(struct visit *visit, const char *name, const char *file)
{
	struct stat st;

	if (*file == '\0')
		return;
	if (stat(file, &st) < 0 || access(file, R_OK) < 0)
		note(visit, false, "%s: %s: %s", name, file, strerror(errno));
	else
		note(visit, (st.st_mode & 077) == 0, "%s: %s%s", name, file, (st.st_mode & 077) == 0 ? "" : " can be read by others: chmod 600");
}

enum { SOURCES = 3 };

static void list_sources(const struct settings *s, struct source sources[SOURCES])
{
	sources[0] = (struct source){"openai", s->openai_base_url, s->openai_api_key, s->openai_api_key_file};
	sources[1] = (struct source){"anthropic", s->anthropic_base_url, s->anthropic_api_key, s->anthropic_api_key_file};
	sources[2] = (struct source){"local", s->local_base_url, "", ""};
}

static bool is_set(const struct source *source)
{
	return *source->base_url || *source->key || *source->key_file;
}

/* Whether any is set. */
static bool look_at_providers(struct visit *visit)
{
	struct source sources[SOURCES];
	bool any = false;

	look_at_key_file(visit, "openai.api_key_file", visit->settings.openai_api_key_file);
	look_at_key_file(visit, "anthropic.api_key_file", visit->settings.anthropic_api_key_file);
	list_sources(&visit->settings, sources);
	for (unsigned i = 0; i < SOURCES; i++) {
		const struct source *source = &sources[i];

		if (is_set(source))
			note(visit, true, "provider: %s%s%s, %s", source->name, *source->base_url ? " at " : "", source->base_url,
			     *source->key || *source->key_file ? "with a key" : "without a key");
		any = any || is_set(source);
	}
	if (!any)
		note(visit, true, "provider: none is set, so sample answers are given");
	return any;
}

static bool has_provider(const struct visit *visit, const char *model)
{
	struct source sources[SOURCES];
	bool found = false;

	list_sources(&visit->settings, sources);
	for (unsigned i = 0; i < SOURCES; i++)
		found = found || (is_set(&sources[i]) && str_starts(model, sources[i].name) && model[strlen(sources[i].name)] == '/');
	return found;
}

/* Those whose provider is configured, a line each. */
static bool list_models(struct visit *visit, struct buf *list)
{
	buf_init(list, visit->ctl->arena, 1u << 20);
	for (const struct named *named = visit->models; named != NULL; named = named->next) {
		if (!has_provider(visit, named->model))
			note(visit, false, "model: %s, which %s names: its provider is not set", named->model, named->by);
		else
			buf_strings(list, list->len > 0 ? "\n" : "", named->model, NULL);
	}
	if (list->rc != RC_OK)
		note(visit, false, "models: out of memory");
	return list->rc == RC_OK && list->len > 0;
}

static void note_missing(struct visit *visit, const char *model, const char *reason)
{
	static const char *const advice[][2] = {
		{"unknown", "not in ai_models: promptctl model add"}, {"inactive", "not active: promptctl model enable"}, {"unpriced", "without a price: promptctl model price"}};
	const char *by = "", *what = reason;

	for (const struct named *named = visit->models; named != NULL; named = named->next)
		by = str_eq(named->model, model) ? named->by : by;
	for (size_t i = 0; i < COUNT_OF(advice); i++)
		what = str_eq(advice[i][0], reason) ? advice[i][1] : what;
	note(visit, false, "model: %s, which %s names: %s", model, by, what);
}

/* A fallback that is not to be had is found out when it is needed, unless somebody looks before. */
static void look_at_models(struct visit *visit, struct db_session *session)
{
	unsigned ills = visit->ills;
	const char *names;
	struct db_table table;
	struct buf list;

	add_model(visit, visit->settings.default_model, "default_model");
	if (list_models(visit, &list)) {
		names = list.data;
		if (!ctl_query(visit->ctl, session, "select model, reason from fpm.models_missing(string_to_array($1, E'\\n'))", &names, 1, &table)) {
			note(visit, false, "models: the database did not say: promptctl migrate");
			return;
		}
		for (unsigned i = 0; i < table.rows; i++)
			note_missing(visit, table.values[i * table.columns], table.values[i * table.columns + 1]);
	}
	if (visit->ills == ills)
		note(visit, true, "models: all that are named are to be had");
}

/* The role must be able to call the daemon's functions, all of them, and ought not to be able to do more. */
static bool look_at_rights(struct visit *visit, struct db_session *session)
{
	static const char sql[] = "select current_user, bool_or(p.oid is not null), bool_and(p.oid is not null),"
	                          " bool_and(has_schema_privilege(n.oid, 'usage') and has_function_privilege(p.oid, 'execute')),"
	                          " coalesce(has_table_privilege(to_regclass('public.ai_usage_tracking'), 'insert'), false)"
	                          " from unnest('{authenticate,admit_ready,admit_calls,settle_calls,void_request,count_refusals,sweep,usage_report,"
	                          "idempotency_claim,idempotency_store,idempotency_release}'::text[]) f (name)"
	                          " left join (pg_proc p join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'fpm') on p.proname = f.name";
	struct db_table table;
	unsigned ills = visit->ills;

	if (!ctl_query(visit->ctl, session, sql, NULL, 0, &table))
		note(visit, false, "database: a question was not answered");
	else if (*table.values[1] != 't')
		note(visit, false, "database: our schema is not there: promptctl migrate");
	else if (*table.values[2] != 't')
		note(visit, false, "database: older than this program: promptctl migrate");
	else if (*table.values[3] != 't')
		note(visit, false, "database: %s may not do the daemon's work: promptctl migrate --worker %s", table.values[0], table.values[0]);
	else if (*table.values[4] == 't')
		note(visit, true, "database: reached as %s, which may do more than the daemon needs: promptctl migrate --worker makes a role that may not",
		     table.values[0]);
	else
		note(visit, true, "database: reached as %s, with the daemon's rights and no more", table.values[0]);
	return visit->ills == ills;
}

/* A crash of the server must not forget what a call was sent on the strength of. */
static void look_at_commits(struct visit *visit, struct db_session *session)
{
	struct db_table table;

	if (ctl_query(visit->ctl, session, "select current_setting('synchronous_commit') = 'off'", NULL, 0, &table) && *table.values[0] == 't')
		note(visit, false, "database: synchronous_commit is off: a crash would lose calls that were sent and are owed. Set it on for this role");
}

/* What the database or the role says of every transaction: calls could write nothing, or would fail where two meet. */
static void look_at_transactions(struct visit *visit, struct db_session *session)
{
	static const char sql[] = "select current_setting('transaction_read_only') = 'on', current_setting('default_transaction_isolation')";
	struct db_table table;

	if (!ctl_query(visit->ctl, session, sql, NULL, 0, &table))
		return;
	if (*table.values[0] == 't')
		note(visit, false, "database: it can only be read: every call is refused. Name the server that can be written to, or set default_transaction_read_only off for this role");
	if (!str_eq(table.values[1], "read committed"))
		note(visit, false, "database: default_transaction_isolation is %s: calls at the same time fail for it. Set it to read committed for this role", table.values[1]);
}

static void look_at_database(struct visit *visit, bool asks_models)
{
	struct db_session *session = NULL;
	char reason[512] = "";
	bool good;
	const char *conninfo = *visit->ctl->database ? visit->ctl->database : visit->settings.database;

	if (db_open(conninfo, &session, reason, sizeof reason) != RC_OK) {
		note(visit, false, "database: cannot be reached: %s", reason);
		return;
	}
	good = look_at_rights(visit, session);
	look_at_commits(visit, session);
	look_at_transactions(visit, session);
	if (good && asks_models)
		look_at_models(visit, session);
	db_close(session);
}

static void look_at_daemon(struct visit *visit)
{
	const char *listen_at = visit->settings.listen;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (*listen_at != '/')
		return; /* a port may be anybody's; the web server's start says more */
	snprintf(address.sun_path, sizeof address.sun_path, "%s", listen_at);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		note(visit, true, "daemon: listens on %s", listen_at);
	else
		note(visit, false, "daemon: does not listen on %s: %s", listen_at, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static enum ctl_status examine(struct visit *visit, const char *file)
{
	enum ctl_status status = ctl_settings(file, &visit->settings);
	bool asks_models;

	note(visit, status == CTL_DONE, "settings: %s", file);
	if (status != CTL_DONE)
		return status;
	look_at_endpoints(visit);
	asks_models = look_at_providers(visit);
	look_at_database(visit, asks_models);
	look_at_daemon(visit);
	return visit->ills == 0 ? CTL_DONE : CTL_NO;
}

enum ctl_status doctor_run(struct ctl *ctl)
{
	const char *file = ctl_settings_file;
	const struct ctl_option options[] = {{"config", "FILE", "the settings file, where it is not the installed one", &file, NULL}};
	struct visit visit = {.ctl = ctl};
	enum ctl_status status;

	if (!ctl_options(ctl, options, COUNT_OF(options), 0, 0))
		return ctl->status;
	settings_init(&visit.settings);
	status = examine(&visit, file);
	settings_free(&visit.settings);
	return status;
}
