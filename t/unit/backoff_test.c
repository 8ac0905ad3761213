/*
 * backoff_test.c - the pauses before a child is started again: none, none, 100 ms, and then twice as long each time, up to ten seconds.
 */
#include "daemon/backoff.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rc.h"
#include "unit.h"

#define SECOND 1000000

/* The pause after a life that began `age` ago, between the two readings of the clock that enclose it. */
static void expect(unsigned *quick_ends, int64_t age, int64_t pause)
{
	int64_t before = clock_us(), due = backoff_after(quick_ends, before - age), after = clock_us();

	ck_assert_int_ge(due, before + pause);
	ck_assert_int_le(due, after + pause);
}

START_TEST(pauses_double_up_to_ten_seconds)
{
	static const int64_t tenths[] = {0, 1, 2, 4, 8, 16, 32, 64, 100, 100, 100};
	unsigned quick_ends = 0;

	for (size_t i = 0; i < COUNT_OF(tenths); i++)
		expect(&quick_ends, 0, tenths[i] * SECOND / 10);
	quick_ends = 1000000;
	expect(&quick_ends, 0, 10 * SECOND);
}
END_TEST

START_TEST(a_long_life_begins_anew)
{
	unsigned quick_ends = 0;

	for (int i = 0; i < 5; i++)
		(void)backoff_after(&quick_ends, clock_us());
	expect(&quick_ends, SECOND, 0);
	expect(&quick_ends, 0, 0);
	expect(&quick_ends, 0, SECOND / 10);
}
END_TEST

/* A second is long: a tenth of one is not. */
START_TEST(what_is_long)
{
	unsigned quick_ends = 0;

	expect(&quick_ends, SECOND / 10, 0);
	expect(&quick_ends, SECOND / 10, SECOND / 10);
	expect(&quick_ends, SECOND / 10, SECOND / 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backoff");
	TCase *tests = tcase_create("backoff");

	tcase_add_test(tests, pauses_double_up_to_ten_seconds);
	tcase_add_test(tests, a_long_life_begins_anew);
	tcase_add_test(tests, what_is_long);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
