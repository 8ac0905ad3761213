/*
 * yaml_test.c - what YAML becomes, and what is refused where.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "port/yaml.h"
#include "unit.h"

static struct arena *arena;

static void set_up(void)
{
	arena = arena_new(4u << 20);
}

static void tear_down(void)
{
	arena_free(arena);
}

static const struct {
	const char *text, *json;
} good[] = {
	{"", "null"},
	{"# nothing\n", "null"},
	{"---\n", "null"},
	{"a: 1\nb: -2\nc: +3\n", "{\"a\":1,\"b\":-2,\"c\":3}"},
	{"[null, ~, Null, NULL]", "[null,null,null,null]"},
	{"a:", "{\"a\":null}"},
	{"[true, True, TRUE, false, False, FALSE]", "[true,true,true,false,false,false]"},
	{"[yes, no, on, off]", "[\"yes\",\"no\",\"on\",\"off\"]"},
	{"[1.5, .5, 1., 1e3, -1.5E-2, +.5e+1]", "[1.5,0.5,1,1000,-0.015,5]"},
	{"[0x1F, 0o17, 012]", "[31,15,12]"},
	{"[0x, 0o9, 1e, ., -, 1.2.3, 1_000]", "[\"0x\",\"0o9\",\"1e\",\".\",\"-\",\"1.2.3\",\"1_000\"]"},
	{"92233720368547758070", "92233720368547760000"},
	{"[0x8000000000000000, 0xffFFffFFffFFffFF, 0o1000000000000000000000]", "[9223372036854776000,18446744073709552000,9223372036854776000]"},
	{"['1', \"true\", \"\", '~']", "[\"1\",\"true\",\"\",\"~\"]"},
	{"a: |\n  x\n  y\nb: >\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\\n\"}"},
	{"a: {b: [c, {d: e}]}\r\nf: g\r\n", "{\"a\":{\"b\":[\"c\",{\"d\":\"e\"}]},\"f\":\"g\"}"},
	{"(*): any, what?\nx?(array, some): string\n", "{\"(*)\":\"any, what?\",\"x?(array, some)\":\"string\"}"},
	{"1: a\nnull: b\n", "{\"1\":\"a\",\"null\":\"b\"}"},
	{"\"é\\u263a\"", "\"é☺\""},
};

START_TEST(reads)
{
	struct yaml_error error = {.reason = "?"};
	struct value *value;
	struct buf buf;
	enum rc rc = yaml_parse(arena, good[_i].text, strlen(good[_i].text), &value, &error);

	ck_assert_msg(rc == RC_OK, "%u:%u %s", error.line, error.column, error.reason);
	buf_init(&buf, arena, 4096);
	ck_assert_int_eq(value_write(&buf, value, 0), RC_OK);
	ck_assert_str_eq(buf_text(&buf), good[_i].json);
}
END_TEST

static const struct {
	const char *text;
	unsigned line, column;
	const char *reason;
} bad[] = {
	{"a: 1\na: 2\n", 2, 1, "the key \"a\" is given twice"},
	{"x: &a 1\n", 1, 4, "anchors and tags are not supported"},
	{"x: !!str 1\n", 1, 4, "anchors and tags are not supported"},
	{"x: &a [1]\n", 1, 4, "anchors and tags are not supported"},
	{"x: !t {a: 1}\n", 1, 4, "anchors and tags are not supported"},
	{"&a x: 1\n", 1, 1, "anchors and tags are not supported"},
	{"- *a\n", 1, 3, "aliases are not supported"},
	{"*a : 1\n", 1, 1, "aliases are not supported"},
	{"? [a]\n: 1\n", 1, 3, "a key must be plain text"},
	{"a\n---\nb\n", 2, 1, "only one document is allowed"},
	{"x: 1e400\n", 1, 4, "the number is too large; put it in quotes if text is meant"},
	{"x: [-1e999]\n", 1, 5, "the number is too large; put it in quotes if text is meant"},
	{"x: .inf\n", 1, 4, "JSON has no such number; put it in quotes if text is meant"},
	{"x: -.INF\n", 1, 4, "JSON has no such number; put it in quotes if text is meant"},
	{"x: .nan\n", 1, 4, "JSON has no such number; put it in quotes if text is meant"},
	{"a: [1, 2\n", 2, 1, NULL},
	{"a: b: c\n", 1, 5, NULL},
	{"a: 1\nb: \"x\nc: 3\n", 4, 1, "while scanning a quoted scalar (from line 2): found unexpected end of stream"},
	{"a: {b: [1,\nc: 3\n", 3, 1, "while parsing a flow sequence (from line 1): did not find expected ',' or ']'"},
	{"\ta: 1\n", 1, 1, NULL},
	{"a: \"\\q\"\n", 1, 5, NULL},
	{"a: \x01\n", 1, 4, "control characters are not allowed"},
	{"a: 1\nb: 2\r\nc: 3\rd: é\x0c\n", 4, 5, "control characters are not allowed"},
	{"# é\n\x7f", 2, 1, "control characters are not allowed"},
	{"a: 1\nb: \xff\n", 2, 4, "invalid leading UTF-8 octet"},
};

START_TEST(refuses)
{
	struct yaml_error error = {.reason = NULL};
	struct value *value;

	ck_assert_int_eq(yaml_parse(arena, bad[_i].text, strlen(bad[_i].text), &value, &error), RC_INVALID);
	ck_assert_ptr_nonnull(error.reason);
	ck_assert_uint_ge(error.line, 1);
	if (bad[_i].reason != NULL)
		ck_assert_str_eq(error.reason, bad[_i].reason);
	if (bad[_i].reason != NULL) {
		ck_assert_uint_eq(error.line, bad[_i].line);
		ck_assert_uint_eq(error.column, bad[_i].column);
	}
}
END_TEST

START_TEST(knows_places)
{
	static const char text[] = "a: 1\nb:\n  - x\n  - 'y'\n";
	const struct value *list;
	struct value *value;

	ck_assert_int_eq(yaml_parse(arena, text, sizeof text - 1, &value, NULL), RC_OK);
	list = value_get(value, "b");
	ck_assert_uint_eq(value->u.object.members[1].line, 2);
	ck_assert_uint_eq(value->u.object.members[1].column, 1);
	ck_assert_uint_eq(list->u.array.items[1]->line, 4);
	ck_assert_uint_eq(list->u.array.items[1]->column, 5);
	ck_assert(!list->u.array.items[0]->quoted);
	ck_assert(list->u.array.items[1]->quoted);
}
END_TEST

static enum rc nest(unsigned depth, struct yaml_error *error)
{
	char text[2 * YAML_DEPTH_MAX + 8] = "";
	struct value *value;

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return yaml_parse(arena, text, 2 * depth, &value, error);
}

START_TEST(bounds_the_depth)
{
	struct yaml_error error;

	ck_assert_int_eq(nest(YAML_DEPTH_MAX, &error), RC_OK);
	ck_assert_int_eq(nest(YAML_DEPTH_MAX + 1, &error), RC_INVALID);
	ck_assert_str_eq(error.reason, "nested too deeply");
}
END_TEST

START_TEST(bounds_the_keys)
{
	struct yaml_error error;
	struct value *value;
	struct buf buf;

	buf_init(&buf, arena, 1u << 20);
	for (unsigned i = 0; i < 2001; i++)
		buf_printf(&buf, "k%u: 1\n", i);
	ck_assert_int_eq(yaml_parse(arena, buf.data, buf.len, &value, &error), RC_INVALID);
	ck_assert_str_eq(error.reason, "too many keys in one mapping");
	ck_assert_uint_eq(error.line, 2001);
}
END_TEST

START_TEST(ends_with_its_arena)
{
	static const char text[] = "a: [1, 2, 3, 4, 5]\nb: {c: d, e: f}\n\"g\": 'h'\n";
	struct value *value;
	enum rc rc = RC_NOMEM;

	for (size_t room = 0; rc == RC_NOMEM && room < 4096; room += 16) {
		struct arena *small = arena_new(room);

		rc = yaml_parse(small, text, sizeof text - 1, &value, NULL);
		arena_free(small);
	}
	ck_assert_int_eq(rc, RC_OK);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("yaml");
	TCase *tc = tcase_create("yaml");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, reads, 0, (int)COUNT_OF(good));
	tcase_add_loop_test(tc, refuses, 0, (int)COUNT_OF(bad));
	tcase_add_test(tc, knows_places);
	tcase_add_test(tc, bounds_the_depth);
	tcase_add_test(tc, bounds_the_keys);
	tcase_add_test(tc, ends_with_its_arena);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
