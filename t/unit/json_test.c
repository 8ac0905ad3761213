/*
 * json_test.c - what the JSON reader takes, what it refuses, and that values come out as they went in.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "port/json.h"
#include "unit.h"

static struct arena *arena;

static void set_up(void)
{
	arena = arena_new(1u << 20);
}

static void tear_down(void)
{
	arena_free(arena);
}

static const struct {
	const char *text, *printed; /* printed NULL: the same */
} good[] = {
	{"{}", NULL},
	{"[]", NULL},
	{" 1 ", "1"},
	{"1", NULL},
	{"-0", "0"},
	{"true", NULL},
	{"null", NULL},
	{"\"x\"", NULL},
	{"[1,2.5,-3,1e3,1E+2,1e-7]", "[1,2.5,-3,1000,100,1e-7]"},
	{"9223372036854775807", NULL},
	{"-9223372036854775808", NULL},
	{"{\"a\" : [ {\"b\":null} ] , \"c\":\"\\u00e9\\ud83d\\ude00\\n\"}\n", "{\"a\":[{\"b\":null}],\"c\":\"é😀\\n\"}"},
	{"\"\\u0000\"", NULL},
	{"{\"a:b\":\"c:d\"}", NULL},
	{"{\"\":1}", NULL},
};

START_TEST(takes)
{
	struct value *value;
	struct buf buf;

	ck_assert_int_eq(json_parse(arena, good[_i].text, strlen(good[_i].text), &value, NULL), RC_OK);
	buf_init(&buf, arena, 4096);
	ck_assert_int_eq(value_write(&buf, value, 0), RC_OK);
	ck_assert_str_eq(buf_text(&buf), good[_i].printed == NULL ? good[_i].text : good[_i].printed);
}
END_TEST

static const struct {
	const char *text, *reason;
} bad[] = {
	{"", "the text ends too early"},
	{"{", "the text ends too early"},
	{"[1", "the text ends too early"},
	{"[1,]", "an unexpected character"},
	{"{\"a\":1,}", "an unexpected character"},
	{"{a:1}", "an unexpected character"},
	{"{'a':1}", "an unexpected character"},
	{"{} x", "an unexpected character"},
	{"{}{}", "an unexpected character"},
	{"1 2", "an unexpected character"},
	{"[1 2]", "an unexpected character"},
	{"// c\n1", "an unexpected character"},
	{"/* c */1", "an unexpected character"},
	{"NaN", "an unexpected character"},
	{"Infinity", "an unexpected character"},
	{"-Infinity", "a number has no digits"},
	{"TRUE", "an unexpected character"},
	{"nul", "an unexpected character"},
	{"01", "a number begins with a zero"},
	{"-", "a number has no digits"},
	{"1.", "a number has no digits after its point"},
	{".5", "an unexpected character"},
	{"1e", "a number has no digits in its exponent"},
	{"+1", "an unexpected character"},
	{"9223372036854775808", "a number is too large"},
	{"123456789012345678901234567890", "a number is too large"},
	{"1e400", "a number is too large"},
	{"\"\t\"", "a control character in a string"},
	{"\"abc", "a string without an end"},
	{"\"\\x\"", "an unknown escape in a string"},
	{"\"\\", "an unknown escape in a string"},
	{"\"\\u12\"", "\\u without four hexadecimal digits"},
	{"\"\\ud800\"", "half of a surrogate pair"},
	{"\"\\udc00\"", "half of a surrogate pair"},
	{"\"\\ud800\\u0041\"", "half of a surrogate pair"},
	{"\"\xff\"", "the text is not UTF-8"},
	{"{\"a\":1,\"a\":2}", "an object has a member twice"},
	{"[{\"a\":{\"b\":1,\"c\":2,\"b\":1}}]", "an object has a member twice"},
	{"{\"a\\u0000b\":1}", "the name of a member has a NUL in it"},
};

