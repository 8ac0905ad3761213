/*
 * base_test.c - arenas, buffers, strings, clock, log and settings.
 */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/str.h"
#include "unit.h"

static struct arena *arena;

static void set_up(void)
{
	arena = arena_new(1u << 20);
	ck_assert_ptr_nonnull(arena);
}

static void tear_down(void)
{
	arena_free(arena);
}

START_TEST(an_arena_can_be_cleared_and_used_again)
{
	struct arena *a = arena_new(20000);
	char *first = arena_alloc(a, 100), *again;

	memset(first, 'x', 100);
	ck_assert_ptr_nonnull(arena_alloc(a, 19000));
	ck_assert_ptr_null(arena_alloc(a, 1000));
	arena_clear(a);
	ck_assert_uint_eq(arena_used(a), 0);
	again = arena_alloc(a, 100);
	ck_assert_ptr_eq(again, first); /* its memory is kept */
	for (size_t i = 0; i < 100; i++)
		ck_assert_int_eq(again[i], 0);
	ck_assert_ptr_nonnull(arena_alloc(a, 19000)); /* and so is its cap */
	ck_assert_ptr_null(arena_alloc(a, 1000));
	arena_free(a);
	a = arena_new(20000);
	ck_assert_ptr_nonnull(arena_alloc(a, 15000)); /* a large first block is not kept */
	arena_clear(a);
	arena_clear(a);
	ck_assert_ptr_nonnull(arena_alloc(a, 15000));
	arena_free(a);
}
END_TEST

START_TEST(an_arena_hands_out_zeroed_aligned_memory_up_to_its_cap)
{
	struct arena *small = arena_new(10000);
	size_t handed = 0;

	for (char *p; (p = arena_alloc(small, 100)) != NULL; handed += 100) {
		ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
		for (int i = 0; i < 100; i++)
			ck_assert_int_eq(p[i], 0);
		memset(p, 'x', 100);
	}
	ck_assert_uint_gt(handed, 8000);
	ck_assert_uint_le(handed, 10000);
	ck_assert_uint_le(arena_used(small), 10100);
	ck_assert(arena_full(small) && !arena_full(arena));
	ck_assert_ptr_null(arena_alloc(small, SIZE_MAX));
	ck_assert_ptr_null(arena_array(small, SIZE_MAX / 2, 4));
	arena_free(small);
	small = arena_new(10000);
	ck_assert_ptr_null(arena_array(small, SIZE_MAX / 16 + 1, 16)); /* which are none, in the arithmetic of size_t */
	arena_free(small);
	arena_free(NULL);
}
END_TEST

static int released[3], releases;

static void note_release(void *object)
{
	released[releases++] = *(int *)object;
}

START_TEST(deferred_calls_run_last_first_and_at_once_when_they_cannot_be_kept)
{
	struct arena *a = arena_new(4096), *full = arena_new(0);
	int one = 1, two = 2, three = 3;

	releases = 0;
	ck_assert_int_eq(arena_defer(a, note_release, &one), RC_OK);
	ck_assert_int_eq(arena_defer(a, note_release, &two), RC_OK);
	arena_clear(a);
	ck_assert_int_eq(releases, 2);
	arena_free(a);
	ck_assert_int_eq(releases, 2);
	ck_assert_int_eq(released[0], 2);
	ck_assert_int_eq(released[1], 1);
	ck_assert_int_eq(arena_defer(full, note_release, &three), RC_NOMEM);
	ck_assert_int_eq(released[2], 3);
	arena_free(full);
}
END_TEST

