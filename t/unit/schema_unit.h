/*
 * schema_unit.h - what the tests of schemas share: an arena for each test, schemas and values from JSON that can be read in C, and how they are compared.
 */
#ifndef UNIT_SCHEMA_UNIT_H
#define UNIT_SCHEMA_UNIT_H

#include <check.h>
#include <string.h>

#include "port/json.h"
#include "prompt/schema.h"

static struct arena *arena;
static struct diagnostics list;

static inline void set_up(void)
{
	arena = arena_new(64u << 20);
	diagnostics_init(&list, arena, "x.prompt");
}

static inline void tear_down(void)
{
	arena_free(arena);
}

/* JSON, in which ' may stand for ". */
static inline struct value *json(const char *text)
{
	char *copy = arena_strdup(arena, text);
	struct value *value = NULL;

	for (char *c = copy; *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	ck_assert_msg(json_parse(arena, copy, strlen(copy), &value, NULL) == RC_OK, "%s", text);
	return value;
}

/* A schema in JSON, which loads. */
static inline struct schema *load_json(const char *source)
{
	struct schema *schema = NULL;

	ck_assert_msg(schema_load_json(arena, json(source), &schema, &list) == RC_OK, "%s", list.first == NULL ? source : list.first->message);
	return schema;
}

static inline const char *print(const struct value *value)
{
	struct buf buf;

	buf_init(&buf, arena, 1u << 20);
	ck_assert_int_eq(value_write(&buf, value, 0), RC_OK);
	return buf_text(&buf);
}

static inline void same(const struct value *made, const char *expected)
{
	ck_assert_msg(value_equal(made, json(expected)), "%s", print(made));
}

#endif
