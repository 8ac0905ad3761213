/*
 * json.h - JSON text into values, through json-c (the only file that includes it is json.c).
 */
#ifndef PORT_JSON_H
#define PORT_JSON_H

#include "base/value.h"

#define JSON_DEPTH_MAX 32

#define JSON_SOMEWHERE SIZE_MAX

struct json_error {
	size_t offset;      /* bytes into the text; JSON_SOMEWHERE where that is not known */
	const char *reason; /* static storage, fit for a caller's eyes */
};

/* "at byte 12: ", to stand before the reason; "" where the place is not known. */
const char *json_error_place(struct arena *arena, const struct json_error *error);

/* Parses exactly one RFC 8259 value: no comments, trailing commas, NaN or bytes after it; UTF-8 well-formed, keys unique
 * (a repeated key is RC_INVALID: two readers could disagree on it), depth at most JSON_DEPTH_MAX. What a text grows to is bounded, whoever
 * wrote it: an object counts a kilobyte, an array half of one, any other value and each key 64 bytes, and all of them 16 MB at most. The tree
 * is owned by the arena. RC_INVALID with *error filled (error may be NULL), or RC_NOMEM. */
enum rc json_parse(struct arena *arena, const char *text, size_t n, struct value **out, struct json_error *error) MUST_CHECK;

#endif
