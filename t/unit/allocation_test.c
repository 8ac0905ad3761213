/*
 * allocation_test.c - a request's own work allocates in its arena and nowhere else.
 *
 * The allocator's functions are overlaid here, and each call is counted by who makes it: our code, the C library (on whose behalf?) or another library, whose
 * allocations are its own. arena.c is compiled into this file, so that its chunks can be told from all the rest.
 */
#include <check.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
int main(void)
{
	puts("1..0 # SKIP sanitizers have an allocator of their own");
	return 0;
}
#else

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t n);

static size_t chunks;

static void *chunk_malloc(size_t n)
{
	chunks++;
	return __libc_malloc(n);
}

static void *chunk_calloc(size_t count, size_t size)
{
	chunks++;
	return __libc_calloc(count, size);
}

#define malloc chunk_malloc
#define calloc chunk_calloc
#include "../../src/base/arena.c"
#undef malloc
#undef calloc

#include "port/json.h"
#include "prompt/endpoint.h"
#include "unit.h"

extern const char __executable_start, etext;

static bool counting;
static unsigned ours, libc, others;

static void count(const void *caller)
{
	Dl_info info;

	if (!counting)
		return;
	counting = false; /* dladdr may allocate */
	if ((const char *)caller >= &__executable_start && (const char *)caller < &etext)
		ours++;
	else if (dladdr(caller, &info) != 0 && strstr(info.dli_fname, "libc.so") != NULL)
		libc++;
	else
		others++;
	counting = true;
}

void *malloc(size_t n)
{
	count(__builtin_return_address(0));
	return __libc_malloc(n);
}

void *calloc(size_t items, size_t size)
{
	count(__builtin_return_address(0));
	return __libc_calloc(items, size);
}

void *realloc(void *p, size_t n)
{
	count(__builtin_return_address(0));
	return __libc_realloc(p, n);
}

static const struct {
	const char *name, *input;
} endpoints[] = {
	{"generate-email-template", "{\"templateType\":\"payment reminder\",\"context\":{\"recipientType\":\"couple\",\"occasion\":\"second instalment\",\"tone\":\"warm\","
	                            "\"customInstructions\":\"Mention that the balance can be paid by card.\"},\"stream\":false}"},
	{"generate-form", "{\"vendorType\":\"photographer\",\"formPurpose\":\"booking inquiry\",\"requiredFields\":[\"name\",\"date\"]}"},
	{"generate-content", "{\"contentType\":\"social post\",\"topic\":\"rain plans\",\"audience\":\"couples\",\"tone\":\"light\"}"},
	{"chat", "{\"message\":\"And when it rains?\",\"history\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"Hello\"}]}"},
};

static struct arena *arena;
static struct endpoint *endpoint;
static struct value *sent;

static void set_up(const char *name, const char *input)
{
	const char *source = getenv("PROMPT_FPM_SRC");
	struct diagnostics list;

	arena = arena_new(8u << 20);
	diagnostics_init(&list, arena, name);
	ck_assert_int_eq(endpoint_load(arena_printf(arena, "%s/etc/endpoints/%s.prompt", source == NULL ? "." : source, name), NULL, &endpoint, &list), RC_OK);
	ck_assert_int_eq(json_parse(arena, input, strlen(input), &sent, NULL), RC_OK);
	ours = libc = others = 0;
	chunks = 0;
}

static void tear_down(void)
{
	endpoint_free(endpoint);
	arena_free(arena);
}

/* As the steps validate and render do. */
static enum rc serve(struct schema_faults *faults)
{
	struct template_data data = {.input = endpoint_input(endpoint, arena, sent)};
	const struct value *turns = value_get(data.input, "history");
	struct messages history, messages;
	const char *reason;
	enum rc rc = schema_check(endpoint->input, arena, data.input, NULL, faults);

	if (rc == RC_OK && turns != NULL)
		rc = message_read(arena, turns, &history, &reason);
	if (turns != NULL)
		data.history = &history;
	return rc == RC_OK ? endpoint_render(endpoint, arena, &data, &messages) : rc;
}

START_TEST(validating_and_rendering_stay_in_the_arena)
{
	struct schema_faults faults = {.count = 0};
	enum rc rc = RC_OK;
	size_t used;

	set_up(endpoints[_i].name, endpoints[_i].input);
	used = arena_used(arena);
	counting = true;
	for (unsigned i = 0; i < 50 && rc == RC_OK; i++)
		rc = serve(&faults);
	counting = false;
	ck_assert_int_eq(rc, RC_OK);
	ck_assert_uint_eq(ours, 0);
	ck_assert_uint_eq(libc, 0);
	ck_assert_uint_eq(others, 0);
	ck_assert_uint_gt(arena_used(arena), used);
	ck_assert_uint_gt(chunks, 0); /* it did need memory, and this is where it came from */
	tear_down();
}
END_TEST

/* What is wrong with an input is told from the arena, too. */
START_TEST(so_do_faults)
{
	struct schema_faults faults = {.count = 0};
	enum rc rc;

	set_up(endpoints[0].name, "{\"templateType\":7,\"context\":{\"tone\":[]},\"odd\":1}");
	counting = true;
	rc = serve(&faults);
	counting = false;
	ck_assert_int_eq(rc, RC_INVALID);
	ck_assert_uint_ge(faults.count, 3);
	ck_assert_uint_eq(ours + libc + others, 0);
	tear_down();
}
END_TEST

/* Parsing a body is json-c's work: what it allocates is its own, and gone when the body is parsed. */
START_TEST(parsing_is_the_librarys)
{
	struct value *again;
	enum rc rc;

	set_up(endpoints[0].name, endpoints[0].input);
	counting = true;
	rc = json_parse(arena, endpoints[0].input, strlen(endpoints[0].input), &again, NULL);
	counting = false;
	ck_assert_int_eq(rc, RC_OK);
	ck_assert_uint_eq(ours, 0);
	ck_assert_uint_gt(others, 0);
	tear_down();
}
END_TEST

/* The counter sees what it is here to see. */
START_TEST(the_counter_counts)
{
	char *volatile copy;

	counting = true;
	copy = strdup("by the C library, for us");
	free(copy);
	copy = malloc(10);
	counting = false;
	free(copy);
	ck_assert_uint_eq(ours, 1);
	ck_assert_uint_eq(libc, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("allocation");
	TCase *tc = tcase_create("allocation");

	tcase_add_loop_test(tc, validating_and_rendering_stay_in_the_arena, 0, COUNT_OF(endpoints));
	tcase_add_test(tc, so_do_faults);
	tcase_add_test(tc, parsing_is_the_librarys);
	tcase_add_test(tc, the_counter_counts);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
#endif
