/*
 * migrate.c - promptctl migrate: brings a database to this version of sql/, in one transaction.
 *
 * Migrations are numbered and forward-only; what has been applied is recorded with a digest of its text, so that a file changed afterwards is
 * noticed. Functions and grants are not history but state: they are put in place each time. An advisory lock makes two machines that start at once
 * take turns.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/ctl.h"
#include "port/token.h"

#ifndef PKGDATADIR
#define PKGDATADIR "/usr/share/prompt-fpm"
#endif
#define FILE_MAX_ ((size_t)4 << 20)
#define MIGRATIONS_MAX 9999
#define PATH_MAX_ 4096

struct run {
	struct ctl *ctl;
	struct db_session *session;
	const char *sql; /* the directory */
	unsigned applied;
};

static enum ctl_status fail(struct run *run, const char *what)
{
	return ctl_cannot("%s: %s", what, ctl_reason(run->session));
}

/* Where the program was built: the tree it stands in, at most two levels up. */
static const char *find_beside(struct arena *arena)
{
	static const char *const ways[] = {"sql", "../sql", "../../sql"};
	char self[PATH_MAX_];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash, *path;

	if (n <= 0)
		return NULL;
	self[n] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash != NULL && i < COUNT_OF(ways); i++) {
		path = arena_printf(arena, "%.*s/%s/migrations", (int)(slash - self), self, ways[i]);
		if (path == NULL || access(path, R_OK) != 0)
			continue;
		return arena_strndup(arena, path, strlen(path) - strlen("/migrations"));
	}
	return NULL;
}

static const char *find_sql(struct arena *arena)
{
	const char *given = getenv("PROMPT_FPM_SQL");

	if (given != NULL && *given != '\0')
		return given;
	if (access(PKGDATADIR "/sql/migrations", R_OK) == 0)
		return PKGDATADIR "/sql";
	return find_beside(arena);
}

static int is_sql(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 4 && str_eq(entry->d_name + n - 4, ".sql");
}

/* The names of *.sql in a folder of sql/, in order; each is the arena's. -1 when it cannot be read (said). */
static int list(struct run *run, const char *folder, const char ***names)
{
	const char *path = arena_printf(run->ctl->arena, "%s/%s", run->sql, folder);
	struct dirent **entries;
	int n = path == NULL ? -1 : scandir(path, &entries, is_sql, alphasort);
	bool whole;

	if (n < 0) {
		ctl_cannot("%s: %s", path, strerror(errno));
		return -1;
	}
	*names = arena_array(run->ctl->arena, (size_t)n + 1, sizeof **names);
	whole = *names != NULL;
	for (int i = 0; i < n; i++) {
		if (whole)
			whole = ((*names)[i] = arena_strdup(run->ctl->arena, entries[i]->d_name)) != NULL;
		free(entries[i]);
	}
	free(entries);
	if (!whole)
		ctl_cannot("out of memory");
	return whole ? n : -1;
}

static enum ctl_status run_file(struct run *run, const char *path, char digest[TOKEN_DIGEST_SIZE])
{
	const char *text;
	size_t n;

	if (ctl_read(run->ctl, path, FILE_MAX_, &text, &n) != RC_OK)
		return CTL_CANNOT;
	if (token_sha256(text, n, digest) != RC_OK)
		return ctl_cannot("%s: no digest can be made of it", path);
	return db_script(run->session, text) == RC_OK ? CTL_DONE : fail(run, path);
}

static enum ctl_status begin(struct run *run)
{
	static const char open[] = "begin;"
	                           "set local client_min_messages = warning;"
	                           "select pg_advisory_xact_lock(x'70667066'::bigint);"
	                           "create schema if not exists fpm;"
	                           "create table if not exists fpm.migrations (number int primary key, name text not null, digest text not null,"
	                           " applied_at timestamptz not null default now())";

	return db_script(run->session, open) == RC_OK ? CTL_DONE : fail(run, "the database cannot be prepared");
}

/* What is recorded of migration `number`: its row, or -1. */
static int recorded(const struct db_table *table, long number)
{
	for (unsigned r = 0; r < table->rows; r++)
		if (strtol(table->values[r * table->columns], NULL, 10) == number)
			return (int)r;
	return -1;
}

static enum ctl_status compare(struct run *run, const char *path, const char *digest)
{
	char now[TOKEN_DIGEST_SIZE];
	const char *text;
	size_t n;

	if (ctl_read(run->ctl, path, FILE_MAX_, &text, &n) != RC_OK)
		return CTL_CANNOT;
	if (token_sha256(text, n, now) != RC_OK)
		return ctl_cannot("%s: no digest can be made of it", path);
	if (str_eq(now, digest))
		return CTL_DONE;
	return ctl_cannot("%s: has been changed since it was applied to this database: write a new migration instead", path);
}

static enum ctl_status apply(struct run *run, const char *path, long number, const char *name)
{
	char digest[TOKEN_DIGEST_SIZE], digits[16];
	const char *const params[] = {digits, name, digest};
	struct db_table none;

	if (run_file(run, path, digest) != CTL_DONE)
		return CTL_CANNOT;
	snprintf(digits, sizeof digits, "%ld", number);
	if (!ctl_query(run->ctl, run->session, "insert into fpm.migrations (number, name, digest) values ($1::int, $2, $3)", params, 3, &none))
		return CTL_CANNOT;
	run->applied++;
	printf("migration %ld: %s: applied\n", number, name);
	return CTL_DONE;
}