START_TEST(a_block_grows_in_place_when_it_is_the_newest)
{
	char *p = arena_grow(arena, NULL, 0, 10), *other, *moved;

	memcpy(p, "123456789", 10);
	ck_assert_ptr_eq(arena_grow(arena, p, 10, 500), p);
	ck_assert_ptr_eq(arena_grow(arena, p, 500, 20), p);
	other = arena_alloc(arena, 1);
	moved = arena_grow(arena, p, 500, 600);
	ck_assert_ptr_ne(moved, p);
	ck_assert_str_eq(moved, "123456789");
	ck_assert_int_eq(*other, 0);
	ck_assert_ptr_null(arena_grow(arena, moved, 600, 2u << 20));
	ck_assert_ptr_null(arena_strdup(arena, NULL));
	ck_assert_str_eq(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
}
END_TEST

START_TEST(what_grows_in_place_counts_and_is_zeroed)
{
	struct arena *dirty = arena_new(8192), *a;
	size_t used;
	char *p;

	memset(arena_alloc(dirty, 4000), 'x', 4000);
	arena_free(dirty); /* and its memory, as it is, may be what the next gets */
	a = arena_new(1000);
	p = arena_alloc(a, 100);
	used = arena_used(a);
	ck_assert_ptr_eq(arena_grow(a, p, 100, 500), p);
	ck_assert_uint_ge(arena_used(a), used + 400 - _Alignof(max_align_t));
	for (int i = 100; i < 500; i++)
		ck_assert_int_eq(p[i], 0);
	ck_assert_ptr_null(arena_grow(a, p, 500, 2000)); /* for which its chunk has room */
	ck_assert_ptr_null(arena_alloc(a, 600));
	arena_free(a);
}
END_TEST

START_TEST(a_buffer_latches_its_first_failure)
{
	struct buf buf;

	buf_init(&buf, arena, 10);
	ck_assert_str_eq(buf_text(&buf), "");
	ck_assert_int_eq(buf_puts(&buf, "12345"), RC_OK);
	ck_assert_int_eq(buf_printf(&buf, "%05d", 67890), RC_OK);
	ck_assert_str_eq(buf_text(&buf), "1234567890");
	ck_assert_int_eq(buf_putc(&buf, 'x'), RC_TOOBIG);
	ck_assert_uint_eq(buf.len, 10);
	ck_assert_int_eq(buf_add(&buf, "", 0), RC_TOOBIG);
	buf_clear(&buf);
	ck_assert_str_eq(buf_text(&buf), "");
	ck_assert_int_eq(buf_puts(&buf, "again"), RC_OK);
}
END_TEST

START_TEST(json_strings_are_escaped)
{
	struct buf buf;

	buf_init(&buf, arena, 1000);
	buf_json_string(&buf, "a\"b\\c\n\t\r\b\f\x01/\xc3\xa4", 14);
	ck_assert_str_eq(buf_text(&buf), "\"a\\\"b\\\\c\\n\\t\\r\\b\\f\\u0001/\xc3\xa4\"");
	buf_clear(&buf);
	buf_json_string(&buf, "\0", 1);
	ck_assert_str_eq(buf_text(&buf), "\"\\u0000\"");
	buf_clear(&buf);
	buf_json_string(&buf, "a\xed\xa0\xbd\xed\xb8\x80\xed\x9f\xbf", 10);
	ck_assert_str_eq(buf_text(&buf), "\"a\\ud83d\\ude00\xed\x9f\xbf\"");
	buf_clear(&buf);
	buf_json_string(&buf, "\xed\xa0\x80", 2); /* no third byte is looked at */
	ck_assert_str_eq(buf_text(&buf), "\"\xed\xa0\"");
}
END_TEST

/* Eight bytes are looked at together: each byte at each place among the others. */
START_TEST(what_json_strings_hold_as_it_is_is_told_byte_by_byte)
{
	char text[21];

	for (size_t at = 0; at < sizeof text; at++) {
		for (int c = 0; c < 256; c++) {
			bool plain = c >= 0x20 && c != '"' && c != '\\' && c != 0xED;

			memset(text, c % 2 ? 0xFF : ' ', sizeof text);
			text[at] = (char)c;
			ck_assert_uint_eq(str_json_plain(text, sizeof text), plain ? sizeof text : at);
			ck_assert_uint_eq(str_json_plain(text, at), at);
		}
	}
}
END_TEST

START_TEST(utf8_is_told_at_each_place)
{
	char text[21];

	for (size_t at = 0; at + 3 <= sizeof text; at++) {
		memset(text, 'x', sizeof text);
		memcpy(text + at, "\xe2\x82\xac", 3);
		ck_assert(str_utf8_valid(text, sizeof text));
		ck_assert(!str_utf8_valid(text, at + 2));
		text[at + 2] = 'x';
		ck_assert(!str_utf8_valid(text, sizeof text));
	}
}
END_TEST

START_TEST(numbers_are_written_in_full)
{
	static const struct {
		int64_t number;
		const char *text;
	} all[] = {{0, "0"}, {-1, "-1"}, {1234567890, "1234567890"}, {INT64_MAX, "9223372036854775807"}, {INT64_MIN, "-9223372036854775808"}};
	char text[STR_INT_SIZE];
	struct buf buf;

	buf_init(&buf, arena, 100);
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		ck_assert_uint_eq(str_write_int(text, all[i].number), strlen(all[i].text));
		ck_assert_str_eq(text, all[i].text);
		buf_clear(&buf);
		buf_int(&buf, all[i].number);
		ck_assert_str_eq(buf_text(&buf), all[i].text);
	}
}
END_TEST

