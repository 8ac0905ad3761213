/*
 * shelf.h - what all workers of a daemon know of .prompt files together: the last good version of each, and which do not load now.
 *
 * It lies in memory that the master shares with its workers. So a file that breaks is served on by a worker that never saw it whole (the request before went to
 * another one, or the worker was started since), and is reported once and not by each of them.
 */
#ifndef PROMPT_SHELF_H
#define PROMPT_SHELF_H

#include "prompt/endpoint.h"

struct shelf;

#define SHELF_PATH_SIZE 512u
#define SHELF_MESSAGE_SIZE 512u

/* A file that does not load. */
struct shelf_complaint {
	char file[SHELF_PATH_SIZE];
	char at[SHELF_PATH_SIZE]; /* where the first error is: the file itself, or a partial */
	unsigned line, column;    /* of it; 0 where the whole file is meant */
	char message[SHELF_MESSAGE_SIZE];
	int64_t since;            /* seconds since 1970 */
	bool serving;             /* a last good version is served in its place */
	bool own;                 /* it lies in the directory that was the pool's then, not in a document root */
	uint64_t digest;          /* of all that is wrong with it */
};

/* Before the workers are forked; NULL when out of memory. Its functions may be called by any thread of any of the processes. */
struct shelf *shelf_new(void);
void shelf_free(struct shelf *shelf);

/* Puts a version in the place of what was kept of the file. The oldest ones go where there is no room. */
void shelf_keep(struct shelf *shelf, const char *file, const struct endpoint_text *texts, unsigned count);

/* Copies of what was kept. RC_NOTFOUND, RC_NOMEM. */
enum rc shelf_find(struct shelf *shelf, struct arena *arena, const char *file, struct endpoint_text **texts, unsigned *count) MUST_CHECK;

/* The file is gone: so is what was known of it. */
void shelf_forget(struct shelf *shelf, const char *file);

/* Notes what is wrong with a file. False where the same is known already. */
bool shelf_complain(struct shelf *shelf, const char *file, const struct diagnostics *list, bool serving, bool own);

/* It loads again. False where it was not known to be broken. */
bool shelf_mend(struct shelf *shelf, const char *file);

/* A copy of the complaints, the oldest first; NULL when out of memory. */
struct shelf_complaint *shelf_complaints(struct shelf *shelf, struct arena *arena, unsigned *count);

#endif
