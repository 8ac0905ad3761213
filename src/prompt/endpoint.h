/*
 * endpoint.h - one `.prompt` file, loaded: everything the pipeline needs to know, const from then on.
 */
#ifndef PROMPT_ENDPOINT_H
#define PROMPT_ENDPOINT_H

#include <time.h>

#include "prompt/endpoint_bounds.h"
#include "prompt/schema.h"
#include "prompt/template.h"

enum output_format { OUTPUT_TEXT, OUTPUT_JSON };
enum cache_scope { CACHE_OFF, CACHE_SHARED, CACHE_ORGANIZATION, CACHE_SUPPLIER };

#define ENDPOINT_FALLBACK_MAX 4
#define ENDPOINT_DIGEST_SIZE 65
#define ENDPOINT_PARTIALS_MAX 32u

/* What an endpoint is made from: its file, under the name "", then each partial. */
struct endpoint_text {
	const char *name, *bytes;
	size_t len;
};

struct endpoint {
	const char *name;    /* the file's name without ".prompt": "generate-form" */
	const char *file;    /* its path */
	const struct endpoint_bounds *bounds; /* it is held to these; NULL for none. They live as long as it does */
	char version[ENDPOINT_DIGEST_SIZE]; /* SHA-256 over its text and its partials' */

	const char *model;   /* "openai/gpt-4o-mini"; NULL for the pool's default_model */
	const char *fallback[ENDPOINT_FALLBACK_MAX];
	unsigned fallback_count;

	double temperature;  /* 0 to 2; 0.7 unless the file says otherwise */
	double top_p;        /* 0 to 1; negative where the file says nothing */
	int max_tokens;      /* config.maxOutputTokens; 1000 unless the file says otherwise */
	const struct value *stop; /* config.stopSequences, an array of strings, or NULL */

	const struct schema *input;         /* NULL: any object */
	const struct value *input_default;  /* object, or NULL */
	bool blank;                         /* it has no body: no input makes a message */
	bool converses;                     /* it takes turns of a conversation from its callers: has a {{history}}, or an input schema with such a member */
	bool streams;                       /* its input schema has a boolean member `stream`, and its output is no JSON */
	enum output_format format;
	const struct schema *output;        /* NULL: any */

	const char *feature; /* fpm.feature; the name with '-' as '_' unless the file says otherwise */
	const char *answer;  /* fpm.answer: the member of the JSON answer; "result" unless the file says otherwise */
	struct rate rate;    /* fpm.rate; count 0: no rate limit of its own */
	struct {
		enum cache_scope scope; /* CACHE_SUPPLIER unless the file says otherwise */
		int ttl_s;              /* a day unless the file says otherwise */
	} cache;

	const struct template *template;
	const struct value *prompt; /* what it sees as @metadata.prompt */
	const struct endpoint_text *texts;
	unsigned text_count;
	struct arena *arena; /* everything above lives in it */

	struct { /* the catalog's bookkeeping, nobody else's */
		unsigned holds;
		bool retired;
	} catalog;
};

/* Reads and compiles a file, within bounds (NULL for none). The result is const and owned by the caller: endpoint_free. RC_INVALID with the reasons in `list` (whose arena must
 * outlive the call, not the endpoint's), RC_SYS when it cannot be read (with a reason in `list` too), RC_NOMEM. */
enum rc endpoint_load(const char *file, const struct endpoint_bounds *bounds, struct endpoint **out, struct diagnostics *list) MUST_CHECK;
/* The same from texts that are at hand, whatever the files hold by now. */
enum rc endpoint_load_texts(const char *file, const struct endpoint_bounds *bounds, const struct endpoint_text *texts, unsigned count,
                            struct endpoint **out, struct diagnostics *list) MUST_CHECK;
void endpoint_free(struct endpoint *endpoint);

/* What the caller sent, with the file's defaults under it (top-level members only). `sent` is an object or NULL. NULL when out of memory. */
const struct value *endpoint_input(const struct endpoint *endpoint, struct arena *arena, const struct value *sent);

/* Renders the messages for such an input. As template_render. */
enum rc endpoint_render(const struct endpoint *endpoint, struct arena *arena, const struct template_data *data, struct messages *out) MUST_CHECK;

#endif