START_TEST(what_is_printed_may_be_long)
{
	char expected[1200], *text;
	struct buf buf;

	for (int n = 250; n < 1100; n = n < 260 ? n + 1 : n * 2) {
		snprintf(expected, sizeof expected, "<%*d>", n, 7);
		text = arena_printf(arena, "<%*d>", n, 7);
		ck_assert_str_eq(text, expected);
		buf_init(&buf, arena, 1100);
		buf_puts(&buf, "x");
		ck_assert_int_eq(buf_printf(&buf, "<%*d>", n, 7), RC_OK);
		ck_assert_str_eq(buf_text(&buf) + 1, expected);
		ck_assert_int_eq(buf_printf(&buf, "%*d", 1200, 7), RC_TOOBIG);
		ck_assert_str_eq(buf_text(&buf) + 1, expected);
	}
}
END_TEST

START_TEST(utf8_is_told_from_what_is_not)
{
	static const char *const good[] = {"", "abc", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x92\x8d", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80", "\xff", "a\xe2\x82", "\xe2(\xa1"};

	for (size_t i = 0; i < COUNT_OF(good); i++)
		ck_assert_msg(str_utf8_valid(good[i], strlen(good[i])), "good %zu", i);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		ck_assert_msg(!str_utf8_valid(bad[i], strlen(bad[i])), "bad %zu", i);
	ck_assert_uint_eq(str_utf8_length("a\xc3\xa4\xe2\x82\xac", 6), 3);
	ck_assert_uint_eq(str_utf8_whole("a\xe2\x82", 3), 1);
	ck_assert_uint_eq(str_utf8_whole("a\xe2\x82\xac", 4), 4);
	ck_assert_uint_eq(str_utf8_whole("\xf0\x9f\x92", 3), 0);
	ck_assert_uint_eq(str_utf8_whole("\xf0\x9f\x92\x8d", 4), 4);
	ck_assert_uint_eq(str_utf8_whole("a\xe0\xa4", 3), 1);
	ck_assert_uint_eq(str_utf8_whole("a\xc3", 2), 1);
	ck_assert_uint_eq(str_utf8_whole("abc", 3), 3);
	ck_assert_uint_eq(str_utf8_whole("", 0), 0);
}
END_TEST

START_TEST(units_are_what_they_are_called)
{
	static const struct {
		enum rc (*read)(const char *s, int64_t *out);
		const char *text;
		int64_t value;
	} all[] = {
		{str_duration, "90", 90},         {str_duration, "90s", 90},          {str_duration, "15m", 900},          {str_duration, "24h", 86400},
		{str_duration, "7d", 604800},     {str_duration_ms, "90", 90000},     {str_duration_ms, "250ms", 250},     {str_duration_ms, "90s", 90000},
		{str_duration_ms, "15m", 900000}, {str_duration_ms, "24h", 86400000}, {str_duration_ms, "7d", 604800000},  {str_size, "4096", 4096},
		{str_size, "64k", 65536},         {str_size, "64K", 65536},           {str_size, "3m", 3145728},           {str_size, "3M", 3145728},
		{str_size, "2g", 2147483648},     {str_size, "2G", 2147483648},
	};

	for (size_t i = 0; i < COUNT_OF(all); i++) {
		int64_t n = -1;

		ck_assert_msg(all[i].read(all[i].text, &n) == RC_OK && n == all[i].value, "%zu: %s is %lld", i, all[i].text, (long long)n);
	}
}
END_TEST

