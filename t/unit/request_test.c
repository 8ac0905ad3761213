/*
 * request_test.c - what the request floor does without a server: exact costs, the catalogue of problems, callers remembered, refusals counted.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/usage.h"
#include "request/accept.h"
#include "request/caller.h"
#include "request/cost.h"
#include "request/problem.h"
#include "request/ready.h"
#include "request/refusal.h"
#include "request/settlement.h"
#include "request/ticket.h"
#include "unit.h"

static const char *cents(int64_t prompt, int64_t cached, int64_t completion, const char *in, const char *from_cache, const char *out)
{
	static char text[COST_TEXT_SIZE];
	const struct usage usage = {.prompt = prompt, .cached = cached, .completion = completion, .reported = true};

	return cost_cents(&usage, in, from_cache, out, text) == RC_OK ? text : NULL;
}

START_TEST(costs_are_exact)
{
	ck_assert_str_eq(cents(0, 0, 0, "0.00000015", "0.000000075", "0.0000006"), "0");
	ck_assert_str_eq(cents(1, 0, 0, "0.00000015", "0.000000075", "0.0000006"), "0.000015");
	ck_assert_str_eq(cents(17, 0, 91, "0.00000015", "0.000000075", "0.0000006"), "0.005715");
	ck_assert_str_eq(cents(100, 40, 10, "0.00000015", "0.000000075", "0.0000006"), "0.0018");
	ck_assert_str_eq(cents(1000000, 0, 1000000, "0.00003", "0.00003", "0.00006"), "9000");
	ck_assert_str_eq(cents(1, 0, 0, "0.000000000001", "0", "0"), "0.0000000001");
	ck_assert_str_eq(cents(3, 0, 0, "1", "1", "1"), "300");
	ck_assert_str_eq(cents(INT64_C(1) << 40, 0, INT64_C(1) << 40, "1", "1", "1"), "219902325555200");
	ck_assert_str_eq(cents(1, 0, 0, "0.0000001500000000000000", "0", "0"), "0.000015");
}
END_TEST

START_TEST(costs_are_added)
{
	static const struct {
		const char *a, *b, *sum; /* NULL: refused */
	} rows[] = {
		{"0", "", "0"}, {"0.00565", "", "0.00565"}, {"0.00565", "0.00435", "0.01"}, {"0", "12", "12"}, {"99.9999999999", "0.0000000001", "100"},
		{"0.5", "0", "0.5"}, {"", "1", NULL}, {"1", "x", NULL}, {"1", "-1", NULL}, {"1", "0.00000000001", NULL},
		{"329853488332800000000000", "1", NULL}, {"109951162777600", "109951162777600", "219902325555200"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char cents[COST_TEXT_SIZE];

		snprintf(cents, sizeof cents, "%s", rows[i].a);
		ck_assert_int_eq(cost_add(cents, rows[i].b), rows[i].sum == NULL ? RC_INVALID : RC_OK);
		ck_assert_str_eq(cents, rows[i].sum == NULL ? rows[i].a : rows[i].sum);
	}
}
END_TEST

START_TEST(costs_that_cannot_be_are_refused)
{
	ck_assert_ptr_null(cents(1, 0, 0, "", "0", "0"));
	ck_assert_ptr_null(cents(1, 0, 0, NULL, "0", "0"));
	ck_assert_ptr_null(cents(1, 0, 0, "1e-7", "0", "0"));
	ck_assert_ptr_null(cents(1, 0, 0, "-1", "0", "0"));
	ck_assert_ptr_null(cents(1, 0, 0, "0.0000000000001", "0", "0"));
	ck_assert_ptr_null(cents(1, 0, 0, "99999999999999999999", "0", "0"));
	ck_assert_ptr_null(cents(1, 0, 0, "18446744073709551616.5", "0", "0")); /* half a dollar, in 64 bits */
	ck_assert_ptr_null(cents(1, 0, 0, "0.5.5", "0", "0"));
	ck_assert_ptr_null(cents(1, 0, 0, "2", "0", "0"));
	ck_assert_ptr_null(cents(-1, 0, 0, "1", "1", "1"));
	ck_assert_ptr_null(cents(1, 2, 0, "1", "1", "1"));
	ck_assert_ptr_null(cents(1, -1, 0, "1", "1", "1"));
	ck_assert_ptr_null(cents(1, 0, INT64_MAX, "1", "1", "1"));
	ck_assert_ptr_null(cents(INT64_MAX, 0, 0, "1", "1", "1"));
}
END_TEST

