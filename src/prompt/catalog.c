/*
 * catalog.c - endpoints by their files, kept as the files are.
 *
 * How a change is live on the next request without a storm of stat calls: every directory that holds an endpoint is watched through inotify. A
 * request asks the kernel what changed (one read, which nearly always finds nothing) and looks whether its directory still is the one that is
 * watched (a stat: deployments swap whole directories), and whether its files have one name each (a stat for each: of a second one the kernel tells nothing). Only what
 * changed is loaded again, by the request that wants it. Files whose changes the kernel cannot tell (network file systems, links of both kinds) are compared, once per
 * request.
 *
 * One mutex guards it all, held for these two calls and for the loading of what changed; an endpoint in use is counted, and one that was replaced
 * goes with its last user.
 */
#include "prompt/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "prompt/catalog_store.h"
#include "prompt/watch.h"

#define SUFFIX ".prompt"
#define PATH_BYTES_MAX 4096u
#define REPORT_ARENA_MAX (1u << 20)
#define REVIVE_ARENA_MAX (16u << 20) /* a file with all its partials */

struct catalog {
	pthread_mutex_t lock;
	struct catalog_settings settings; /* its strings are copies of ours */
	struct directory *pool;           /* NULL for none */
	bool unlisted;                    /* files may have come to the pool's directory that have no entry yet */
	struct shelf *own_shelf; /* NULL where settings name one */
	struct store store;
};

static char *join(const char *directory, const char *name, size_t n, const char *suffix)
{
	size_t before = strlen(directory);
	char *path = malloc(before + n + strlen(suffix) + 2), *end = path;

	if (path == NULL)
		return NULL;
	end = mempcpy(end, directory, before);
	*end++ = '/';
	end = mempcpy(end, name, n);
	strcpy(end, suffix);
	return path;
}

/* "chat" of "chat.prompt": the length of the endpoint's name, 0 where the file is none. */
static size_t endpoint_length(const char *file)
{
	size_t n = strlen(file), suffix = strlen(SUFFIX);

	if (n <= suffix || !str_eq(file + n - suffix, SUFFIX) || !endpoint_name_valid(file, n - suffix, false))
		return 0;
	return n - suffix;
}

/* What the kernel tells. */

static void note_file(struct catalog *catalog, struct directory *directory, const char *name)
{
	char *file;
	struct entry *entry;

	if (name[0] == '_') { /* a partial: anybody's */
		store_mark(&catalog->store, directory);
		return;
	}
	if (endpoint_length(name) == 0)
		return;
	file = join(directory->path, name, strlen(name), "");
	entry = file == NULL ? NULL : store_find(&catalog->store, file);
	if (entry != NULL)
		entry->stale = true;
	else if (directory == catalog->pool)
		catalog->unlisted = true;
	if (file == NULL)
		store_mark(&catalog->store, directory);
	free(file);
}

static void note(void *user, enum watch_kind kind, int id, const char *name)
{
	struct catalog *catalog = user;

	if (kind == WATCH_OVERRUN) {
		store_mark(&catalog->store, NULL);
		catalog->unlisted = true;
		return;
	}
	for (struct directory *directory = catalog->store.directories; directory != NULL; directory = directory->next) {
		if (directory->watch != id)
			continue;
		if (kind == WATCH_LOST)
			store_lose_directory(&catalog->store, directory);
		else
			note_file(catalog, directory, name);
	}
}

/* Loading and reporting. */

/* Once for each state, by whichever process finds it: what was said last is not said again. */
static void report(struct catalog *catalog, struct entry *entry, struct diagnostics *list)
{
	struct shelf *shelf = catalog->settings.shelf;
	bool news = list == NULL ? shelf_mend(shelf, entry->file) : shelf_complain(shelf, entry->file, list, entry->live != NULL, entry->own);

	if (news && catalog->settings.report != NULL)
		catalog->settings.report(catalog->settings.user, entry->file, list);
}

static const struct endpoint_bounds *bounds_of(const struct catalog *catalog, const struct entry *entry)
{
	return entry->own ? NULL : catalog->settings.bounds;
}

