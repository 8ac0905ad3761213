/*
 * regex_test.c - patterns as JSON Schema means them, and what hostile ones cost.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "port/regex.h"
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
	const char *pattern, *text;
	enum rc rc;
} cases[] = {
	{"^a*$", "aaa", RC_OK},
	{"^a*$", "abc", RC_NOTFOUND},
	{"a+", "xxaayy", RC_OK},
	{"", "anything", RC_OK},
	{"^a$", "a\n", RC_NOTFOUND},
	{"^é.$", "é😀", RC_OK},
	{"^\\u00e9$", "é", RC_OK},
	{"^\\u{e9}\\u{1F600}$", "é😀", RC_OK},
	{"^[\\u{4e00}-\\u{9fff}]+$", "婚礼", RC_OK},
	{"^\\u{3}$", "uuu", RC_NOTFOUND},
	{"^\\d+$", "١", RC_NOTFOUND},
	{"^\\w$", "é", RC_NOTFOUND},
	{"[]", "a", RC_NOTFOUND},
	{"^(?<y>\\d{4})-\\d\\d$", "2027-06", RC_OK},
	{"^(?!admin)[a-z]+$", "admins", RC_NOTFOUND},
	{"^\\$\\{x\\}$", "${x}", RC_OK},
	{"^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", RC_TOOBIG},
};

START_TEST(matches)
{
	struct regex *regex;
	const char *reason;
	int64_t start = clock_us();

	ck_assert_int_eq(regex_compile(arena, cases[_i].pattern, &regex, &reason), RC_OK);
	ck_assert_int_eq(regex_match(regex, cases[_i].text, strlen(cases[_i].text)), cases[_i].rc);
	ck_assert_int_lt(clock_us() - start, 2000000);
}
END_TEST

static const char *const bad[] = {"(", "[a", "a{2,1}", "*", "(?<n>", "\\C",
                                  "(((((((((((((((((((((((((((((((((((((((((((((((((((a)))))))))))))))))))))))))))))))))))))))))))))))))))"};

START_TEST(refuses)
{
	const char *reason = NULL;
	struct regex *regex;

	ck_assert_int_eq(regex_compile(arena, bad[_i], &regex, &reason), RC_INVALID);
	ck_assert_ptr_nonnull(strstr(reason, " at offset "));
}
END_TEST

START_TEST(refuses_long_ones)
{
	char *pattern = arena_alloc(arena, 5000);
	const char *reason = NULL;
	struct regex *regex;

	memset(pattern, 'a', 4999);
	ck_assert_int_eq(regex_compile(arena, pattern, &regex, &reason), RC_INVALID);
}
END_TEST

START_TEST(ends_with_its_arena)
{
	struct arena *small = arena_new(0);
	const char *reason;
	struct regex *regex;

	ck_assert_int_eq(regex_compile(small, "a", &regex, &reason), RC_NOMEM);
	arena_free(small);
	small = arena_new(16);
	ck_assert_int_eq(regex_compile(small, "a", &regex, &reason), RC_NOMEM);
	arena_free(small);
	small = arena_new(16);
	ck_assert_int_eq(regex_compile(small, "(", &regex, &reason), RC_NOMEM);
	arena_free(small);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regex");
	TCase *tc = tcase_create("regex");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, matches, 0, (int)COUNT_OF(cases));
	tcase_add_loop_test(tc, refuses, 0, (int)COUNT_OF(bad));
	tcase_add_test(tc, refuses_long_ones);
	tcase_add_test(tc, ends_with_its_arena);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