START_TEST(every_problem_has_a_row)
{
	static const int statuses[] = {200, 400, 401, 403, 404, 405, 409, 413, 422, 429, 502, 503, 504};

	for (int code = 0; code < PROBLEM_COUNT_; code++) {
		const struct problem *problem = problem_get((enum problem_code)code);
		bool known = false;

		ck_assert_int_eq(problem->code, code);
		ck_assert_ptr_nonnull(problem->name);
		ck_assert_ptr_nonnull(problem->message);
		for (size_t i = 0; i < COUNT_OF(statuses); i++)
			known = known || statuses[i] == problem->status;
		ck_assert_msg(known, "%s: %d", problem->name, problem->status);
		ck_assert_msg((problem->status != 429 && problem->status != 503) || problem->retry_after_s > 0, "%s", problem->name);
	}
	ck_assert_int_eq(problem_get((enum problem_code)1000)->code, PROBLEM_INTERNAL);
	ck_assert_int_eq(problem_of_verdict("daily_limit"), PROBLEM_DAILY_LIMIT);
	for (int code = 0; code < PROBLEM_COUNT_; code++)
		ck_assert_int_eq(problem_by_name(problem_get((enum problem_code)code)->name), code);
	ck_assert_int_eq(problem_by_name("surprise"), PROBLEM_INTERNAL);
	ck_assert_int_eq(problem_of_verdict("surprise"), PROBLEM_INTERNAL);
	ck_assert_int_eq(problem_of_fault(FAULT_KEY), PROBLEM_UPSTREAM_ERROR);
	ck_assert_int_eq(problem_of_fault(FAULT_BUSY), PROBLEM_UPSTREAM_BUSY);
	ck_assert_int_eq(problem_of_fault(FAULT_TIMEOUT), PROBLEM_UPSTREAM_TIMEOUT);
	ck_assert_int_eq(problem_of_fault(FAULT_UNREACHABLE), PROBLEM_UPSTREAM_UNREACHABLE);
	ck_assert_int_eq(problem_of_fault(FAULT_OURS), PROBLEM_INTERNAL);
}
END_TEST

static bool asks_for_events(const char *header)
{
	return accept_asks_for(header, "text/event-stream", "text/plain");
}

START_TEST(accept_is_read_by_its_weights)
{
	static const char *const events[] = {"text/event-stream", "Text/Event-Stream", "text/event-stream;charset=utf-8", "application/json, text/event-stream",
	                                     "text/plain, text/event-stream", "text/plain;q=0.5,text/event-stream ; q=0.51", "text/event-stream;q=0.001",
	                                     "*/*;q=0.1, text/event-stream;q=x", "text/event-stream;q=0, text/event-stream;v=2", ",, text/event-stream,"};
	static const char *const text[] = {"", ",", "*/*", "text/*", "text/plain", "text/event-stream;q=0", "text/event-stream;q=0.000", "text/event-stream; Q=0.0, */*",
	                                   "text/plain, text/event-stream;q=0.9", "text/event-streams", "x-text/event-stream", "text/event-stream-2", "text/event-strea",
	                                   "application/json;as=text/event-stream"};

	ck_assert(!asks_for_events(NULL));
	for (size_t i = 0; i < COUNT_OF(events); i++)
		ck_assert_msg(asks_for_events(events[i]), "events: %s", events[i]);
	for (size_t i = 0; i < COUNT_OF(text); i++)
		ck_assert_msg(!asks_for_events(text[i]), "text: %s", text[i]);
}
END_TEST