/* "0007-name.sql" is migration 7; they must be numbered from 1 without a gap. */
static enum ctl_status migrate_one(struct run *run, const struct db_table *done, const char *file, long expected)
{
	char *end;
	long number = strtol(file, &end, 10);
	const char *path = arena_printf(run->ctl->arena, "%s/migrations/%s", run->sql, file);
	const char *name = end == file ? NULL : arena_strndup(run->ctl->arena, end + strspn(end, "-_"), strlen(end + strspn(end, "-_")) - 4);
	int row;

	if (path == NULL || (end != file && name == NULL))
		return ctl_cannot("out of memory");
	if (end == file || strspn(end, "-_") == 0)
		return ctl_cannot("%s: the name of a migration is a number, a dash or underscore, and words", path);
	if (number != expected)
		return ctl_cannot("%s: migration %ld was expected here: they are numbered from 1, without a gap", path, expected);
	row = recorded(done, number);
	if (row >= 0)
		return compare(run, path, done->values[(unsigned)row * done->columns + 2]);
	if (done->rows >= (unsigned)number)
		return ctl_cannot("the database's record of migrations has a gap at %ld", number);
	return apply(run, path, number, name);
}

static enum ctl_status migrations(struct run *run)
{
	const char **files;
	struct db_table done;
	long last;
	int n = list(run, "migrations", &files);

	if (n < 0)
		return CTL_CANNOT;
	if (n == 0 || n > MIGRATIONS_MAX)
		return ctl_cannot("%s/migrations: holds %s", run->sql, n == 0 ? "no migration" : "too many migrations");
	if (!ctl_query(run->ctl, run->session, "select number, name, digest from fpm.migrations order by number", NULL, 0, &done))
		return CTL_CANNOT;
	last = done.rows == 0 ? 0 : strtol(done.values[(done.rows - 1) * done.columns], NULL, 10);
	if (last > n)
		return ctl_cannot("the database is at migration %ld, and this program knows of %d only: it belongs to a newer version", last, n);
	for (int i = 0; i < n; i++)
		if (migrate_one(run, &done, files[i], i + 1) != CTL_DONE)
			return CTL_CANNOT;
	if (run->applied == 0)
		printf("migrations: all %d applied before\n", n);
	return CTL_DONE;
}

/* Functions may call each other in any order, so their bodies are not checked one by one. */
static enum ctl_status functions(struct run *run)
{
	char digest[TOKEN_DIGEST_SIZE];
	const char **files;
	int n = list(run, "functions", &files);

	if (n < 0)
		return CTL_CANNOT;
	if (db_script(run->session, "set local check_function_bodies = off") != RC_OK)
		return fail(run, "functions");
	for (int i = 0; i < n; i++) {
		const char *path = arena_printf(run->ctl->arena, "%s/functions/%s", run->sql, files[i]);

		if (path == NULL)
			return ctl_cannot("out of memory");
		if (run_file(run, path, digest) != CTL_DONE)
			return CTL_CANNOT;
	}
	printf("functions: %d in place\n", n);
	return CTL_DONE;
}

static enum ctl_status grants(struct run *run)
{
	char digest[TOKEN_DIGEST_SIZE];
	const char *path = arena_printf(run->ctl->arena, "%s/grants.sql", run->sql);

	if (path == NULL)
		return ctl_cannot("out of memory");
	if (run_file(run, path, digest) != CTL_DONE)
		return CTL_CANNOT;
	puts("grants: in place");
	return CTL_DONE;
}

/* The role that the daemon logs in as. It gets no password here: that is for the operator to set, or for pg_hba.conf to make needless. */
static enum ctl_status worker(struct run *run, const char *login)
{
	static const char sql[] = "select exists (select from pg_roles where rolname = $1), format('create role %I login', $1::text),"
	                          " format('grant fpm_worker to %I', $1::text)";
	struct db_table table;
	bool there;

	if (!ctl_query(run->ctl, run->session, sql, &login, 1, &table))
		return CTL_CANNOT;
	there = *table.values[0] == 't';
	if (!there && db_script(run->session, table.values[1]) != RC_OK)
		return fail(run, login);
	if (db_script(run->session, table.values[2]) != RC_OK)
		return fail(run, login);
	printf("worker: %s %s fpm_worker\n", login, there ? "has" : "created, has");
	return CTL_DONE;
}

static enum ctl_status migrate(struct run *run, const char *login)
{
	if (begin(run) != CTL_DONE || migrations(run) != CTL_DONE || functions(run) != CTL_DONE || grants(run) != CTL_DONE)
		return CTL_CANNOT;
	if (login != NULL && worker(run, login) != CTL_DONE)
		return CTL_CANNOT;
	return db_script(run->session, "commit") == RC_OK ? CTL_DONE : fail(run, "the transaction cannot be committed");
}

enum ctl_status migrate_run(struct ctl *ctl)
{
	const char *login = NULL;
	struct run run = {.ctl = ctl};
	const struct ctl_option options[] = {
		{"sql", "DIRECTORY", "where migrations/, functions/ and grants.sql are; without it, $PROMPT_FPM_SQL, then what was installed", &run.sql, NULL},
		{"worker", "LOGIN", "let this role work as the daemon's; it is created where it does not exist", &login, NULL},
	};
	enum ctl_status status;

	if (!ctl_options(ctl, options, COUNT_OF(options), 0, 0))
		return ctl->status;
	if (login != NULL && *login == '\0')
		return ctl_misused(ctl, "--worker needs the name of a role");
	run.sql = run.sql != NULL ? run.sql : find_sql(ctl->arena);
	if (run.sql == NULL)
		return ctl_cannot("there is no sql directory: name it with --sql or PROMPT_FPM_SQL");
	run.session = ctl_connect(ctl);
	if (run.session == NULL)
		return CTL_CANNOT;
	status = migrate(&run, login);
	if (status != CTL_DONE)
		fputs("promptctl: nothing has been changed\n", stderr);
	db_close(run.session);
	return status;
}
