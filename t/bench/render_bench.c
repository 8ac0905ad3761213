/*
 * render_bench.c - what an endpoint's own work costs per request: its input validated, its messages rendered. No network, no database.
 *
 *   render_bench [FILE.prompt [INPUT.json]]      the e-mail endpoint by default
 *
 * Prints microseconds per request: the median of many rounds, so that a busy machine shows in the slowest round only. Exit status 1 where it is more
 * than AIM_US.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "port/json.h"
#include "prompt/endpoint.h"

#define AIM_US 50.0
#define ROUNDS 41
#define PER_ROUND 500
#define FILE_MAX (1u << 20)

static const char usual_input[] =
	"{\"templateType\":\"payment reminder\",\"context\":{\"recipientType\":\"couple\","
	"\"occasion\":\"second instalment, due four weeks before the wedding\","
	"\"tone\":\"warm but clear\",\"customInstructions\":\"Mention that the balance can be paid by card.\"},\"stream\":false}";

struct work {
	const struct endpoint *endpoint;
	const char *body;
	size_t len;
	size_t messages, bytes, arena; /* of the last one */
};

/* One request's share, in an arena of its own. */
static enum rc serve(struct work *work, struct arena *arena)
{
	struct template_data data = {.input = NULL};
	struct schema_faults faults;
	struct messages messages;
	struct value *sent;
	enum rc rc = json_parse(arena, work->body, work->len, &sent, NULL);

	if (rc == RC_OK)
		data.input = endpoint_input(work->endpoint, arena, sent);
	if (rc == RC_OK && work->endpoint->input != NULL)
		rc = schema_check(work->endpoint->input, arena, data.input, NULL, &faults);
	if (rc == RC_OK)
		rc = endpoint_render(work->endpoint, arena, &data, &messages);
	if (rc != RC_OK)
		return rc;
	work->messages = messages.count;
	work->bytes = messages.bytes;
	work->arena = arena_used(arena);
	return RC_OK;
}

static int by_time(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Microseconds per request, of each round. */
static enum rc measure(struct work *work, double us[ROUNDS])
{
	enum rc rc = RC_OK;

	for (size_t round = 0; round < ROUNDS && rc == RC_OK; round++) {
		int64_t start = clock_us();

		for (unsigned i = 0; i < PER_ROUND && rc == RC_OK; i++) {
			struct arena *arena = arena_new(8u << 20);

			rc = arena == NULL ? RC_NOMEM : serve(work, arena);
			arena_free(arena);
		}
		us[round] = (double)(clock_us() - start) / PER_ROUND;
	}
	qsort(us, ROUNDS, sizeof *us, by_time);
	return rc;
}

static const char *read_input(struct arena *arena, const char *file, size_t *len)
{
	char *text = arena_alloc(arena, FILE_MAX);
	FILE *in = fopen(file, "r");

	if (in == NULL || text == NULL)
		return NULL;
	*len = fread(text, 1, FILE_MAX, in);
	fclose(in);
	return text;
}

static const char *usual_file(struct arena *arena)
{
	const char *src = getenv("PROMPT_FPM_SRC");

	return arena_printf(arena, "%s/etc/endpoints/generate-email-template.prompt", src == NULL ? "." : src);
}

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	return 1;
}

int main(int argc, char **argv)
{
	struct arena *arena = arena_new(8u << 20);
	const char *file = argc > 1 ? argv[1] : usual_file(arena);
	struct work work = {.body = usual_input, .len = sizeof usual_input - 1};
	struct endpoint *endpoint;
	struct diagnostics list;
	double us[ROUNDS];
	enum rc rc;

	diagnostics_init(&list, arena, file);
	if (argc > 2 && (work.body = read_input(arena, argv[2], &work.len)) == NULL)
		return fail(argv[2], "cannot be read");
	if (endpoint_load(file, NULL, &endpoint, &list) != RC_OK)
		return fail(file, list.first == NULL ? "does not load" : diagnostic_text(arena, list.first));
	work.endpoint = endpoint;
	rc = measure(&work, us);
	if (rc != RC_OK)
		return fail(file, rc_name(rc));
	printf("%s: %.1f us a request to parse, validate and render (fastest %.1f, slowest %.1f; aim %.0f): ", endpoint->name, us[ROUNDS / 2], us[0],
	       us[ROUNDS - 1], AIM_US);
	printf("%zu messages of %zu bytes, %zu bytes of arena\n", work.messages, work.bytes, work.arena);
	endpoint_free(endpoint);
	arena_free(arena);
	return us[ROUNDS / 2] <= AIM_US ? 0 : 1;
}
