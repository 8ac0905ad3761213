/*
 * json.c - RFC 8259 text into values, through json-c.
 *
 * json-c builds the tree, but even its strict mode takes what the RFC does not: NaN, control characters in strings, lone surrogates,
 * numbers like "01", integers cut to 64 bits, members given twice. One pass over the text refuses these before it is asked, and bytes that
 * are not UTF-8: what json-c would look for a byte at a time it need not look for again.
 */
#include "port/json.h"

#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* What json-c takes for a value, and a little more: an object begins with a table for 16 members, an array with 32 places. Two bytes of text can be four hundred times as much. */
#define OBJECT_BYTES 1024u
#define ARRAY_BYTES 512u
#define SCALAR_BYTES 64u
#define TREE_MAX (16u << 20) /* bytes of a text's values, besides their text */

struct scan {
	const char *text;
	size_t n, at;
	size_t tree;    /* bytes that its values will take */
	size_t members; /* colons outside of strings: how many members the text gives its objects */
	bool nul;       /* the last string has a NUL in it */
	struct arena *measure; /* where a number that no double holds is looked for: json-c does not tell where it was */
	const char *wrong;
};

static bool refuse(struct scan *scan, const char *reason)
{
	scan->wrong = reason;
	return false;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char peek(const struct scan *scan)
{
	return scan->at < scan->n ? scan->text[scan->at] : '\0';
}

static unsigned skip_digits(struct scan *scan)
{
	unsigned count = 0;

	for (; is_digit(peek(scan)); count++)
		scan->at++;
	return count;
}

static bool fits(struct arena *arena, const char *text, size_t len)
{
	const char *number = arena_strndup(arena, text, len);

	return number == NULL || isfinite(strtod(number, NULL));
}

/* The grammar of RFC 8259 §6, and whether json-c can hold it. */
static bool scan_number(struct scan *scan)
{
	char integer[sizeof "-9223372036854775808"] = "";
	size_t start = scan->at, len;
	bool whole = true;
	int64_t held;

	scan->at += peek(scan) == '-';
	if (peek(scan) == '0')
		scan->at++;
	else if (skip_digits(scan) == 0)
		return refuse(scan, "a number has no digits");
	if (is_digit(peek(scan)))
		return refuse(scan, "a number begins with a zero");
	if (peek(scan) == '.') {
		whole = false;
		scan->at++;
		if (skip_digits(scan) == 0)
			return refuse(scan, "a number has no digits after its point");
	}
	if (peek(scan) == 'e' || peek(scan) == 'E') {
		whole = false;
		scan->at++;
		scan->at += peek(scan) == '+' || peek(scan) == '-';
		if (skip_digits(scan) == 0)
			return refuse(scan, "a number has no digits in its exponent");
	}
	len = scan->at - start;
	if (!whole)
		return scan->measure == NULL || fits(scan->measure, scan->text + start, len);
	if (len >= sizeof integer)
		return refuse(scan, "a number is too large");
	memcpy(integer, scan->text + start, len);
	return str_int(integer, INT64_MIN, INT64_MAX, &held) == RC_OK || refuse(scan, "a number is too large");
}

static int hex_unit(const struct scan *scan)
{
	char digits[5] = "";

	if (scan->n - scan->at < 4)
		return -1;
	memcpy(digits, scan->text + scan->at, 4);
	return strspn(digits, "0123456789abcdefABCDEF") == 4 ? (int)strtol(digits, NULL, 16) : -1;
}

/* Behind "\u": one unit, and where it is a high surrogate the low one that must follow. */
static bool scan_unicode(struct scan *scan)
{
	int unit = hex_unit(scan);

	if (unit < 0)
		return refuse(scan, "\\u without four hexadecimal digits");
	scan->at += 4;
	scan->nul |= unit == 0;
	if (unit < 0xD800 || unit > 0xDFFF)
		return true;
	if (unit > 0xDBFF || scan->n - scan->at < 6 || memcmp(scan->text + scan->at, "\\u", 2) != 0)
		return refuse(scan, "half of a surrogate pair");
	scan->at += 2;
	unit = hex_unit(scan);
	if (unit < 0xDC00 || unit > 0xDFFF)
		return refuse(scan, "half of a surrogate pair");
	scan->at += 4;
	return true;
}

static bool scan_string(struct scan *scan)
{
	scan->at++;
	scan->nul = false;
	while ((scan->at += str_json_plain(scan->text + scan->at, scan->n - scan->at)) < scan->n) {
		unsigned char c = (unsigned char)scan->text[scan->at++];

		if (c == '"')
			return true;
		if (c < 0x20)
			return refuse(scan, "a control character in a string");
		if (c != '\\')
			continue;
		c = (unsigned char)peek(scan);
		if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL)
			return refuse(scan, "an unknown escape in a string");
		scan->at++;
		if (c == 'u' && !scan_unicode(scan))
			return false;
	}
	return refuse(scan, "a string without an end");
}

/* A colon makes the last string a key, and json-c would cut that at a NUL. */
static bool scan_mark(struct scan *scan, char c)
{
	scan->at++;
	scan->tree += c == '{' ? OBJECT_BYTES : c == '[' ? ARRAY_BYTES : 0;
	if (c != ':')
		return true;
	scan->members++;
	return !scan->nul || refuse(scan, "the name of a member has a NUL in it");
}