static bool is_made_from(const struct endpoint *endpoint, const struct endpoint_text *texts, unsigned count)
{
	bool same = endpoint != NULL && endpoint->text_count == count;

	for (unsigned i = 0; same && i < count; i++)
		same = str_eq(endpoint->texts[i].name, texts[i].name) && endpoint->texts[i].len == texts[i].len &&
		       memcmp(endpoint->texts[i].bytes, texts[i].bytes, texts[i].len) == 0;
	return same;
}

/* A file that broke: this process may never have seen its last good version, or only an older one. Another one has. */
static void revive(struct catalog *catalog, struct entry *entry)
{
	struct arena *arena = arena_new(REVIVE_ARENA_MAX);
	struct endpoint_text *texts;
	struct endpoint *endpoint;
	struct diagnostics list;
	unsigned count;

	if (arena == NULL)
		return;
	diagnostics_init(&list, arena, entry->file);
	if (shelf_find(catalog->settings.shelf, arena, entry->file, &texts, &count) == RC_OK && !is_made_from(entry->live, texts, count) &&
	    endpoint_load_texts(entry->file, bounds_of(catalog, entry), texts, count, &endpoint, &list) == RC_OK)
		store_replace(entry, endpoint);
	arena_free(arena);
}

static enum rc load(struct catalog *catalog, struct entry *entry, struct diagnostics *list)
{
	struct endpoint *endpoint = NULL;
	enum rc rc = endpoint_load_traced(entry->file, bounds_of(catalog, entry), &endpoint, list, &entry->trace);

	if (rc == RC_NOMEM)
		return rc;
	if (rc == RC_SYS && (errno == ENOENT || errno == ENOTDIR))
		return RC_NOTFOUND;
	entry->stale = entry->trace.unread;
	entry->broken = rc != RC_OK;
	if (rc == RC_OK) {
		shelf_keep(catalog->settings.shelf, entry->file, endpoint->texts, endpoint->text_count);
		store_replace(entry, endpoint);
	} else {
		revive(catalog, entry);
	}
	report(catalog, entry, rc == RC_OK ? NULL : list);
	return RC_OK;
}

/* Brings an entry up to date. RC_NOTFOUND: there is no such file any more, and the entry is gone. */
static enum rc refresh(struct catalog *catalog, struct entry *entry)
{
	struct directory *directory = entry->directory;
	struct diagnostics list;
	struct arena *arena;
	enum rc rc;

	if (!store_check_directory(&catalog->store, directory) && directory == catalog->pool)
		catalog->unlisted = true;
	if (!entry->stale && (directory->watch < 0 || endpoint_trace_linked(entry->file, &entry->trace)))
		entry->stale = !endpoint_trace_holds(entry->file, &entry->trace);
	if (!entry->stale)
		return RC_OK;
	arena = arena_new(REPORT_ARENA_MAX);
	if (arena == NULL)
		return RC_NOMEM;
	diagnostics_init(&list, arena, entry->file);
	rc = load(catalog, entry, &list);
	if (rc == RC_NOTFOUND) {
		shelf_forget(catalog->settings.shelf, entry->file);
		store_remove(&catalog->store, entry);
	}
	arena_free(arena);
	return rc;
}

/* The pool's directory. */

static int is_endpoint(const struct dirent *entry)
{
	return endpoint_length(entry->d_name) > 0;
}

/* Makes entries for the files that have none. */
static enum rc list_pool(struct catalog *catalog)
{
	struct dirent **files = NULL;
	int count = scandir(catalog->pool->path, &files, is_endpoint, alphasort), error = errno;
	enum rc rc = RC_OK;

	for (int i = 0; i < count; i++) {
		char *file = join(catalog->pool->path, files[i]->d_name, strlen(files[i]->d_name), "");

		if (file == NULL || (store_find(&catalog->store, file) == NULL && store_add(&catalog->store, file, true) == NULL))
			rc = RC_NOMEM;
		free(file);
		free(files[i]);
	}
	free(files);
	catalog->unlisted = rc != RC_OK;
	errno = error;
	return count < 0 ? RC_SYS : rc;
}