START_TEST(callers_are_remembered_for_a_while)
{
	char a[TOKEN_DIGEST_SIZE], b[TOKEN_DIGEST_SIZE];
	struct caller known = {.supplier = "0b1f0e32-6f1b-4a3a-9d3e-000000000001"}, nobody = {.supplier = ""}, found;
	struct callers *callers, *forgetful;

	ck_assert_int_eq(token_sha256("a", 1, a), RC_OK);
	ck_assert_int_eq(token_sha256("b", 1, b), RC_OK);
	ck_assert_int_eq(callers_new(60000, 0, &callers), RC_OK);
	ck_assert_int_eq(callers_new(0, 60000, &forgetful), RC_OK);
	ck_assert(!callers_find(callers, a, &found));
	callers_remember(callers, a, &known);
	callers_remember(forgetful, a, &known);
	ck_assert(callers_find(callers, a, &found));
	ck_assert_str_eq(found.supplier, known.supplier);
	ck_assert(!callers_find(callers, b, &found));
	callers_remember(callers, b, &nobody);
	ck_assert(!callers_find(callers, b, &found));
	callers_remember(forgetful, b, &nobody);
	ck_assert(!callers_find(forgetful, a, &found));
	ck_assert(!callers_find(forgetful, b, &found));
	callers_free(callers);
	ck_assert_int_eq(callers_new(60000, 60000, &callers), RC_OK);
	callers_remember(callers, b, &nobody);
	ck_assert(callers_find(callers, b, &found));
	ck_assert_str_eq(found.supplier, "");
	callers_free(callers);
	callers_free(forgetful);
	callers_free(NULL);
}
END_TEST

/* Two keys that want the same place: nobody is ever taken for the other. */
START_TEST(callers_are_told_apart_by_all_of_their_hash)
{
	static const char a[TOKEN_DIGEST_SIZE] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	static const char b[TOKEN_DIGEST_SIZE] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef0";
	struct caller ann = {.supplier = "0b1f0e32-6f1b-4a3a-9d3e-000000000001"}, zoe = {.supplier = "0b1f0e32-6f1b-4a3a-9d3e-000000000002"}, found;
	struct callers *callers;

	ck_assert_int_eq(callers_new(60000, 0, &callers), RC_OK);
	callers_remember(callers, a, &ann);
	ck_assert(!callers_find(callers, b, &found));
	callers_remember(callers, b, &zoe);
	ck_assert(!callers_find(callers, a, &found));
	ck_assert(callers_find(callers, b, &found));
	ck_assert_str_eq(found.supplier, zoe.supplier);
	callers_free(callers);
}
END_TEST

START_TEST(estimates_are_rounded_up)
{
	static const size_t bytes[] = {0, 1, 4, 5, 8, 9};

	for (size_t i = 0; i < COUNT_OF(bytes); i++)
		ck_assert_int_eq(usage_estimate(bytes[i]), ((const int64_t[]){0, 1, 1, 2, 2, 3})[i]);
}
END_TEST

START_TEST(lock_keys_tell_suppliers_and_features_apart)
{
	ck_assert_int_eq(ticket_lock_key("a", "b"), ticket_lock_key("a", "b"));
	ck_assert_int_ne(ticket_lock_key("a", "b"), ticket_lock_key("a", "c"));
	ck_assert_int_ne(ticket_lock_key("ab", "c"), ticket_lock_key("a", "bc"));
}
END_TEST

