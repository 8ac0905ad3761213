/*
 * frontmatter_fuzz.c - libFuzzer on front matter: any text is read as a file's; what loads must be within the ranges that are promised.
 *
 * Built with clang -fsanitize=fuzzer,address,undefined; t/fuzz/run does it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "prompt/frontmatter.h"

#define ARENA_MAX (32u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct endpoint *endpoint, const struct frontmatter_body *body, const char *text, size_t size)
{
	require(body->text >= text && body->text + body->len <= text + size && body->line >= 1 && body->column >= 1);
	require(endpoint->temperature >= 0 && endpoint->temperature <= 2 && endpoint->top_p <= 1);
	require(endpoint->max_tokens >= 1 && endpoint->max_tokens <= 1000000);
	require(endpoint->feature[0] != '\0' && endpoint->answer[0] != '\0');
	require(endpoint->fallback_count <= ENDPOINT_FALLBACK_MAX);
	require(endpoint->rate.count >= 0 && (endpoint->rate.count == 0 || endpoint->rate.period_s > 0) && endpoint->rate.burst >= 0);
	require(endpoint->cache.ttl_s > 0);
	require(endpoint->output == NULL || endpoint->format == OUTPUT_JSON);
}

/* The same file in a document root: it loads only if it would elsewhere, and asks for no more than it may. */
static void check_bounded(const char *text, size_t size, struct arena *arena, bool loads)
{
	static const struct endpoint_bounds bounds = {.models = "openai/*", .max_tokens = 100, .rate = {10, 60, 5}};
	struct endpoint endpoint = {.name = "fuzz", .arena = arena, .bounds = &bounds};
	struct frontmatter_body body = {.text = NULL};
	struct diagnostics list;
	enum rc rc;

	diagnostics_init(&list, arena, "fuzz.prompt");
	rc = frontmatter_read(&endpoint, text, size, &body, &list);
	if (rc != RC_OK)
		return;
	require(loads);
	require(endpoint.max_tokens <= 100 && endpoint.rate.count > 0 && endpoint.rate.burst <= 5);
	require((int64_t)endpoint.rate.count * 60 <= (int64_t)10 * endpoint.rate.period_s);
	require(endpoint.model == NULL || strncmp(endpoint.model, "openai/", 7) == 0);
	for (unsigned i = 0; i < endpoint.fallback_count; i++)
		require(strncmp(endpoint.fallback[i], "openai/", 7) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct endpoint endpoint = {.name = "fuzz", .arena = arena};
	struct frontmatter_body body = {.text = NULL};
	struct diagnostics list;
	const char *text;
	enum rc rc;

	if (arena == NULL)
		return 0;
	text = arena_strndup(arena, (const char *)bytes, size);
	diagnostics_init(&list, arena, "fuzz.prompt");
	/* The loader lets nothing else through. */
	if (text != NULL && str_utf8_valid(text, size) && memchr(text, '\0', size) == NULL) {
		rc = frontmatter_read(&endpoint, text, size, &body, &list);
		if (rc == RC_OK)
			check(&endpoint, &body, text, size);
		require(rc == RC_NOMEM || (rc == RC_OK) == (list.errors == 0));
		if (rc != RC_NOMEM)
			check_bounded(text, size, arena, rc == RC_OK);
		for (const struct diagnostic *d = list.first; d != NULL; d = d->next)
			require(d->message[0] != '\0' && d->line >= 1);
	}
	arena_free(arena);
	return 0;
}
