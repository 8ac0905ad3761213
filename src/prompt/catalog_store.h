/*
 * catalog_store.h - the catalog's memory: entries by their file, and the directories they stand in. Only catalog.c includes this.
 */
#ifndef PROMPT_CATALOG_STORE_H
#define PROMPT_CATALOG_STORE_H

#include <sys/types.h>

#include "prompt/endpoint_trace.h"

#define STORE_BUCKETS 1024u
#define STORE_GUESTS_MAX 1024u /* endpoints of document roots that are kept; the one unused for longest goes */

struct directory {
	struct directory *next;
	char *path;
	int watch; /* -1: not watched, its files are looked at */
	dev_t device;
	ino_t inode;
	unsigned entries;
};

/* One file: serving, broken, or both (what serves is its last good version). */
struct entry {
	struct entry *next; /* in its bucket */
	struct directory *directory;
	char *file;
	struct endpoint *live; /* NULL: never loaded */
	bool stale;            /* to be loaded before it is used */
	bool broken;           /* in its present state it does not load */
	bool own;              /* of the pool's directory; else a guest from a document root */
	unsigned long used;
	struct endpoint_trace trace;
};

struct store {
	int watcher; /* of watch.h */
	struct directory *directories;
	struct entry *buckets[STORE_BUCKETS];
	unsigned guests;
	unsigned long clock; /* counts uses */
};

struct entry *store_find(struct store *store, const char *file);

/* A new, stale entry for a file that has none; its directory is watched from now on. NULL when out of memory. */
struct entry *store_add(struct store *store, const char *file, bool own);

/* Forgets an entry; its endpoint goes with its last user. */
void store_remove(struct store *store, struct entry *entry);

/* Puts another version in an entry's place (NULL for none). */
void store_replace(struct entry *entry, struct endpoint *endpoint);

/* Calls visit for every entry, or for those of one directory. It may remove the entry it is given. */
void store_each(struct store *store, const struct directory *directory, void (*visit)(void *user, struct entry *entry), void *user);

/* The directory of that path, watched; it goes with its last entry unless `entries` is raised. NULL when out of memory. */
struct directory *store_directory(struct store *store, const char *path, size_t n);

/* Looks (one stat) whether the path still leads to the directory that is watched. Where it does not (it was swapped, or has come back), what is
 * there now is watched, and its entries are stale. Returns whether it was the same. */
bool store_check_directory(struct store *store, struct directory *directory);

/* The kernel has dropped the watch: the next check makes a new one. */
void store_lose_directory(struct store *store, struct directory *directory);

void store_mark(struct store *store, const struct directory *directory); /* stale: the directory's entries, or all for NULL */
void store_clear(struct store *store);

#endif
