/*
 * catalog_store.c - entries in a hash table by their path; directories in a short list, counted by their entries.
 */
#include "prompt/catalog_store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "prompt/watch.h"

static unsigned bucket_of(const char *file)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *file != '\0'; file++)
		hash = (hash ^ (unsigned char)*file) * 16777619u;
	return hash % STORE_BUCKETS;
}

struct entry *store_find(struct store *store, const char *file)
{
	struct entry *entry = store->buckets[bucket_of(file)];

	while (entry != NULL && !str_eq(entry->file, file))
		entry = entry->next;
	return entry;
}

static bool look(const struct directory *directory, struct stat *st)
{
	if (stat(directory->path, st) == 0)
		return true;
	*st = (struct stat){.st_ino = 0};
	return false;
}

/* Watched first and looked at then: a swap in between is found at the next check. */
static void watch(struct store *store, struct directory *directory)
{
	struct stat st;

	directory->watch = watch_add(store->watcher, directory->path);
	look(directory, &st);
	directory->device = st.st_dev;
	directory->inode = st.st_ino;
}

struct directory *store_directory(struct store *store, const char *path, size_t n)
{
	struct directory *directory = store->directories;
	char *copy = strndup(path, n);

	while (directory != NULL && copy != NULL && !str_eq(directory->path, copy))
		directory = directory->next;
	if (directory == NULL && copy != NULL)
		directory = calloc(1, sizeof *directory);
	if (directory == NULL || copy == NULL || directory->path != NULL) {
		free(copy);
		return copy == NULL ? NULL : directory;
	}
	directory->path = copy;
	directory->next = store->directories;
	store->directories = directory;
	watch(store, directory);
	return directory;
}

static struct directory *directory_of(struct store *store, const char *file)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL)
		return store_directory(store, ".", 1);
	return store_directory(store, file, slash == file ? 1 : (size_t)(slash - file));
}

/* Two paths may lead to one directory, and inotify gives both one watch: it stays while either needs it. */
static bool is_shared(const struct store *store, const struct directory *directory)
{
	for (const struct directory *d = store->directories; d != NULL; d = d->next)
		if (d != directory && d->watch == directory->watch)
			return true;
	return false;
}

static void unwatch(struct store *store, struct directory *directory)
{
	if (!is_shared(store, directory))
		watch_remove(store->watcher, directory->watch);
	directory->watch = -1;
}

static void leave_directory(struct store *store, struct directory *directory)
{
	struct directory **at = &store->directories;

	if (--directory->entries > 0)
		return;
	while (*at != directory)
		at = &(*at)->next;
	unwatch(store, directory);
	*at = directory->next;
	free(directory->path);
	free(directory);
}

static void retire(struct endpoint *endpoint)
{
	if (endpoint == NULL)
		return;
	endpoint->catalog.retired = true;
	if (endpoint->catalog.holds == 0)
		endpoint_free(endpoint);
}

void store_replace(struct entry *entry, struct endpoint *endpoint)
{
	retire(entry->live);
	entry->live = endpoint;
}

void store_remove(struct store *store, struct entry *entry)
{
	struct entry **at = &store->buckets[bucket_of(entry->file)];

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	store->guests -= !entry->own;
	store_replace(entry, NULL);
	leave_directory(store, entry->directory);
	free(entry->file);
	free(entry);
}

static void remove_oldest_guest(struct store *store)
{
	struct entry *oldest = NULL;

	for (unsigned i = 0; i < STORE_BUCKETS; i++)
		for (struct entry *entry = store->buckets[i]; entry != NULL; entry = entry->next)
			if (!entry->own && (oldest == NULL || entry->used < oldest->used))
				oldest = entry;
	if (oldest != NULL)
		store_remove(store, oldest);
}

struct entry *store_add(struct store *store, const char *file, bool own)
{
	struct entry *entry = calloc(1, sizeof *entry);
	unsigned bucket = bucket_of(file);

	if (entry == NULL)
		return NULL;
	if (!own && store->guests >= STORE_GUESTS_MAX)
		remove_oldest_guest(store);
	entry->file = strdup(file);
	entry->directory = entry->file == NULL ? NULL : directory_of(store, file);
	if (entry->directory == NULL) {
		free(entry->file);
		free(entry);
		return NULL;
	}
	entry->directory->entries++;
	entry->own = own;
	entry->stale = true;
	entry->next = store->buckets[bucket];
	store->buckets[bucket] = entry;
	store->guests += !own;
	return entry;
}

void store_each(struct store *store, const struct directory *directory, void (*visit)(void *user, struct entry *entry), void *user)
{
	for (unsigned i = 0; i < STORE_BUCKETS; i++) {
		for (struct entry *entry = store->buckets[i], *next; entry != NULL; entry = next) {
			next = entry->next;
			if (directory == NULL || entry->directory == directory)
				visit(user, entry);
		}
	}
}

static void make_stale(void *user, struct entry *entry)
{
	(void)user;
	entry->stale = true;
}

void store_mark(struct store *store, const struct directory *directory)
{
	store_each(store, directory, make_stale, NULL);
}

bool store_check_directory(struct store *store, struct directory *directory)
{
	struct stat st;

	look(directory, &st);
	if (st.st_dev == directory->device && st.st_ino == directory->inode)
		return true;
	unwatch(store, directory);
	watch(store, directory);
	store_mark(store, directory);
	return false;
}

void store_lose_directory(struct store *store, struct directory *directory)
{
	unwatch(store, directory);
	directory->device = 0;
	directory->inode = 0;
}

static void remove_visited(void *user, struct entry *entry)
{
	store_remove(user, entry);
}

void store_clear(struct store *store)
{
	store_each(store, NULL, remove_visited, store);
}
