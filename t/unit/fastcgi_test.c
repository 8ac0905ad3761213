/*
 * fastcgi_test.c - the web server's side of FastCGI: what a request looks like, and answers that come in any pieces.
 */
#include <check.h>
#include <string.h>

#include "ctl/fastcgi.h"
#include "unit.h"

static struct arena *arena;
static struct buf out, said, complained;

static void set_up(void)
{
	arena = arena_new(16 << 20);
	ck_assert_ptr_nonnull(arena);
	buf_init(&out, arena, 4 << 20);
	buf_init(&said, arena, 1 << 20);
	buf_init(&complained, arena, 1 << 20);
}

static void tear_down(void)
{
	arena_free(arena);
}

static enum rc note_out(void *user, const char *bytes, size_t n)
{
	(void)user;
	return buf_add(&said, bytes, n);
}

static enum rc note_err(void *user, const char *bytes, size_t n)
{
	(void)user;
	return buf_add(&complained, bytes, n);
}

static enum rc refuse(void *user, const char *bytes, size_t n)
{
	(void)user;
	(void)bytes;
	(void)n;
	return RC_GONE;
}

START_TEST(writes_a_request)
{
	const struct fastcgi_param params[] = {{"A", "bc"}, {"EMPTY", ""}};
	static const char expected[] = "\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0"
	                               "\1\4\0\1\0\14\0\0\1\2Abc\5\0EMPTY"
	                               "\1\4\0\1\0\0\0\0"
	                               "\1\5\0\1\0\4\0\0body"
	                               "\1\5\0\1\0\0\0";

	ck_assert_int_eq(fastcgi_request(&out, params, 2, "body", 4), RC_OK);
	ck_assert_uint_eq(out.len, sizeof expected);
	ck_assert_mem_eq(out.data, expected, sizeof expected);
}
END_TEST

START_TEST(writes_what_is_long)
{
	static char value[300], body[70000];
	const struct fastcgi_param params[] = {{"LONG", value}};

	memset(value, 'v', sizeof value - 1);
	ck_assert_int_eq(fastcgi_request(&out, params, 1, body, sizeof body), RC_OK);
	ck_assert_mem_eq(out.data + 24, "\4\200\0\1\53LONGvvv", 12);
	ck_assert_uint_eq(out.len, 16 + 8 + 5 + 4 + 299 + 8 + 8 + 65528 + 8 + (sizeof body - 65528) + 8);
	buf_init(&out, arena, 1000);
	ck_assert_int_eq(fastcgi_request(&out, params, 1, body, sizeof body), RC_TOOBIG);
}
END_TEST

START_TEST(reads_in_any_pieces)
{
	static const char answer[] = "\1\6\0\1\0\5\3\0Hello\0\0\0"
	                             "\1\7\0\1\0\3\0\0oh!"
	                             "\1\6\0\1\0\6\0\0 there"
	                             "\1\6\0\1\0\0\0\0"
	                             "\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0";

	for (size_t piece = 1; piece <= sizeof answer; piece++) {
		struct fastcgi_reader reader = {.on_stdout = note_out, .on_stderr = note_err};

		buf_clear(&said);
		buf_clear(&complained);
		for (size_t at = 0; at < sizeof answer; at += piece) {
			ck_assert(!reader.ended);
			ck_assert_int_eq(fastcgi_feed(&reader, answer + at, at + piece > sizeof answer ? sizeof answer - at : piece), RC_OK);
		}
		ck_assert(reader.ended);
		ck_assert_str_eq(buf_text(&said), "Hello there");
		ck_assert_str_eq(buf_text(&complained), "oh!");
	}
}
END_TEST

START_TEST(refuses_garbage)
{
	struct fastcgi_reader reader = {.on_stdout = note_out, .on_stderr = note_err};

	ck_assert_int_eq(fastcgi_feed(&reader, "HTTP/1.1 ", 9), RC_PROTOCOL);
	reader = (struct fastcgi_reader){.on_stdout = refuse, .on_stderr = note_err};
	ck_assert_int_eq(fastcgi_feed(&reader, "\1\6\0\1\0\1\0\0x", 9), RC_GONE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fastcgi");
	TCase *tcase = tcase_create("fastcgi");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, writes_a_request);
	tcase_add_test(tcase, writes_what_is_long);
	tcase_add_test(tcase, reads_in_any_pieces);
	tcase_add_test(tcase, refuses_garbage);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