START_TEST(numbers_times_and_sizes_are_read_strictly)
{
	int64_t n = 0;

	ck_assert_int_eq(str_int("42", 0, 100, &n), RC_OK);
	ck_assert_int_eq(n, 42);
	ck_assert_int_eq(str_int("-7", -10, 0, &n), RC_OK);
	ck_assert_int_eq(str_int("101", 0, 100, &n), RC_INVALID);
	ck_assert_int_eq(str_int("4x", 0, 100, &n), RC_INVALID);
	ck_assert_int_eq(str_int(" 4", 0, 100, &n), RC_INVALID);
	ck_assert_int_eq(str_int("99999999999999999999", 0, INT64_MAX, &n), RC_INVALID);
	ck_assert_int_eq(str_duration("250ms", &n), RC_INVALID);
	ck_assert_int_eq(str_duration("", &n), RC_INVALID);
	ck_assert_int_eq(str_duration("9999999999999999d", &n), RC_INVALID);
	ck_assert_int_eq(str_duration("99999999999999999999", &n), RC_INVALID);
	ck_assert_int_eq(str_size("1T", &n), RC_INVALID);
	ck_assert(str_eq("a", "a") && !str_eq("a", NULL) && str_eq(NULL, NULL) && str_starts("abc", "ab") && !str_starts("a", "ab"));
}
END_TEST

START_TEST(the_clock_goes_on_and_deadlines_come)
{
	char stamp[CLOCK_STAMP_SIZE];
	time_t before = time(NULL);
	struct tm utc = {0};
	int64_t now = clock_us();

	ck_assert_int_ge(clock_us(), now);
	ck_assert_int_eq(clock_left_ms(now - 1000, 100), 0);
	ck_assert_int_eq(clock_left_ms(now + 3600000000, 100), 100);
	ck_assert_uint_eq(strlen(clock_stamp(stamp)), 24);
	ck_assert_int_eq(stamp[10], 'T');
	ck_assert_int_eq(stamp[23], 'Z');
	ck_assert_ptr_nonnull(strptime(stamp, "%Y-%m-%dT%H:%M:%S.", &utc));
	ck_assert_int_ge(timegm(&utc), before);
	ck_assert_int_le(timegm(&utc), time(NULL));
}
END_TEST

static size_t read_log(int fd, char *text, size_t size)
{
	ssize_t n = read(fd, text, size - 1);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return (size_t)n;
}

START_TEST(a_log_line_cannot_be_forged_and_is_cut_at_its_cap)
{
	int ends[2];
	char text[2 * LOG_LINE_MAX], *huge = arena_alloc(arena, 3 * LOG_LINE_MAX);
	struct log_line line;

	ck_assert_int_eq(pipe(ends), 0);
	log_open(ends[1], LOG_INFO_);
	log_begin(&line, LOG_INFO_, "request");
	log_str(&line, "path", "/a\n2026 error \"x\" \x7f");
	log_str(&line, "quote", "a\"b");
	log_str(&line, "slash", "a\\");
	log_str(&line, "blank", "a b");
	log_str(&line, "equal", "a=b");
	log_str(&line, "left", NULL);
	log_str(&line, "empty", "");
	log_int(&line, "n", -5);
	log_send(&line);
	read_log(ends[0], text, sizeof text);
	ck_assert_ptr_nonnull(strstr(text, " info request path=\"/a\\n2026 error \\\"x\\\" \\x7f\""
	                               " quote=\"a\\\"b\" slash=\"a\\\\\" blank=\"a b\" equal=\"a=b\" empty=\"\" n=-5\n"));
	ck_assert_ptr_null(strstr(text, "left"));
	log_msg(LOG_DEBUG_, "quiet", "not %s", "shown");
	memset(huge, 'x', 3 * LOG_LINE_MAX - 1);
	log_begin(&line, LOG_ERROR_, "huge");
	log_str(&line, "v", huge);
	log_send(&line);
	ck_assert_uint_le(read_log(ends[0], text, sizeof text), LOG_LINE_MAX);
	ck_assert_ptr_nonnull(strstr(text, " error huge v=xxx"));
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	for (size_t i = 0; i + 2 < 3 * LOG_LINE_MAX; i += 2)
		memcpy(huge + i, "\xc3\xbc", 2);
	for (int shift = 0; shift < 2; shift++) {
		log_begin(&line, LOG_ERROR_, shift == 0 ? "huge" : "hugest");
		log_str(&line, "v", huge);
		log_send(&line);
		ck_assert(str_utf8_valid(text, read_log(ends[0], text, sizeof text)));
	}
	log_open(2, LOG_INFO_);
}
END_TEST

