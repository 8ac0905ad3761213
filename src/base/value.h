/*
 * value.h - a tree of JSON's types, read from JSON or YAML and const from then on.
 *
 * Request bodies, front matter, schemas and template data are all trees of these. A tree lives in one arena. Nodes that
 * were read from a file know their line and column, so that an error can say where it stands.
 */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum value_type { VALUE_NULL, VALUE_BOOL, VALUE_INT, VALUE_NUMBER, VALUE_STRING, VALUE_ARRAY, VALUE_OBJECT };

struct value {
	enum value_type type;
	unsigned line, column; /* where it stood in its file, from 1; 0 where unknown */
	bool quoted;           /* a string that YAML had in quotes or as a block, so never a number or a keyword */
	union {
		bool boolean;
		int64_t integer;
		double number;
		struct {
			const char *text; /* UTF-8, NUL-terminated, may hold NULs inside */
			size_t len;
		} string;
		struct {
			struct value **items;
			size_t count;
		} array;
		struct {
			struct value_member *members; /* in the order they were written; keys are unique */
			size_t count;
		} object;
	} u;
};

struct value_member {
	const char *key; /* UTF-8, NUL-terminated */
	size_t key_len;
	struct value *value;
	unsigned line, column; /* of the key */
};

/* New nodes; NULL when the arena is out of memory. Strings are copied. */
struct value *value_null(struct arena *arena);
struct value *value_bool(struct arena *arena, bool boolean);
struct value *value_int(struct arena *arena, int64_t integer);
struct value *value_number(struct arena *arena, double number);
struct value *value_string(struct arena *arena, const char *text, size_t len);
struct value *value_array(struct arena *arena);
struct value *value_object(struct arena *arena);

/* Appends to an array; sets a member of an object (replacing one of the same key in its place). RC_NOMEM; an item of NULL
 * counts as RC_NOMEM, so that calls can be nested. */
enum rc value_push(struct arena *arena, struct value *array, struct value *item) MUST_CHECK;
enum rc value_set(struct arena *arena, struct value *object, const char *key, size_t key_len, struct value *item) MUST_CHECK;

/* As value_set, for a key that the object is known not to have: readers of large objects need not search them for each member. */
enum rc value_add(struct arena *arena, struct value *object, const char *key, size_t key_len, struct value *item) MUST_CHECK;

/* The member `key` of an object; NULL where it has none, or where `object` is NULL or no object. */
const struct value *value_get(const struct value *object, const char *key);
const struct value *value_getn(const struct value *object, const char *key, size_t key_len);

/* The string's text, or `otherwise` where the value is NULL or no string. */
const char *value_text(const struct value *value, const char *otherwise);

/* Strict equality as JSON Schema has it: types match, 1 equals 1.0, objects compare without order. */
bool value_equal(const struct value *a, const struct value *b);

/* "null", "boolean", "integer", "number", "string", "array", "object". Static storage. */
const char *value_type_name(enum value_type type);

/* Appends the tree as JSON: compact with indent 0, else as JSON.stringify(value, null, indent) lays it out. Numbers are printed
 * as ECMAScript prints them. Depth is bounded by what the readers accept. */
enum rc value_write(struct buf *buf, const struct value *value, unsigned indent);

/* Appends a number as ECMAScript's Number::toString prints it (ECMA-262 §6.1.6.1.20). */
enum rc value_write_number(struct buf *buf, double number);

#endif
