/*
 * schema_fuzz.c - libFuzzer on schemas: any YAML is loaded as one, what loads checks a value, makes a sample, and takes the sample back.
 *
 * The input is a schema, and behind a NUL the JSON that it checks. Built with clang -fsanitize=fuzzer,address,undefined; t/fuzz/run does it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "port/json.h"
#include "port/yaml.h"
#include "prompt/schema.h"

#define ARENA_MAX (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_value(const struct schema *schema, struct arena *arena, const struct value *value)
{
	const struct schema_limits limits = {.max_string = 20, .max_items = 3};
	struct schema_faults faults;
	enum rc rc = schema_check(schema, arena, value, NULL, &faults);

	require(rc == RC_NOMEM || (rc == RC_OK) == (faults.count == 0));
	for (unsigned i = 0; i < faults.count; i++) {
		require(faults.items[i].path[0] == '\0' || faults.items[i].path[0] == '/');
		require(faults.items[i].reason[0] != '\0' && str_utf8_valid(faults.items[i].path, strlen(faults.items[i].path)));
	}
	/* Caps only ever take more away. */
	require(schema_check(schema, arena, value, &limits, &faults) != RC_OK || rc == RC_OK);
	(void)schema_from_strict(schema, arena, value);
}

static void check_schema(const struct schema *schema, struct arena *arena, const char *text, size_t size)
{
	const struct value *sample = schema_sample(schema, arena);
	struct schema_faults faults;
	struct value *value;

	if (sample != NULL)
		require(schema_check(schema, arena, sample, NULL, &faults) != RC_INVALID);
	if (schema_strict(schema) != NULL)
		require(value_get(schema_strict(schema), "additionalProperties") != NULL);
	if (json_parse(arena, text, size, &value, NULL) == RC_OK)
		check_value(schema, arena, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes, *nul = memchr(text, '\0', size);
	size_t n = nul == NULL ? size : (size_t)(nul - text);
	struct arena *arena = arena_new(ARENA_MAX);
	struct schema *schema;
	struct value *source;
	struct diagnostics list;
	enum rc rc;

	if (arena == NULL)
		return 0;
	diagnostics_init(&list, arena, "fuzz.prompt");
	if (str_utf8_valid(text, n) && yaml_parse(arena, text, n, &source, NULL) == RC_OK) {
		rc = schema_load(arena, source, NULL, &schema, &list);
		require(rc == RC_NOMEM || (rc == RC_OK) == (list.errors == 0));
		if (rc == RC_OK)
			check_schema(schema, arena, nul == NULL ? "{}" : nul + 1, nul == NULL ? 2 : size - n - 1);
	}
	arena_free(arena);
	return 0;
}
