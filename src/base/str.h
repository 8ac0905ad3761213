/*
 * str.h - small questions about bytes and numbers that the C library answers badly.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

bool str_eq(const char *a, const char *b);          /* both may be NULL; NULL equals only NULL */
bool str_starts(const char *s, const char *prefix); /* case counts */

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing past U+10FFFF). */
bool str_utf8_valid(const char *s, size_t n);

/* How many bytes at the start are. */
size_t str_utf8_prefix(const char *s, size_t n);

/* How many bytes at the start stand in a JSON string as they are: up to the first control character, quote or backslash, or 0xED, which may begin half
 * of a surrogate pair. */
size_t str_json_plain(const char *s, size_t n);

/* Code points in well-formed UTF-8. */
size_t str_utf8_length(const char *s, size_t n);

/* How many of the `n` bytes end on a whole character: what a stream may pass on without cutting a character in two. */
size_t str_utf8_whole(const char *s, size_t n);

/* A whole decimal number within [min, max]; RC_INVALID for anything else, and *out is untouched. */
enum rc str_int(const char *s, int64_t min, int64_t max, int64_t *out) MUST_CHECK;

/* Writes a number in decimal at `text`, which has room for STR_INT_SIZE bytes, and a NUL behind it; returns its length. */
#define STR_INT_SIZE 21
size_t str_write_int(char *text, int64_t number);

/* "90", "90s", "15m", "24h", "7d" in seconds; "250ms" only through str_duration_ms. RC_INVALID else. */
enum rc str_duration(const char *s, int64_t *seconds) MUST_CHECK;
enum rc str_duration_ms(const char *s, int64_t *milliseconds) MUST_CHECK;

/* "4096", "64k", "1M", "1G" in bytes (powers of 1024). RC_INVALID else. */
enum rc str_size(const char *s, int64_t *bytes) MUST_CHECK;

#endif