static void refresh_visited(void *user, struct entry *entry)
{
	if (refresh(user, entry) == RC_NOMEM)
		entry->stale = true;
}

/* Where a request leads. */

/* Apache puts "proxy:fcgi://host:port" in front where it is not told otherwise, and a rewritten query behind. */
static char *script_file(const char *script)
{
	const char *start = script;
	size_t n;

	if (script == NULL)
		return NULL;
	if (str_starts(script, "proxy:")) {
		start = strstr(script, "fcgi://");
		start = start == NULL ? NULL : strchr(start + strlen("fcgi://"), '/');
	}
	n = start == NULL ? 0 : strcspn(start, "?");
	if (n == 0 || *start != '/' || n >= PATH_BYTES_MAX || strstr(start, "/../") != NULL)
		return NULL;
	return strndup(start, n);
}

/* A file of the document root, or NULL where the script is none of ours. */
static char *guest_file(const char *script)
{
	char *file = script_file(script);

	if (file != NULL && endpoint_length(strrchr(file, '/') + 1) > 0)
		return file;
	free(file);
	return NULL;
}

static char *own_file(const struct catalog *catalog, const char *path)
{
	const char *prefix = catalog->settings.prefix;
	const char *name;

	if (catalog->pool == NULL || !str_starts(path, prefix) || path[strlen(prefix)] != '/')
		return NULL;
	name = path + strlen(prefix) + 1;
	if (!endpoint_name_valid(name, strlen(name), false))
		return NULL;
	return join(catalog->pool->path, name, strlen(name), SUFFIX);
}

/* A file of the pool's directory is the operator's, also where a web server hands it over. */
static bool is_own(const struct catalog *catalog, const char *file)
{
	size_t n = catalog->pool == NULL ? 0 : strlen(catalog->pool->path);

	return n > 0 && strncmp(file, catalog->pool->path, n) == 0 && file[n] == '/' && strchr(file + n + 1, '/') == NULL;
}

static enum rc find_file(struct catalog *catalog, const char *file, const struct endpoint **out)
{
	struct entry *entry = store_find(&catalog->store, file);
	struct stat st;
	enum rc rc;

