/*
 * ini_test.c - settings files: what is read, what is replaced, and where an error is said to stand.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "port/ini.h"
#include "unit.h"

static char seen[16384], sections[256];
static struct ini_error error;

static const char *note(void *user, const char *section, const char *name, const char *value, unsigned line)
{
	size_t len = strlen(seen);

	(void)user;
	if (name == NULL) {
		len = strlen(sections);
		snprintf(sections + len, sizeof sections - len, "%u:%s|", line, section);
		return strcmp(section, "refused") == 0 ? "is not wanted" : NULL;
	}
	snprintf(seen + len, sizeof seen - len, "%u:%s.%s=%s|", line, section, name, value);
	return strcmp(name, "refused") == 0 ? "is not wanted" : NULL;
}

static enum rc read_bytes(const char *text, size_t n)
{
	char path[] = "/tmp/pf-ini-XXXXXX";
	int fd = mkstemp(path);
	enum rc rc;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
	close(fd);
	seen[0] = sections[0] = '\0';
	rc = ini_read(path, note, NULL, &error);
	unlink(path);
	return rc;
}

static enum rc read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

static void expect(const char *text, const char *what)
{
	ck_assert_msg(read_text(text) == RC_OK, "line %u: %s", error.line, error.reason);
	ck_assert_str_eq(seen, what);
}

static void expect_error(const char *text, unsigned line, const char *reason)
{
	ck_assert_int_eq(read_text(text), RC_INVALID);
	ck_assert_uint_eq(error.line, line);
	ck_assert_ptr_nonnull(strstr(error.reason, reason));
}

START_TEST(reads_sections_in_order)
{
	expect("", "");
	expect("; only a comment\n# and another\n\n", "");
	expect("[global]\npid = /run/x.pid\n\n[www]\nlisten=:9000\n  pm.threads = 8\n", "2:global.pid=/run/x.pid|5:www.listen=:9000|6:www.pm.threads=8|");
	expect("\xef\xbb\xbf[global]\r\npid = x\r\n", "2:global.pid=x|");
	expect("[a]\nx = 1", "2:a.x=1|");
	expect("[a]\nempty =\n", "2:a.empty=|");
	expect("[a]\ndatabase = host=/run dbname=x\n", "2:a.database=host=/run dbname=x|");
}
END_TEST

START_TEST(tells_of_sections_with_nothing_in_them)
{
	expect("[global]\na = 1\n[www]\n;b = 2\n", "2:global.a=1|");
	ck_assert_str_eq(sections, "1:global|3:www|");
	expect_error("[global]\n\n[refused]\n", 3, "[refused]: is not wanted");
}
END_TEST

START_TEST(cuts_comments_and_quotes)
{
	expect("[a]\nx = 1 ; a comment\n", "2:a.x=1|");
	expect("[a]\nx = a;b\n", "2:a.x=a;b|");
	expect("[a]\nx = ; nothing\n", "2:a.x=|");
	expect("[a]\nx = \"a ; b\" ; c\n", "2:a.x=a ; b|");
	expect("[a]\nx = \" a \\\"b\\\" \\\\ \\n \"\n", "2:a.x= a \"b\" \\ \\n |");
	expect("[a]\nx = \"\"\n", "2:a.x=|");
}
END_TEST

START_TEST(replaces_from_the_environment)
{
	setenv("PF_INI_A", "one ; \"two\" ${PF_INI_B}", 1);
	unsetenv("PF_INI_NONE");
	expect("[a]\nx = ${PF_INI_A}\n", "2:a.x=one ; \"two\" ${PF_INI_B}|");
	expect("[a]\nx = \"<${PF_INI_NONE}>\"\n", "2:a.x=<>|");
	expect("[a]\nx = a${PF_INI_NONE}b$c$\n", "2:a.x=ab$c$|");
	expect_error("[a]\ny = 1\nx = ${PF_INI_A\n", 3, "environment variable");
	expect_error("[a]\nx = ${}\n", 2, "environment variable");
	expect_error("[a]\nx = ${A-b}\n", 2, "environment variable");
}
END_TEST

START_TEST(says_where_it_is_wrong)
{
	expect_error("[a]\nx = 1\nnonsense\ny = 2\n", 3, "neither");
	ck_assert_str_eq(seen, "2:a.x=1|");
	expect_error("[a\nx = 1\n", 1, "neither");
	expect_error("x = 1\n", 1, "below a [section]");
	expect_error("[a]\n\nrefused = 1\nx = 2\n", 3, "refused: is not wanted");
	ck_assert_str_eq(seen, "3:a.refused=1|");
	expect_error("[a]\nx = \"abc\n", 2, "closing quote is missing");
	expect_error("[a]\nx = \"abc\" d\n", 2, "behind the closing quote");
	ck_assert_int_eq(read_bytes("[a]\nx = a\0b\n", 12), RC_INVALID);
	ck_assert_uint_eq(error.line, 2);
}
END_TEST

START_TEST(caps_lines_and_values)
{
	static char text[10000];
	static char value[9000];

	memset(text, 'v', sizeof text);
	memcpy(text, "[a]\nx = ", 8);
	text[4000] = '\0';
	ck_assert_int_eq(read_text(text), RC_OK);
	ck_assert_uint_eq(strlen(seen), strlen("2:a.x=|") + 4000 - 8);
	text[4000] = 'v';
	text[sizeof text - 1] = '\0';
	expect_error(text, 2, "longer than");
	memset(value, 'e', sizeof value - 1);
	setenv("PF_INI_LONG", value, 1);
	expect_error("[a]\nx = ${PF_INI_LONG}\n", 2, "too long");
}
END_TEST

START_TEST(tells_what_cannot_be_read)
{
	ck_assert_int_eq(ini_read("/nonexistent/x.conf", note, NULL, &error), RC_SYS);
	ck_assert_uint_eq(error.line, 0);
	ck_assert_ptr_nonnull(strstr(error.reason, "No such file"));
	ck_assert_int_eq(ini_read("/", note, NULL, &error), RC_SYS);
	ck_assert_ptr_nonnull(strstr(error.reason, "cannot be read"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ini");
	TCase *tcase = tcase_create("ini");

	tcase_add_test(tcase, reads_sections_in_order);
	tcase_add_test(tcase, tells_of_sections_with_nothing_in_them);
	tcase_add_test(tcase, cuts_comments_and_quotes);
	tcase_add_test(tcase, replaces_from_the_environment);
	tcase_add_test(tcase, says_where_it_is_wrong);
	tcase_add_test(tcase, caps_lines_and_values);
	tcase_add_test(tcase, tells_what_cannot_be_read);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
