/*
 * str.c - questions about bytes and numbers.
 */
#include "base/str.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool str_eq(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Bytes of the well-formed sequence at s (1 to 4), or 0. */
static size_t sequence(const unsigned char *s, size_t n)
{
	size_t len;

	if (n == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	len = s[0] >= 0xC2 && s[0] <= 0xDF ? 2 : (s[0] & 0xF0) == 0xE0 ? 3 : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4 : 0;
	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
		return 0;
	return len;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte)) /* eight times the same byte */

/* The first in the lowest byte. */
static uint64_t read_eight(const char *s)
{
	uint64_t eight;

	memcpy(&eight, s, sizeof eight);
	return le64toh(eight);
}

/* How many of the eight come before the first whose top bit is set in `marks`; 8 where none is. */
static size_t before_mark(uint64_t marks)
{
	return marks == 0 ? 8 : (size_t)__builtin_ctzll(marks) / 8;
}

static size_t ascii_prefix(const char *s, size_t n)
{
	size_t i = 0, plain = 8;

	while (plain == 8 && n - i >= 8)
		i += plain = before_mark(read_eight(s + i) & EACH(0x80));
	while (plain == 8 && i < n && (unsigned char)s[i] < 0x80)
		i++;
	return i;
}

size_t str_utf8_prefix(const char *s, size_t n)
{
	size_t i = ascii_prefix(s, n);

	for (size_t len; i < n; i += ascii_prefix(s + i, n - i)) {
		len = sequence((const unsigned char *)s + i, n - i);
		if (len == 0)
			return i;
		i += len;
	}
	return n;
}

bool str_utf8_valid(const char *s, size_t n)
{
	return str_utf8_prefix(s, n) == n;
}

/* Marks the bytes that end a plain stretch, and perhaps some behind the first of them: x - n borrows into the top bit of a byte below n that had none itself, and a
 * borrow that crosses to the next byte comes from a byte that is marked. */
static uint64_t mark_special(uint64_t eight)
{
	uint64_t quote = eight ^ EACH('"'), slash = eight ^ EACH('\\'), lead = eight ^ EACH(0xED);
	uint64_t below = (eight - EACH(0x20)) | (quote - EACH(1)) | (slash - EACH(1));

	return ((below & ~eight) | ((lead - EACH(1)) & ~lead)) & EACH(0x80);
}

size_t str_json_plain(const char *s, size_t n)
{
	size_t i = 0, plain = 8;

	while (plain == 8 && n - i >= 8)
		i += plain = before_mark(mark_special(read_eight(s + i)));
	while (plain == 8 && i < n && (unsigned char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' && (unsigned char)s[i] != 0xED)
		i++;
	return i;
}

size_t str_utf8_length(const char *s, size_t n)
{
	size_t length = 0;

	for (size_t i = 0; i < n; i++)
		length += ((unsigned char)s[i] & 0xC0) != 0x80;
	return length;
}

size_t str_utf8_whole(const char *s, size_t n)
{
	size_t back = 0;

	while (back < 3 && back < n && ((unsigned char)s[n - 1 - back] & 0xC0) == 0x80)
		back++;
	if (back < n) {
		unsigned char lead = (unsigned char)s[n - 1 - back];
		size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;

		if (want > back + 1)
			return n - 1 - back;
	}
	return n;
}

enum rc str_int(const char *s, int64_t min, int64_t max, int64_t *out)
{
	char *end;
	long long n;

	if (*s != '-' && (*s < '0' || *s > '9'))
		return RC_INVALID;
	errno = 0;
	n = strtoll(s, &end, 10);
	if (errno != 0 || *end != '\0' || n < min || n > max)
		return RC_INVALID;
	*out = n;
	return RC_OK;
}

size_t str_write_int(char *text, int64_t number)
{
	uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	char digits[STR_INT_SIZE], *first = digits + sizeof digits;
	size_t len;

	do {
		*--first = (char)('0' + left % 10);
		left /= 10;
	} while (left != 0);
	if (number < 0)
		*--first = '-';
	len = (size_t)(digits + sizeof digits - first);
	memcpy(text, first, len);
	text[len] = '\0';
	return len;
}

struct unit {
	const char *name;
	int64_t factor;
};

static enum rc scaled(const char *s, const struct unit *units, size_t count, int64_t *out)
{
	char *end;
	long long n;

	if (*s < '0' || *s > '9')
		return RC_INVALID;
	errno = 0;
	n = strtoll(s, &end, 10);
	if (errno != 0)
		return RC_INVALID;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		return __builtin_mul_overflow((int64_t)n, units[i].factor, out) ? RC_INVALID : RC_OK;
	}
	return RC_INVALID;
}

enum rc str_duration(const char *s, int64_t *seconds)
{
	static const struct unit units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};

	return scaled(s, units, COUNT_OF(units), seconds);
}

enum rc str_duration_ms(const char *s, int64_t *milliseconds)
{
	static const struct unit units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

	return scaled(s, units, COUNT_OF(units), milliseconds);
}

enum rc str_size(const char *s, int64_t *bytes)
{
	static const struct unit units[] = {{"", 1},        {"k", 1 << 10}, {"K", 1 << 10}, {"m", 1 << 20},
	                                    {"M", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30}};

	return scaled(s, units, COUNT_OF(units), bytes);
}
