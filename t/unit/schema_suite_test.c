/*
 * schema_suite_test.c - the draft 7 tests of Debian's json-schema-test-suite, as far as they ask about supported keywords.
 *
 * JSON_SCHEMA_TEST_SUITE names the suite's `tests/draft7` directory where it is not at the package's place. A group whose schema does not load
 * because of something unsupported is left out and counted under that keyword; a group that loads must agree in every case.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "port/json.h"
#include "prompt/schema.h"

#define DIRECTORY "/usr/share/json-schema-test-suite/tests/draft7"
#define LEFT_MAX 100u

static unsigned tests, failures, ran, left_out;

static struct {
	char why[80];
	unsigned count;
} left[LEFT_MAX];
static unsigned left_count;

static void leave_out(const char *why, unsigned count)
{
	unsigned i;

	left_out += count;
	for (i = 0; i < left_count; i++)
		if (str_eq(left[i].why, why))
			break;
	if (i == LEFT_MAX)
		return;
	if (i == left_count)
		snprintf(left[left_count++].why, sizeof left[0].why, "%s", why);
	left[i].count += count;
}

static struct value *read_json(struct arena *arena, const char *file)
{
	FILE *in = fopen(file, "r");
	char *text = arena_alloc(arena, 1u << 20);
	struct value *value = NULL;
	struct json_error error = {0};
	size_t n;

	if (in == NULL || text == NULL)
		return NULL;
	n = fread(text, 1, (1u << 20) - 1, in);
	fclose(in);
	if (json_parse(arena, text, n, &value, &error) == RC_OK)
		return value;
	leave_out(error.reason, 1);
	return NULL;
}

/* The first word in quotes of a complaint is the keyword or format; else the complaint itself. */
static const char *reason_of(struct arena *arena, const struct diagnostics *list)
{
	const char *message = list->first == NULL ? "out of memory" : list->first->message, *open = strchr(message, '"'), *shut;
	const char *kind = str_starts(message, "unsupported format") ? "format " : "";

	if (open == NULL || (!str_starts(message, "unsupported schema keyword") && !str_starts(message, "unsupported format")))
		return message;
	shut = strchr(open + 1, '"');
	return arena_printf(arena, "%s%.*s", kind, shut == NULL ? 20 : (int)(shut - open - 1), open + 1);
}

static bool unsupported(const struct diagnostics *list)
{
	static const char *const known[] = {
		"unsupported", "items must be one schema", "$ref must point into", "beside $ref would be ignored", "only at the top", "$ref \"",
	};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (list->first != NULL && strstr(list->first->message, known[i]) != NULL)
			return true;
	return false;
}

static void run_case(struct arena *arena, const struct schema *schema, const struct value *one, const char *file, const char *group)
{
	const struct value *valid = value_get(one, "valid"), *data = value_get(one, "data");
	struct schema_faults faults;
	bool passes = schema_check(schema, arena, data, NULL, &faults) == RC_OK;

	tests++;
	ran++;
	if (passes == valid->u.boolean) {
		printf("ok %u - %s: %s: %s\n", tests, file, group, value_text(value_get(one, "description"), "?"));
		return;
	}
	failures++;
	printf("not ok %u - %s: %s: %s\n", tests, file, group, value_text(value_get(one, "description"), "?"));
}

static void run_group(const struct value *group, const char *file)
{
	struct arena *arena = arena_new(16u << 20);
	const struct value *cases = value_get(group, "tests");
	const char *name = value_text(value_get(group, "description"), "?");
	struct diagnostics list;
	struct schema *schema = NULL;

	diagnostics_init(&list, arena, file);
	if (schema_load_json(arena, value_get(group, "schema"), &schema, &list) == RC_OK) {
		for (size_t i = 0; i < cases->u.array.count; i++)
			run_case(arena, schema, cases->u.array.items[i], file, name);
	} else if (unsupported(&list)) {
		leave_out(reason_of(arena, &list), (unsigned)cases->u.array.count);
	} else {
		printf("not ok %u - %s: %s does not load: %s\n", ++tests, file, name, reason_of(arena, &list));
		failures++;
	}
	arena_free(arena);
}

/* A file is about one keyword, or one format, and bears its name. */
static void run_file(const char *directory, const char *name)
{
	unsigned ran_before = ran, left_before = left_out;
	struct arena *arena = arena_new(64u << 20);
	char *file = arena_printf(arena, "%s/%s", directory, name);
	struct value *groups = file == NULL ? NULL : read_json(arena, file);

	for (size_t i = 0; groups != NULL && i < groups->u.array.count; i++)
		run_group(groups->u.array.items[i], name);
	printf("# %.*s: %u ran, %u left out\n", (int)(strlen(name) - strlen(".json")), name, ran - ran_before, left_out - left_before);
	arena_free(arena);
}

static int is_json(const struct dirent *entry)
{
	const char *end = strrchr(entry->d_name, '.');

	return end != NULL && str_eq(end, ".json");
}

static int run_directory(const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_json, alphasort);

	for (int i = 0; i < count; i++) {
		run_file(directory, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return count;
}

int main(void)
{
	const char *directory = getenv("JSON_SCHEMA_TEST_SUITE");
	char formats[4096];

	if (directory == NULL)
		directory = DIRECTORY;
	if (run_directory(directory) < 0) {
		printf("1..0 # SKIP no draft 7 tests in %s (Debian package json-schema-test-suite)\n", directory);
		return 0;
	}
	snprintf(formats, sizeof formats, "%s/optional/format", directory);
	run_directory(formats);
	if (ran == 0) {
		printf("not ok %u - some cases ran\n", ++tests);
		failures++;
	}
	printf("1..%u\n# %u cases ran, %u did not agree; %u were left out, by what they need:\n", tests, ran, failures, left_out);
	for (unsigned i = 0; i < left_count; i++)
		printf("#   %4u %s\n", left[i].count, left[i].why);
	return failures == 0 ? 0 : 1;
}
