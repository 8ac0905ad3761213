/*
 * provider.h - what a provider of models is: one function that turns messages into text and says truthfully what it used.
 *
 * A new provider is one file with one `struct provider`, and one row in provider.c.
 */
#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include "port/http.h"
#include "prompt/message.h"
#include "prompt/schema.h"

/* Tokens as the provider counts them. Cached and reasoning tokens are parts of prompt and completion here, whatever the provider's own protocol does. */
struct usage {
	int64_t prompt;
	int64_t cached;     /* of prompt: read from the provider's cache */
	int64_t completion;
	int64_t reasoning;  /* of completion */
	bool reported;      /* by the provider; false where nothing (or nonsense) was reported */
};

enum stop_reason { STOP_NONE, STOP_END, STOP_LENGTH, STOP_FILTER, STOP_OTHER };

/* Why it did not work; the catalogue of problems has a row for each. */
enum provider_fault {
	FAULT_NONE,
	FAULT_KEY,         /* 401, 403: our key is refused */
	FAULT_BUSY,        /* 429 */
	FAULT_UNAVAILABLE, /* 5xx */
	FAULT_UPSTREAM,    /* an error where an answer should be */
	FAULT_REQUEST,     /* any other 4xx: the provider did not take our request */
	FAULT_UNREACHABLE, /* no connection, TLS not to be trusted */
	FAULT_TIMEOUT,     /* silence, or the deadline */
	FAULT_BROKEN,      /* cut in the middle, garbage */
	FAULT_CALLER,      /* the caller left */
	FAULT_OURS,        /* out of memory, answer past our cap, a callback said stop */
};

struct provider_request {
	const char *model; /* without the provider's name: "gpt-4o-mini" */
	const struct messages *messages;
	double temperature, top_p; /* negative: leave it out */
	int max_tokens;
	const struct value *stop;    /* array of strings, or NULL */
	const struct schema *output; /* not NULL: JSON after this schema is wanted */
	bool json;                   /* JSON is wanted, schema or not */
	bool stream;
	const char *request_id;
	int64_t deadline_us;
	int idle_ms, watch_fd, tick_ms; /* as in struct http_call */

	/* Text as it comes, in whole UTF-8 characters: many times where streamed, once for each part where not. A result other than RC_OK cancels the call. */
	enum rc (*on_text)(void *user, const char *text, size_t n);
	enum rc (*on_rest)(void *user); /* no more text is at hand for now: what has been handed over is to go out. May be NULL */
	enum rc (*on_tick)(void *user); /* may be NULL */
	void *user;
};

struct provider_result {
	enum provider_fault fault;
	enum stop_reason stop;
	struct usage usage;
	bool sent;           /* anything may have reached the provider; where not, nothing was spent */
	int status;          /* HTTP status, 0 where none came */
	int retry_after_s;
	int64_t first_text_us; /* from the start of the call; 0 where none came */
	size_t text_bytes;   /* handed to on_text */
	const char *detail;  /* our own words or libcurl's, never the upstream's: for the log */
};

/* A provider as this process reaches it. */
struct provider_access {
	const struct provider *provider;
	struct http_pool *http;
	const char *base_url; /* "https://api.openai.com/v1", no slash at its end; NULL where the provider needs none */
	const char *api_key;  /* NULL for none: no Authorization is sent then */
};

struct provider {
	const char *name; /* "openai" */
	/* RC_OK, or the first failure; `result` is filled in every case, and its fault is FAULT_NONE exactly with RC_OK. */
	enum rc (*generate)(const struct provider_access *access, struct arena *arena, const struct provider_request *request, struct provider_result *result);
};

/* By name; NULL for none. */
const struct provider *provider_find(const char *name);

/* "key", "busy", "timeout"… Static storage. */
const char *provider_fault_name(enum provider_fault fault);

#define PROVIDER_TEXT_MAX (1u << 20)   /* bytes of one answer */
#define PROVIDER_ANSWER_MAX (4u << 20) /* bytes of one plain HTTP answer around it */

#endif