/* U+009B begins a terminal's commands as ESC [ does, and so does the byte alone where it is no UTF-8. */
START_TEST(a_log_line_commands_no_terminal)
{
	char text[256] = "";
	struct log_line line;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	log_open(ends[1], LOG_INFO_);
	log_begin(&line, LOG_INFO_, "request");
	log_str(&line, "path", "/\x1b[2J\x9b\x32J\xc2\x9b\x32J/m\xc3\xbcller \xe2\x82\xac \xf0\x9f\x92\x8d \xed\xa0\x80 \xc3");
	log_send(&line);
	ck_assert_int_gt(read(ends[0], text, sizeof text - 1), 0);
	ck_assert_ptr_nonnull(strstr(text, "path=\"/\\x1b[2J\\x9b2J\\xc2\\x9b2J/m\xc3\xbcller \xe2\x82\xac \xf0\x9f\x92\x8d \\xed\\xa0\\x80 \\xc3\"\n"));
	close(ends[0]);
	close(ends[1]);
	log_open(2, LOG_INFO_);
}
END_TEST

START_TEST(log_levels_have_names)
{
	enum log_level level;

	ck_assert_int_eq(log_level_parse("notice", &level), RC_OK);
	ck_assert_int_eq(level, LOG_INFO_);
	ck_assert_int_eq(log_level_parse("error", &level), RC_OK);
	ck_assert_int_eq(level, LOG_ERROR_);
	ck_assert_int_eq(log_level_parse("loud", &level), RC_INVALID);
	ck_assert_str_eq(rc_name(RC_GONE), "gone");
	ck_assert_str_eq(rc_name((enum rc)99), "unknown");
}
END_TEST

START_TEST(addresses_are_checked_by_their_form)
{
	static const char *const good[] = {"", "/run/prompt-fpm.sock", "127.0.0.1:9000", "localhost:1", ":65535", "[::1]:9000", "0.0.0.0:9000", "[::]:9000"};
	static const char *const bad[] = {"9000", "foo", "127.0.0.1:99999", "127.0.0.1:65536", "127.0.0.1:0", ":0", "::1:9000", "run/x.sock", "unix:/run/x.sock", "host:", "host:http", ":-1", " /x", "*:9000", "[*]:9000"};
	struct settings s;
	char path[400];

	settings_init(&s);
	for (size_t i = 0; i < COUNT_OF(good); i++)
		ck_assert_msg(settings_set(&s, "www", "listen", good[i], 0) == NULL && str_eq(s.listen, good[i]), "%s", good[i]);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		ck_assert_msg(settings_set(&s, "www", "listen", bad[i], 0) != NULL, "%s", bad[i]);
	ck_assert_ptr_null(settings_set(&s, "www", "listen.allowed_clients", " 192.0.2.1,::1\t::ffff:10.0.0.1,,", 0));
	ck_assert_ptr_null(settings_set(&s, "www", "listen.allowed_clients", "", 0));
	ck_assert_ptr_nonnull(settings_set(&s, "www", "listen.allowed_clients", "192.0.2.1, localhost", 0));
	ck_assert_ptr_nonnull(settings_set(&s, "www", "listen.allowed_clients", "192.0.2.0/24", 0));
	memset(path, 'x', sizeof path);
	path[0] = '/';
	path[108] = '\0';
	ck_assert_ptr_nonnull(settings_set(&s, "www", "listen", path, 0));
	path[107] = '\0';
	ck_assert_ptr_null(settings_set(&s, "www", "listen", path, 0));
	memset(path, '1', sizeof path);
	strcpy(path + 300, ":9000");
	ck_assert_ptr_nonnull(settings_set(&s, "www", "listen", path, 0));
	path[300] = '\0';
	ck_assert_ptr_nonnull(settings_set(&s, "www", "listen.allowed_clients", path, 0));
	settings_free(&s);
}
END_TEST