START_TEST(refuses)
{
	struct json_error error = {0};
	struct value *value;

	ck_assert_int_eq(json_parse(arena, bad[_i].text, strlen(bad[_i].text), &value, &error), RC_INVALID);
	ck_assert_str_eq(error.reason, bad[_i].reason);
	ck_assert(error.offset <= strlen(bad[_i].text) || error.offset == JSON_SOMEWHERE);
}
END_TEST

static const struct {
	const char *text, *place;
} places[] = {
	{"[1, x", "at byte 4: "},
	{"{\"a\": [1, 2.5, -1e400]}", "at byte 21: "},
	{"{\"a\": 1e5, \"b\": 1e999}", "at byte 21: "},
	{"{\"a\": \"\xc3\xa9\xff", "at byte 9: "},
	{"[\"12345678\xe2\x82", "at byte 10: "},
	{"{\"a\": {\"b\": 1, \"b\": 2}}", ""},
};

START_TEST(says_where)
{
	struct json_error error = {0};
	struct value *value;

	ck_assert_int_eq(json_parse(arena, places[_i].text, strlen(places[_i].text), &value, &error), RC_INVALID);
	ck_assert_str_eq(json_error_place(arena, &error), places[_i].place);
}
END_TEST

START_TEST(refuses_a_nul_byte)
{
	struct value *value;

	ck_assert_int_eq(json_parse(arena, "{}\0{}", 5, &value, NULL), RC_INVALID);
}
END_TEST

static enum rc nest(unsigned depth, char open, char close)
{
	char text[2 * JSON_DEPTH_MAX + 16] = "";
	struct value *value;

	memset(text, open, depth);
	text[depth] = '1';
	memset(text + depth + 1, close, depth);
	return json_parse(arena, text, 2 * depth + 1, &value, NULL);
}

START_TEST(bounds_the_depth)
{
	ck_assert_int_eq(nest(JSON_DEPTH_MAX, '[', ']'), RC_OK);
	ck_assert_int_eq(nest(JSON_DEPTH_MAX + 1, '[', ']'), RC_INVALID);
}
END_TEST

/* An array of so many of them. */
static enum rc list(const char *item, size_t count, struct json_error *error)
{
	struct arena *large = arena_new(64u << 20);
	struct value *value;
	struct buf text;
	enum rc rc;

	buf_init(&text, large, 8u << 20);
	for (size_t i = 0; i < count; i++)
		buf_strings(&text, i == 0 ? "[" : ",", item, NULL);
	ck_assert_int_eq(buf_puts(&text, "]"), RC_OK);
	rc = json_parse(large, text.data, text.len, &value, error);
	arena_free(large);
	return rc;
}

START_TEST(bounds_what_a_text_grows_to)
{
	static const char *const items[] = {"{}", "[]", "{\"a\":1}", "0", "\"\""};
	struct json_error error = {0};

	for (size_t i = 0; i < COUNT_OF(items); i++) {
		ck_assert_int_eq(list(items[i], 10000, NULL), RC_OK);
		ck_assert_msg(list(items[i], 300000, &error) == RC_INVALID, "%s", items[i]);
		ck_assert_str_eq(error.reason, "the text has too many values");
	}
	ck_assert_int_eq(list("0", 128000, NULL), RC_OK); /* as many as a request has room for */
}
END_TEST

START_TEST(ends_with_its_arena)
{
	struct arena *small = arena_new(300);
	struct value *value;

	ck_assert_int_eq(json_parse(small, "[1,2,3,4,5,6,7,8,9,10]", 22, &value, NULL), RC_NOMEM);
	arena_free(small);
	small = arena_new(300);
	ck_assert_int_eq(json_parse(small, "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1}", 31, &value, NULL), RC_NOMEM);
	arena_free(small);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *tc = tcase_create("json");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, takes, 0, (int)COUNT_OF(good));
	tcase_add_loop_test(tc, refuses, 0, (int)COUNT_OF(bad));
	tcase_add_loop_test(tc, says_where, 0, (int)COUNT_OF(places));
	tcase_add_test(tc, refuses_a_nul_byte);
	tcase_add_test(tc, bounds_the_depth);
	tcase_add_test(tc, bounds_what_a_text_grows_to);
	tcase_add_test(tc, ends_with_its_arena);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
