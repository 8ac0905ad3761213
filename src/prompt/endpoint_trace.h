/*
 * endpoint_trace.h - which files an endpoint was made from, and in what state they were: how the catalog knows that one has changed.
 */
#ifndef PROMPT_ENDPOINT_TRACE_H
#define PROMPT_ENDPOINT_TRACE_H

#include "prompt/endpoint.h"

#define ENDPOINT_NAME_MAX 64u

/* All zero where there is no file. */
struct endpoint_stamp {
	uint64_t device, inode;
	int64_t size;
	struct timespec modified, changed;
};

struct endpoint_trace {
	struct endpoint_stamp file;
	bool linked; /* the file, or a partial, is a symbolic link, has a second name or is mounted there: changes happen elsewhere */
	bool unread; /* the file, or a partial, was there and could not be read: what kept it from that may pass without it changing */
	struct {
		char name[ENDPOINT_NAME_MAX + 1];
		struct endpoint_stamp stamp;
	} partials[ENDPOINT_PARTIALS_MAX];
	unsigned partial_count;
};

/* As endpoint_load; the trace is filled in as far as loading came, also where it fails. */
enum rc endpoint_load_traced(const char *file, const struct endpoint_bounds *bounds, struct endpoint **out, struct diagnostics *list,
                             struct endpoint_trace *trace) MUST_CHECK;

/* Whether file and partials are as they were traced. */
bool endpoint_trace_holds(const char *file, const struct endpoint_trace *trace);

/* Whether they may change unseen by who watches their directory: they were links when they were traced, or have been given a second name or another place since, of which
 * their directory is told nothing. */
bool endpoint_trace_linked(const char *file, const struct endpoint_trace *trace);

/* Whether a name may be an endpoint's or a partial's: letters, digits, '-', '_' and '.', up to ENDPOINT_NAME_MAX; an endpoint's begins with a letter or
 * digit, a partial's with anything but '.'. It becomes part of paths, headers and log lines. */
bool endpoint_name_valid(const char *name, size_t n, bool partial);

#endif