	if (entry == NULL && stat(file, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return RC_NOTFOUND; /* found out without making an entry and a watch for every path somebody tries */
	if (entry == NULL)
		entry = store_add(&catalog->store, file, is_own(catalog, file));
	if (entry == NULL)
		return RC_NOMEM;
	entry->used = ++catalog->store.clock;
	rc = refresh(catalog, entry);
	if (rc == RC_NOTFOUND || (rc != RC_OK && entry->live == NULL))
		return rc;
	if (entry->live == NULL)
		return RC_INVALID;
	entry->live->catalog.holds++;
	*out = entry->live;
	return RC_OK;
}

enum rc catalog_find(struct catalog *catalog, const char *path, const char *script, const struct endpoint **out)
{
	char *guest = guest_file(script), *file;
	enum rc rc;

	pthread_mutex_lock(&catalog->lock);
	file = guest != NULL ? guest : own_file(catalog, path);
	watch_read(catalog->store.watcher, note, catalog);
	rc = file == NULL ? RC_NOTFOUND : find_file(catalog, file, out);
	pthread_mutex_unlock(&catalog->lock);
	free(file);
	return rc;
}

void catalog_release(struct catalog *catalog, const struct endpoint *endpoint)
{
	struct endpoint *held = (struct endpoint *)(uintptr_t)endpoint;
	bool last;

	pthread_mutex_lock(&catalog->lock);
	last = --held->catalog.holds == 0 && held->catalog.retired;
	pthread_mutex_unlock(&catalog->lock);
	if (last)
		endpoint_free(held);
}

struct tally {
	unsigned serving, broken;
};

static void tally(void *user, struct entry *entry)
{
	struct tally *sum = user;

	sum->serving += entry->live != NULL;
	sum->broken += entry->broken;
}

const struct shelf_complaint *catalog_complaints(struct catalog *catalog, struct arena *arena, unsigned *count)
{
	struct shelf_complaint *complaints = shelf_complaints(catalog->settings.shelf, arena, count);
	unsigned kept = 0;

	for (unsigned i = 0; i < *count; i++)
		if (!complaints[i].own || is_own(catalog, complaints[i].file))
			complaints[kept++] = complaints[i];
	*count = kept;
	return complaints;
}

/* Looks at the files that other processes found broken: they may have been mended since, or gone. */
static void look_at_complaints(struct catalog *catalog)
{
	struct arena *arena = arena_new(REPORT_ARENA_MAX);
	const struct shelf_complaint *complaints = NULL;
	unsigned count = 0;

	if (arena != NULL)
		complaints = catalog_complaints(catalog, arena, &count);
	for (unsigned i = 0; complaints != NULL && i < count; i++) {
		const char *file = complaints[i].file;
		struct entry *entry = store_find(&catalog->store, file) == NULL ? store_add(&catalog->store, file, is_own(catalog, file)) : NULL;

		if (entry != NULL)
			refresh_visited(catalog, entry);
	}
	arena_free(arena);
}

void catalog_count(struct catalog *catalog, unsigned *serving, unsigned *broken)
{
	struct tally sum = {0, 0};

	pthread_mutex_lock(&catalog->lock);
	watch_read(catalog->store.watcher, note, catalog);
	if (catalog->pool != NULL) {
		bool same = store_check_directory(&catalog->store, catalog->pool);

		if ((!same || catalog->unlisted || catalog->pool->watch < 0) && list_pool(catalog) != RC_OK)
			catalog->unlisted = true;
	}
	store_each(&catalog->store, NULL, refresh_visited, catalog);
	look_at_complaints(catalog);
	store_each(&catalog->store, NULL, tally, &sum);
	pthread_mutex_unlock(&catalog->lock);
	*serving = sum.serving;
	*broken = sum.broken;
}

static enum rc open_pool(struct catalog *catalog)
{
	const char *path = catalog->settings.directory;
	size_t n = path == NULL ? 0 : strlen(path);
	enum rc rc;

	if (path == NULL)
		return RC_OK;
	while (n > 1 && path[n - 1] == '/')
		n--;
	catalog->pool = store_directory(&catalog->store, path, n);
	if (catalog->pool == NULL)
		return RC_NOMEM;
	catalog->pool->entries++; /* ours: it stays when it is empty */
	rc = list_pool(catalog);
	if (rc == RC_OK)
		store_each(&catalog->store, NULL, refresh_visited, catalog);
	return rc;
}

enum rc catalog_new(const struct catalog_settings *settings, struct catalog **out)
{
	struct catalog *catalog = calloc(1, sizeof *catalog);
	enum rc rc;

	if (catalog == NULL)
		return RC_NOMEM;
	pthread_mutex_init(&catalog->lock, NULL);
	catalog->settings = *settings;
	catalog->settings.prefix = strdup(settings->prefix == NULL ? "" : settings->prefix);
	catalog->settings.directory = settings->directory == NULL ? NULL : strdup(settings->directory);
	catalog->store.watcher = watch_open();
	if (settings->shelf == NULL)
		catalog->settings.shelf = catalog->own_shelf = shelf_new();
	rc = catalog->settings.shelf == NULL || catalog->settings.prefix == NULL || (settings->directory != NULL && catalog->settings.directory == NULL) ? RC_NOMEM : open_pool(catalog);
	if (rc == RC_OK) {
		*out = catalog;
	} else {
		int error = errno;

		catalog_free(catalog);
		errno = error;
	}
	return rc;
}

void catalog_free(struct catalog *catalog)
{
	if (catalog == NULL)
		return;
	store_clear(&catalog->store);
	watch_close(catalog->store.watcher);
	if (catalog->pool != NULL) { /* the last directory left */
		free(catalog->pool->path);
		free(catalog->pool);
	}
	free((char *)(uintptr_t)catalog->settings.prefix);
	free((char *)(uintptr_t)catalog->settings.directory);
	shelf_free(catalog->own_shelf);
	pthread_mutex_destroy(&catalog->lock);
	free(catalog);
}
