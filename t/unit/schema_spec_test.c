/*
 * schema_spec_test.c - the cases of Dotprompt's own specification that speak of schemas, from the directory that DOTPROMPT_SPEC names.
 *
 * Each .yaml file there, folders included, holds suites: a template whose front matter has schemas, perhaps named schemas, and tests that expect
 * them as JSON Schema. The cases about messages are spec_test's matter.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "port/yaml.h"
#include "prompt/schema.h"

#define FILE_MAX (1u << 20)

static unsigned cases, failures, files;

static struct value *parse(struct arena *arena, const char *text, size_t n, const char *what)
{
	struct yaml_error error = {.reason = "out of memory"};
	struct value *value = NULL;

	if (yaml_parse(arena, text, n, &value, &error) == RC_OK)
		return value;
	printf("not ok %u - %s: %u:%u: %s\n", ++cases, what, error.line, error.column, error.reason);
	failures++;
	return NULL;
}

/* What stands between the fences, however the lines end. */
static const struct value *front_matter(struct arena *arena, const char *template)
{
	const char *start = str_starts(template, "---") ? template + 3 : NULL, *end = start == NULL ? NULL : strstr(start, "\n---");

	return end == NULL ? NULL : parse(arena, start, (size_t)(end + 1 - start), "front matter");
}

static void compare(struct arena *arena, const struct value *source, const struct value *named, const struct value *expected, const char *what)
{
	struct diagnostics list;
	struct schema *schema = NULL;
	struct buf buf;
	bool good;

	diagnostics_init(&list, arena, what);
	buf_init(&buf, arena, 1u << 16);
	good = source != NULL && schema_load(arena, source, named, &schema, &list) == RC_OK && value_equal(schema_json(schema), expected);
	failures += !good;
	printf("%sok %u - %s\n", good ? "" : "not ", ++cases, what);
	if (!good && schema != NULL && value_write(&buf, schema_json(schema), 0) == RC_OK)
		printf("# made: %s\n", buf_text(&buf));
	if (!good && list.first != NULL)
		printf("# %s\n", diagnostic_text(arena, list.first));
}

static void run_suite(struct arena *arena, const struct value *suite, const char *file)
{
	static const char *const sides[] = {"input", "output"};
	const struct value *front = front_matter(arena, value_text(value_get(suite, "template"), "")), *tests = value_get(suite, "tests");

	for (size_t i = 0; tests != NULL && i < tests->u.array.count; i++) {
		for (size_t j = 0; j < COUNT_OF(sides); j++) {
			const struct value *test = tests->u.array.items[i];
			const struct value *expected = value_get(value_get(value_get(test, "expect"), sides[j]), "schema");
			const char *what = arena_printf(arena, "%s: %s: %s: %s", file, value_text(value_get(suite, "name"), "?"),
			                                value_text(value_get(test, "desc"), "?"), sides[j]);

			if (expected != NULL)
				compare(arena, value_get(value_get(front, sides[j]), "schema"), value_get(suite, "schemas"), expected, what);
		}
	}
}

static int run_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	struct arena *arena = arena_new(64u << 20);
	const char *name = path + at->base, *end = strrchr(name, '.');
	FILE *in = type == FTW_F && end != NULL && str_eq(end, ".yaml") ? fopen(path, "r") : NULL;
	char *text = arena_alloc(arena, FILE_MAX);
	struct value *suites = NULL;

	(void)st;
	if (in != NULL && text != NULL) {
		files++;
		suites = parse(arena, text, fread(text, 1, FILE_MAX, in), name);
	}
	if (in != NULL)
		fclose(in);
	for (size_t i = 0; suites != NULL && suites->type == VALUE_ARRAY && i < suites->u.array.count; i++)
		run_suite(arena, suites->u.array.items[i], name);
	arena_free(arena);
	return 0;
}

int main(void)
{
	const char *directory = getenv("DOTPROMPT_SPEC");

	if (directory == NULL || *directory == '\0') {
		printf("1..0 # SKIP DOTPROMPT_SPEC names no directory with Dotprompt's specification\n");
		return 0;
	}
	if (nftw(directory, run_file, 16, FTW_PHYS) != 0 || files == 0) {
		printf("1..1\nnot ok 1 - no .yaml file can be read in %s\n", directory);
		return 1;
	}
	printf("1..%u\n# %u schemas of %u files\n", cases, cases, files);
	return failures == 0 ? 0 : 1;
}