START_TEST(settings_are_checked_one_by_one_and_together)
{
	struct settings s;

	settings_init(&s);
	ck_assert_int_eq(s.pm_max_children, 2);
	ck_assert_int_eq(s.heartbeat, 5000);
	ck_assert_int_eq(s.listen_mode, 0660);
	ck_assert_int_eq(s.request_body_max, 256 * 1024);
	ck_assert_ptr_nonnull(settings_check(&s)); /* no pool */
	ck_assert_ptr_null(settings_set(&s, "global", NULL, NULL, 1));
	ck_assert_ptr_nonnull(settings_check(&s));
	ck_assert_ptr_null(settings_set(&s, "blank", NULL, NULL, 2));
	ck_assert_ptr_null(settings_check(&s));
	ck_assert_str_eq(s.pool, "blank");
	ck_assert_uint_eq(settings_line(&s, "pm.threads"), 0);
	ck_assert_ptr_null(settings_set(&s, "www", "pm.threads", "32", 7));
	ck_assert_uint_eq(settings_line(&s, "pm.threads"), 7);
	ck_assert_uint_eq(settings_line(&s, "no.such"), 0);
	ck_assert_str_eq(s.pool, "www"); /* what is blank makes way */
	ck_assert_ptr_null(settings_set(&s, "blank again", NULL, NULL, 9));
	ck_assert_str_eq(s.pool, "www");
	ck_assert_ptr_null(settings_check(&s));
	ck_assert_int_eq(s.pm_threads, 32);
	ck_assert_ptr_nonnull(settings_set(&s, "www", "pm.threads", "0", 0));
	ck_assert_ptr_nonnull(settings_set(&s, "www", "pm.threads", "many", 0));
	ck_assert_ptr_nonnull(settings_set(&s, "www", "heartbeat", "1 hour", 0));
	ck_assert_ptr_nonnull(settings_set(&s, "www", "listen.mode", "9", 0));
	ck_assert_ptr_null(settings_set(&s, "www", "listen.mode", "0600", 0));
	ck_assert_int_eq(s.listen_mode, 0600);
	ck_assert_ptr_nonnull(settings_set(&s, "www", "no.such", "1", 0));
	ck_assert_ptr_nonnull(settings_set(&s, "global", "pm.threads", "1", 0));
	ck_assert_ptr_nonnull(settings_set(&s, "other", "pm.threads", "1", 0));
	ck_assert_ptr_null(settings_set(&s, "global", "daemonize", "yes", 2));
	ck_assert_uint_eq(settings_line(&s, "daemonize"), 2);
	ck_assert(s.daemonize);
	ck_assert_ptr_nonnull(settings_set(&s, "global", "daemonize", "perhaps", 0));
	settings_free(&s);
}
END_TEST

static const char *refused(const char *section, const char *name, const char *value)
{
	struct settings s;
	const char *wrong;

	settings_init(&s);
	ck_assert_ptr_null(settings_set(&s, "www", "openai.api_key", "k", 0));
	ck_assert_ptr_null(settings_set(&s, "www", "anthropic.api_key", "k", 0));
	wrong = settings_set(&s, section, name, value, 0);
	if (wrong == NULL)
		wrong = settings_check(&s);
	settings_free(&s);
	return wrong;
}

START_TEST(settings_that_cannot_be_meant_are_refused)
{
	ck_assert_ptr_null(refused("www", "prefix", "/ai"));
	ck_assert_ptr_nonnull(refused("www", "prefix", "/ai/"));
	ck_assert_ptr_nonnull(refused("www", "prefix", "ai"));
	ck_assert_ptr_nonnull(refused("www", "prefix", ""));
	ck_assert_ptr_nonnull(refused("www", "default_model", "gpt"));
	ck_assert_ptr_nonnull(refused("www", "default_model", "openai/"));
	ck_assert_ptr_nonnull(refused("www", "default_model", "/gpt"));
	ck_assert_ptr_null(refused("www", "default_model", "local/a model/of: two parts"));
	ck_assert_ptr_nonnull(refused("www", "ping.path", "ping"));
	ck_assert_ptr_null(refused("www", "ping.path", ""));
	ck_assert_ptr_nonnull(refused("www", "pm.status_path", "status"));
	ck_assert_ptr_null(refused("www", "pm.status_path", "/"));
	ck_assert_ptr_null(refused("www", "drop_in.models", " openai/gpt-4o-mini,anthropic/claude-* "));
	ck_assert_ptr_null(refused("www", "drop_in.models", "*"));
	ck_assert_ptr_nonnull(refused("www", "drop_in.models", "openai/gpt-4o-mini, gpt-5"));
	ck_assert_ptr_nonnull(refused("www", "drop_in.models", "gpt-*"));
	ck_assert_ptr_null(refused("www", "drop_in.rate", "5/hour"));
	ck_assert_ptr_nonnull(refused("global", "log_level", "loud"));
	ck_assert_ptr_nonnull(refused("www", "openai.api_key_file", "/f"));
	ck_assert_ptr_nonnull(refused("www", "anthropic.api_key_file", "/f"));
}
END_TEST

