/*
 * value_test.c - trees: building, looking up, comparing, and numbers as ECMAScript prints them.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/value.h"
#include "unit.h"

static struct arena *arena;
static struct buf buf;

static void set_up(void)
{
	arena = arena_new(1u << 20);
	buf_init(&buf, arena, 1u << 16);
}

static void tear_down(void)
{
	arena_free(arena);
}

static const struct {
	double number;
	const char *printed;
} numbers[] = {
	{0, "0"},
	{-0.0, "0"},
	{1, "1"},
	{-1.5, "-1.5"},
	{0.1, "0.1"},
	{0.1 + 0.2, "0.30000000000000004"},
	{123456789, "123456789"},
	{1e20, "100000000000000000000"},
	{1e21, "1e+21"},
	{1.5e300, "1.5e+300"},
	{1e-6, "0.000001"},
	{1.25e-6, "0.00000125"},
	{1e-7, "1e-7"},
	{1.5e-7, "1.5e-7"},
	{5e-324, "5e-324"},
	{1.7976931348623157e308, "1.7976931348623157e+308"},
	{100, "100"},
	{1234.5678, "1234.5678"},
	{0.7, "0.7"},
	{-2.05, "-2.05"},
	{12.001, "12.001"},
	{0.0005, "0.0005"},
	{999999999.999, "999999999.999"},
	{1000000000.001, "1000000000.001"},
	{0.7000000000000001, "0.7000000000000001"},
	{NAN, "NaN"},
	{-INFINITY, "-Infinity"},
};

START_TEST(prints_numbers)
{
	ck_assert_int_eq(value_write_number(&buf, numbers[_i].number), RC_OK);
	ck_assert_str_eq(buf_text(&buf), numbers[_i].printed);
}
END_TEST

static struct value *text(const char *s)
{
	return value_string(arena, s, strlen(s));
}

static struct value *sample(void)
{
	struct value *object = value_object(arena), *array = value_array(arena);

	ck_assert_int_eq(value_push(arena, array, value_int(arena, 1)), RC_OK);
	ck_assert_int_eq(value_push(arena, array, value_number(arena, 2.5)), RC_OK);
	ck_assert_int_eq(value_push(arena, array, value_null(arena)), RC_OK);
	ck_assert_int_eq(value_push(arena, array, value_number(arena, NAN)), RC_OK);
	ck_assert_int_eq(value_set(arena, object, "list", 4, array), RC_OK);
	ck_assert_int_eq(value_set(arena, object, "on", 2, value_bool(arena, true)), RC_OK);
	ck_assert_int_eq(value_set(arena, object, "none", 4, value_array(arena)), RC_OK);
	ck_assert_int_eq(value_set(arena, object, "empty", 5, value_object(arena)), RC_OK);
	ck_assert_int_eq(value_set(arena, object, "say \"x\"", 7, text("a\nb")), RC_OK);
	return object;
}

START_TEST(prints_compactly)
{
	ck_assert_int_eq(value_write(&buf, sample(), 0), RC_OK);
	ck_assert_str_eq(buf_text(&buf), "{\"list\":[1,2.5,null,null],\"on\":true,\"none\":[],\"empty\":{},\"say \\\"x\\\"\":\"a\\nb\"}");
}
END_TEST

START_TEST(prints_indented)
{
	ck_assert_int_eq(value_write(&buf, sample(), 2), RC_OK);
	ck_assert_str_eq(buf_text(&buf),
	                 "{\n  \"list\": [\n    1,\n    2.5,\n    null,\n    null\n  ],\n  \"on\": true,\n  \"none\": [],\n  \"empty\": {},\n"
	                                 "  \"say \\\"x\\\"\": \"a\\nb\"\n}");
}
END_TEST

START_TEST(replaces_in_place)
{
	struct value *object = sample();

	ck_assert_int_eq(value_set(arena, object, "list", 4, value_int(arena, 7)), RC_OK);
	ck_assert_uint_eq(object->u.object.count, 5);
	ck_assert_str_eq(object->u.object.members[0].key, "list");
	ck_assert_int_eq(value_get(object, "list")->u.integer, 7);
	ck_assert_ptr_null(value_get(object, "lis"));
	ck_assert_ptr_null(value_get(NULL, "list"));
	ck_assert_ptr_null(value_get(value_null(arena), "list"));
	ck_assert_str_eq(value_text(value_get(object, "say \"x\""), "?"), "a\nb");
	ck_assert_str_eq(value_text(value_get(object, "on"), "?"), "?");
	ck_assert_str_eq(value_text(NULL, "?"), "?");
}
END_TEST

START_TEST(grows)
{
	struct value *array = value_array(arena), *object = value_object(arena);
	char key[16];

	for (int i = 0; i < 1000; i++) {
		int n = snprintf(key, sizeof key, "k%d", i);

		ck_assert_int_eq(value_push(arena, array, value_int(arena, i)), RC_OK);
		ck_assert_int_eq(value_add(arena, object, key, (size_t)n, value_int(arena, i)), RC_OK);
	}
	ck_assert_int_eq(array->u.array.items[999]->u.integer, 999);
	ck_assert_int_eq(array->u.array.items[0]->u.integer, 0);
	ck_assert_int_eq(value_get(object, "k500")->u.integer, 500);
}
END_TEST

START_TEST(compares)
{
	struct value *a = sample(), *b = sample();

	a->u.object.members[0].value->u.array.count = 3;
	b->u.object.members[0].value->u.array.count = 3;
	ck_assert(value_equal(a, b));
	ck_assert_int_eq(value_set(arena, b, "on", 2, value_bool(arena, false)), RC_OK);
	ck_assert(!value_equal(a, b));
	ck_assert(value_equal(value_int(arena, 1), value_number(arena, 1.0)));
	ck_assert(value_equal(value_number(arena, -0x1p63), value_int(arena, INT64_MIN)));
	ck_assert(!value_equal(value_number(arena, 0x1p63), value_int(arena, INT64_MAX)));
	ck_assert(!value_equal(value_number(arena, 1e300), value_int(arena, INT64_MAX)));
	ck_assert(value_equal(value_int(arena, INT64_MAX), value_int(arena, INT64_MAX)));
	ck_assert(value_equal(value_number(arena, 0.5), value_number(arena, 0.5)));
	ck_assert(!value_equal(value_int(arena, 0), value_bool(arena, false)));
	ck_assert(!value_equal(text("a"), text("ab")));
	ck_assert(value_equal(value_string(arena, "a\0b", 3), value_string(arena, "a\0b", 3)));
	ck_assert(!value_equal(value_string(arena, "a\0b", 3), value_string(arena, "a\0c", 3)));
	ck_assert(value_equal(value_null(arena), value_null(arena)));
	b = value_array(arena);
	ck_assert(!value_equal(value_get(a, "list"), b));
	ck_assert(!value_equal(b, value_get(a, "list")));
	ck_assert(!value_equal(value_object(arena), a));
}
END_TEST

START_TEST(compares_objects_without_order)
{
	struct value *a = value_object(arena), *b = value_object(arena);

	ck_assert_int_eq(value_set(arena, a, "x", 1, value_int(arena, 1)), RC_OK);
	ck_assert_int_eq(value_set(arena, a, "y", 1, value_int(arena, 2)), RC_OK);
	ck_assert_int_eq(value_set(arena, b, "y", 1, value_int(arena, 2)), RC_OK);
	ck_assert_int_eq(value_set(arena, b, "x", 1, value_int(arena, 1)), RC_OK);
	ck_assert(value_equal(a, b));
	ck_assert_int_eq(value_set(arena, b, "z", 1, value_null(arena)), RC_OK);
	ck_assert(!value_equal(a, b));
	ck_assert(!value_equal(b, a));
}
END_TEST

START_TEST(reports_no_memory)
{
	struct arena *small = arena_new(128);
	struct value *array = value_array(small);

	ck_assert_ptr_nonnull(array);
	ck_assert_int_eq(value_push(small, array, NULL), RC_NOMEM);
	ck_assert_int_eq(value_push(small, NULL, array), RC_NOMEM);
	ck_assert_int_eq(value_set(small, NULL, "a", 1, array), RC_NOMEM);
	ck_assert_int_eq(value_set(small, array, "a", 1, NULL), RC_NOMEM);
	ck_assert_ptr_nonnull(arena_alloc(small, 96));
	ck_assert_int_eq(value_push(small, array, array), RC_NOMEM);
	ck_assert_ptr_null(value_string(small, "a", 1));
	ck_assert_ptr_null(value_null(small));
	ck_assert_ptr_null(value_bool(small, true));
	ck_assert_ptr_null(value_int(small, 1));
	ck_assert_ptr_null(value_number(small, 1));
	arena_free(small);
}
END_TEST

START_TEST(names_types)
{
	ck_assert_str_eq(value_type_name(VALUE_NULL), "null");
	ck_assert_str_eq(value_type_name(VALUE_OBJECT), "object");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("value");
	TCase *tc = tcase_create("value");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, prints_numbers, 0, (int)COUNT_OF(numbers));
	tcase_add_test(tc, prints_compactly);
	tcase_add_test(tc, prints_indented);
	tcase_add_test(tc, replaces_in_place);
	tcase_add_test(tc, grows);
	tcase_add_test(tc, compares);
	tcase_add_test(tc, compares_objects_without_order);
	tcase_add_test(tc, reports_no_memory);
	tcase_add_test(tc, names_types);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