START_TEST(what_is_ready_is_remembered)
{
	static const char a[] = "00112233445566778899aabbccddeeff", b[] = "00112233445566788899aabbccddeeff";
	struct ready *ready;
	int64_t lock_key;

	ck_assert_int_eq(ready_new(&ready), RC_OK);
	ck_assert(!ready_lock_key(ready, 5, &lock_key));
	ready_remember(ready, 5, -7);
	ck_assert(ready_lock_key(ready, 5, &lock_key));
	ck_assert_int_eq(lock_key, -7);
	ready_forget(ready, 6);
	ck_assert(ready_lock_key(ready, 5, &lock_key));
	ready_forget(ready, 5);
	ck_assert(!ready_lock_key(ready, 5, &lock_key));
	/* Two that want the same place: the newer has it. */
	ready_remember(ready, 5, -7);
	ready_remember(ready, 5 + (INT64_C(1) << 40), 9);
	ck_assert(!ready_lock_key(ready, 5, &lock_key));
	ready_forget(ready, 5);
	ck_assert(ready_lock_key(ready, 5 + (INT64_C(1) << 40), &lock_key));
	ck_assert_int_eq(lock_key, 9);
	ck_assert(ready_is_new(ready, a));
	ck_assert(ready_is_new(ready, b));
	ck_assert(!ready_is_new(ready, a));
	ck_assert(!ready_is_new(ready, b));
	ready_free(ready);
	ready_free(NULL);
}
END_TEST

/* No server listens there: what is to be written stays. */
static struct db *unreachable(void)
{
	const struct db_settings settings = {
		.conninfo = "host=/nonexistent dbname=x user=x", .connections = 1, .batch = 8, .connect_timeout_ms = 200, .statement_timeout_ms = 200, .retry_ms = 10};
	struct db *db;

	ck_assert_int_eq(db_new(&settings, &db), RC_OK);
	return db;
}

START_TEST(what_the_database_cannot_take_waits)
{
	const struct settlement settlement = {.ticket = "t1", .state = "failed", .error = "upstream_error", .content = "c"};
	struct settle_queue *queue;
	struct refusals *refusals;
	struct db *db = unreachable();

	ck_assert_int_eq(settle_queue_new(&queue), RC_OK);
	ck_assert_int_eq(settle_queue_run(queue, db), RC_OK);
	settlement_later(queue, &settlement);
	settlement_void_later(queue, "req_1", "s", "f");
	ck_assert_uint_eq(settle_queue_length(queue), 2);
	ck_assert_int_eq(settle_queue_run(queue, db), RC_UNAVAILABLE);
	ck_assert_uint_eq(settle_queue_length(queue), 2);
	settle_queue_free(queue);
	ck_assert_int_eq(refusals_new(&refusals), RC_OK);
	ck_assert_int_eq(refusals_write(refusals, db), RC_OK);
	refusals_count(refusals, NULL, "f", "daily_limit");
	refusals_count(refusals, "s", "f", "daily_limit");
	ck_assert_int_eq(refusals_write(refusals, db), RC_UNAVAILABLE);
	ck_assert_int_eq(refusals_write(refusals, db), RC_UNAVAILABLE);
	refusals_free(refusals);
	db_free(db);
	db_free(NULL);
	refusals_free(NULL);
	settle_queue_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("request");
	TCase *tc = tcase_create("request");

	tcase_add_test(tc, costs_are_exact);
	tcase_add_test(tc, costs_that_cannot_be_are_refused);
	tcase_add_test(tc, costs_are_added);
	tcase_add_test(tc, every_problem_has_a_row);
	tcase_add_test(tc, accept_is_read_by_its_weights);
	tcase_add_test(tc, callers_are_remembered_for_a_while);
	tcase_add_test(tc, callers_are_told_apart_by_all_of_their_hash);
	tcase_add_test(tc, estimates_are_rounded_up);
	tcase_add_test(tc, what_is_ready_is_remembered);
	tcase_add_test(tc, lock_keys_tell_suppliers_and_features_apart);
	tcase_add_test(tc, what_the_database_cannot_take_waits);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