static struct rate rate(const char *text)
{
	struct rate out;

	ck_assert_msg(rate_parse(text, &out) == RC_OK, "%s", text);
	return out;
}

START_TEST(rates_are_read_strictly)
{
	static const char *const wrong[] = {"", "5", "5/", "/hour", "5/week", "0/hour", "-1/hour", "5/hour burst", "5/hour burst 0", "5/hour 3", "12345678/day"};
	struct rate out = {.count = 7};

	ck_assert(rate_equal(rate(" 5 / hour "), (struct rate){5, 3600, 0}));
	ck_assert_int_eq(rate("10/second burst 20").burst, 20);
	ck_assert(!rate_equal(rate("10/second burst 20"), rate("10/second")));
	ck_assert(rate_equal(rate("60/minute burst 5"), rate("1/second burst 5")));
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		ck_assert_msg(rate_parse(wrong[i], &out) == RC_INVALID && out.count == 7, "%s", wrong[i]);
}
END_TEST

/* Whoever keeps to the tighter one keeps to both. */
START_TEST(of_two_rates_the_tighter_holds)
{
	static const struct {
		const char *a, *b, *tighter;
	} rows[] = {
		{"5/hour", "60/hour", "5/hour"},
		{"10/second burst 20", "60/minute", "1/second burst 20"},
		{"10/minute", "1/second burst 2", "10/minute burst 2"},
		{"1/hour burst 50", "10/hour", "1/hour burst 10"},
	};
	const struct rate none = {0};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		ck_assert_msg(rate_equal(rate_tighter(rate(rows[i].a), rate(rows[i].b)), rate(rows[i].tighter)), "%s", rows[i].a);
		ck_assert_msg(rate_equal(rate_tighter(rate(rows[i].b), rate(rows[i].a)), rate(rows[i].tighter)), "%s", rows[i].b);
	}
	ck_assert(rate_equal(rate_tighter(none, rate("5/hour")), rate("5/hour")));
	ck_assert(rate_equal(rate_tighter(rate("5/hour"), none), rate("5/hour")));
	ck_assert_int_eq(rate_tighter(none, none).count, 0);
}
END_TEST

START_TEST(the_table_prints_itself)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	settings_print_sample(out);
	settings_print_manual(out);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, ";pm.max_children = 2\n"));
	ck_assert_ptr_nonnull(strstr(text, ".B pm.max_children\n"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base");
	TCase *tc = tcase_create("base");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_arena_hands_out_zeroed_aligned_memory_up_to_its_cap);
	tcase_add_test(tc, an_arena_can_be_cleared_and_used_again);
	tcase_add_test(tc, deferred_calls_run_last_first_and_at_once_when_they_cannot_be_kept);
	tcase_add_test(tc, a_block_grows_in_place_when_it_is_the_newest);
	tcase_add_test(tc, what_grows_in_place_counts_and_is_zeroed);
	tcase_add_test(tc, a_buffer_latches_its_first_failure);
	tcase_add_test(tc, json_strings_are_escaped);
	tcase_add_test(tc, what_json_strings_hold_as_it_is_is_told_byte_by_byte);
	tcase_add_test(tc, utf8_is_told_from_what_is_not);
	tcase_add_test(tc, utf8_is_told_at_each_place);
	tcase_add_test(tc, numbers_are_written_in_full);
	tcase_add_test(tc, what_is_printed_may_be_long);
	tcase_add_test(tc, units_are_what_they_are_called);
	tcase_add_test(tc, numbers_times_and_sizes_are_read_strictly);
	tcase_add_test(tc, the_clock_goes_on_and_deadlines_come);
	tcase_add_test(tc, a_log_line_cannot_be_forged_and_is_cut_at_its_cap);
	tcase_add_test(tc, a_log_line_commands_no_terminal);
	tcase_add_test(tc, log_levels_have_names);
	tcase_add_test(tc, addresses_are_checked_by_their_form);
	tcase_add_test(tc, settings_are_checked_one_by_one_and_together);
	tcase_add_test(tc, settings_that_cannot_be_meant_are_refused);
	tcase_add_test(tc, rates_are_read_strictly);
	tcase_add_test(tc, of_two_rates_the_tighter_holds);
	tcase_add_test(tc, the_table_prints_itself);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
