/*
 * catalog.h - all endpoints of a pool, by the path they answer at; one per process, shared by its threads.
 *
 * The files of the pool's `endpoints` directory stand under its prefix ("/api/ai" + "/" + name); any `.prompt` that a web server hands
 * over as SCRIPT_FILENAME below one of the document roots stands at its own URL. A changed, added or removed file is live on the next request; a
 * broken one keeps its last good version serving.
 */
#ifndef PROMPT_CATALOG_H
#define PROMPT_CATALOG_H

#include "prompt/shelf.h"

struct catalog;

struct catalog_settings {
	const char *directory;     /* of the pool's own endpoints; NULL for none */
	const char *prefix;        /* "/api/ai": no slash at its end */
	const struct endpoint_bounds *bounds; /* what files of document roots are held to; NULL for nothing. They outlive the catalog */
	struct shelf *shelf;       /* what the pool's processes know together; NULL: the catalog has one of its own */
	/* Called once for each new state of a file that does not load (and when it loads again, with NULL); may be NULL. Any thread. */
	void (*report)(void *user, const char *file, const struct diagnostics *list);
	void *user;
};

/* Loads the directory. RC_SYS when it cannot be read; files that do not load are reported, not fatal. The caller owns it: catalog_free. */
enum rc catalog_new(const struct catalog_settings *settings, struct catalog **out) MUST_CHECK;
void catalog_free(struct catalog *catalog);

/* The endpoint for a request: `path` is REQUEST_URI without its query; `script` is SCRIPT_FILENAME or NULL. Held until catalog_release, so
 * that a reload never pulls it away. RC_NOTFOUND, RC_INVALID where the file there never loaded, RC_NOMEM. */
enum rc catalog_find(struct catalog *catalog, const char *path, const char *script, const struct endpoint **out) MUST_CHECK;
void catalog_release(struct catalog *catalog, const struct endpoint *endpoint);

/* How many endpoints serve, and how many files do not load in their present state: as they are now, those among them that other processes of the pool have
 * complained of. What is wrong with them is then on the shelf. */
void catalog_count(struct catalog *catalog, unsigned *serving, unsigned *broken);

/* What the shelf has of them, as shelf_complaints, without the files of a directory that was the pool's before a reload. */
const struct shelf_complaint *catalog_complaints(struct catalog *catalog, struct arena *arena, unsigned *count);

#endif