static bool scan_word(struct scan *scan)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		size_t len = strlen(words[i]);

		if (scan->n - scan->at >= len && memcmp(scan->text + scan->at, words[i], len) == 0) {
			scan->at += len;
			return true;
		}
	}
	return refuse(scan, "an unexpected character");
}

/* Every token by itself; their order is json-c's to judge. */
static bool scan_all(struct scan *scan)
{
	bool good = true;

	while (good && scan->at < scan->n) {
		char c = peek(scan);

		if (c != '\0' && strchr(" \t\r\n{}[]:,", c) != NULL) {
			good = scan_mark(scan, c);
		} else {
			scan->tree += SCALAR_BYTES;
			good = c == '"' ? scan_string(scan) : c == '-' || is_digit(c) ? scan_number(scan) : scan_word(scan);
		}
		if (good && scan->tree > TREE_MAX)
			good = refuse(scan, "the text has too many values");
	}
	return good;
}

struct convert {
	struct arena *arena;
	size_t members;
	bool too_large;
};

static struct value *convert(struct convert *cv, struct json_object *from);

static struct value *convert_array(struct convert *cv, struct json_object *from)
{
	struct value *array = value_array(cv->arena);

	for (size_t i = 0; i < json_object_array_length(from); i++)
		if (value_push(cv->arena, array, convert(cv, json_object_array_get_idx(from, i))) != RC_OK)
			return NULL;
	return array;
}

static struct value *convert_object(struct convert *cv, struct json_object *from)
{
	struct value *object = value_object(cv->arena);

	json_object_object_foreach(from, key, item) {
		cv->members++;
		if (value_add(cv->arena, object, key, strlen(key), convert(cv, item)) != RC_OK)
			return NULL;
	}
	return object;
}

static struct value *convert(struct convert *cv, struct json_object *from)
{
	double number;

	switch (json_object_get_type(from)) {
	case json_type_boolean:
		return value_bool(cv->arena, json_object_get_boolean(from));
	case json_type_int:
		return value_int(cv->arena, json_object_get_int64(from));
	case json_type_double:
		number = json_object_get_double(from);
		cv->too_large |= !isfinite(number);
		return value_number(cv->arena, number);
	case json_type_string:
		return value_string(cv->arena, json_object_get_string(from), (size_t)json_object_get_string_len(from));
	case json_type_array:
		return convert_array(cv, from);
	case json_type_object:
		return convert_object(cv, from);
	default:
		return value_null(cv->arena);
	}
}

static enum rc fail(struct json_error *error, size_t offset, const char *reason)
{
	if (error != NULL)
		*error = (struct json_error){.offset = offset, .reason = reason};
	return RC_INVALID;
}

static const char *reason_of(enum json_tokener_error error)
{
	switch (error) {
	case json_tokener_continue:
		return "the text ends too early";
	case json_tokener_error_depth:
		return "arrays and objects are nested too deeply";
	case json_tokener_error_parse_eof:
		return "the text ends too early";
	default:
		return "an unexpected character";
	}
}

static enum rc parse_tree(const char *text, size_t n, struct json_object **out, struct json_error *error)
{
	/* json-c counts the scalars inside the innermost container as a level. */
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
	enum json_tokener_error problem;
	size_t end;

	if (tokener == NULL)
		return RC_NOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	*out = json_tokener_parse_ex(tokener, text, (int)n);
	problem = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	if (problem == json_tokener_continue) { /* a bare number ends only where the text does */
		*out = json_tokener_parse_ex(tokener, "", 1);
		problem = json_tokener_get_error(tokener);
	}
	json_tokener_free(tokener);
	return problem == json_tokener_success ? RC_OK : fail(error, end, reason_of(problem));
}

static size_t find_too_large(struct arena *arena, const char *text, size_t n)
{
	struct scan scan = {.text = text, .n = n, .measure = arena};

	(void)scan_all(&scan);
	return scan.at;
}

const char *json_error_place(struct arena *arena, const struct json_error *error)
{
	const char *place = error->offset == JSON_SOMEWHERE ? NULL : arena_printf(arena, "at byte %zu: ", error->offset);

	return place == NULL ? "" : place;
}

enum rc json_parse(struct arena *arena, const char *text, size_t n, struct value **out, struct json_error *error)
{
	struct scan scan = {.text = text, .n = n};
	struct convert cv = {.arena = arena};
	struct json_object *tree = NULL;
	enum rc rc;

	if (n > INT32_MAX)
		return fail(error, 0, "the text is too long");
	if (!str_utf8_valid(text, n))
		return fail(error, str_utf8_prefix(text, n), "the text is not UTF-8");
	if (!scan_all(&scan))
		return fail(error, scan.at, scan.wrong);
	rc = parse_tree(text, n, &tree, error);
	if (rc != RC_OK)
		return rc;
	*out = convert(&cv, tree);
	json_object_put(tree); /* at once, not with the arena: a stream would hold it for minutes */
	if (*out == NULL)
		return RC_NOMEM;
	if (cv.too_large)
		return fail(error, find_too_large(arena, text, n), "a number is too large");
	return cv.members == scan.members ? RC_OK : fail(error, JSON_SOMEWHERE, "an object has a member twice");
}
