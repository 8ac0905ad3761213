/*
 * template_value.c - JavaScript's view of values: truth, equality, text, members.
 */
#include "prompt/template_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prompt/template_lex.h"

#define INDEX_MAX 4294967294u
#define NUMERAL_MAX 128u /* longest text that is compared with a number */

bool js_nothing(const struct value *v)
{
	return v == NULL || v->type == VALUE_NULL;
}

bool js_truthy(const struct value *v)
{
	if (js_nothing(v))
		return false;
	switch (v->type) {
	case VALUE_BOOL:
		return v->u.boolean;
	case VALUE_INT:
		return v->u.integer != 0;
	case VALUE_NUMBER:
		return v->u.number != 0;
	case VALUE_STRING:
		return v->u.string.len != 0;
	default:
		return true;
	}
}

static bool is_number(const struct value *v)
{
	return v != NULL && (v->type == VALUE_INT || v->type == VALUE_NUMBER);
}

static double number_of(const struct value *v)
{
	return v->type == VALUE_INT ? (double)v->u.integer : v->u.number;
}

bool js_empty(const struct value *v)
{
	if (is_number(v))
		return false;
	return !js_truthy(v) || (v->type == VALUE_ARRAY && v->u.array.count == 0);
}

static bool is_tree(const struct value *v)
{
	return v != NULL && (v->type == VALUE_ARRAY || v->type == VALUE_OBJECT);
}

bool js_same(const struct value *a, const struct value *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	if (is_number(a) && is_number(b))
		return number_of(a) == number_of(b);
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case VALUE_NULL:
		return true;
	case VALUE_BOOL:
		return a->u.boolean == b->u.boolean;
	case VALUE_STRING:
		return a->u.string.len == b->u.string.len && memcmp(a->u.string.text, b->u.string.text, a->u.string.len) == 0;
	default:
		return a == b;
	}
}

/* ToNumber of a string (§7.1.4.1), NaN where it is none. */
static double string_number(const char *s, size_t n)
{
	size_t len;
	char *end;
	double number;

	while ((len = lexer_space(s, n)) != 0) {
		s += len;
		n -= len;
	}
	while ((len = lexer_space_before(s, n)) != 0)
		n -= len;
	if (n == 0)
		return 0;
	if (n > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && strspn(s + 2, "0123456789abcdefABCDEF") >= n - 2)
		return (double)strtoull(s + 2, NULL, 16);
	if (strspn(s, "+-.0123456789eE") < n)
		return NAN;
	number = strtod(s, &end);
	return end == s + n ? number : NAN;
}

/* ToNumber of what is neither undefined nor an object. */
static double to_number(const struct value *v)
{
	if (is_number(v))
		return number_of(v);
	if (v->type == VALUE_BOOL)
		return v->u.boolean ? 1 : 0;
	return v->type == VALUE_STRING ? string_number(v->u.string.text, v->u.string.len) : NAN;
}

bool js_equal(const struct value *a, const struct value *b, struct buf *scratch)
{
	struct value text = {.type = VALUE_STRING};

	if (js_nothing(a) || js_nothing(b))
		return js_nothing(a) && js_nothing(b);
	if (is_tree(a) && is_tree(b))
		return a == b;
	if (is_tree(b)) {
		const struct value *swap = a;

		a = b;
		b = swap;
	}
	if (is_tree(a)) { /* no more of a long list is put into words than could still be equal */
		buf_clear(scratch);
		scratch->max = b->type == VALUE_STRING ? b->u.string.len : NUMERAL_MAX;
		js_text(scratch, a);
		if (scratch->rc != RC_OK)
			return false;
		text.u.string.text = buf_text(scratch);
		text.u.string.len = scratch->len;
		a = &text;
	}
	return a->type == b->type ? js_same(a, b) : to_number(a) == to_number(b);
}

static void array_text(struct buf *buf, const struct value *array)
{
	for (size_t i = 0; i < array->u.array.count && buf->rc == RC_OK; i++) {
		if (i != 0)
			buf_putc(buf, ',');
		js_text(buf, array->u.array.items[i]);
	}
}

/* See half_of_pair. */
static bool is_half(const struct value *string)
{
	const unsigned char *u = (const unsigned char *)string->u.string.text;

	return string->u.string.len == 3 && u[0] == 0xED && u[1] >= 0xA0;
}

void js_text(struct buf *buf, const struct value *v)
{
	if (js_nothing(v))
		return;
	switch (v->type) {
	case VALUE_STRING:
		if (is_half(v))
			buf_puts(buf, "\xEF\xBF\xBD");
		else
			buf_add(buf, v->u.string.text, v->u.string.len);
		return;
	case VALUE_ARRAY:
		array_text(buf, v);
		return;
	case VALUE_OBJECT:
		buf_puts(buf, "[object Object]");
		return;
	default:
		(void)value_write(buf, v, 0);
	}
}

/* A canonical array index ("0", "12", not "01"), at most `max`. */
static bool is_index(const char *key, size_t len, size_t max, size_t *index)
{
	size_t n = 0;

	if (len == 0 || len > 10 || (key[0] == '0' && len != 1))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (key[i] < '0' || key[i] > '9')
			return false;
		n = n * 10 + (size_t)(key[i] - '0');
	}
	*index = n;
	return n <= max;
}

static size_t sequence_length(unsigned char lead)
{
	return lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
}

size_t js_string_length(const struct value *string)
{
	size_t units = 0;

	for (size_t i = 0, len; i < string->u.string.len; i += len) {
		len = sequence_length((unsigned char)string->u.string.text[i]);
		units += len == 4 ? 2 : 1;
	}
	return units;
}

/* Half of the pair of UTF-16 units that a character of four bytes is, as three bytes that are no UTF-8: JSON shows it as an escape, text as U+FFFD. */
static const struct value *half_of_pair(struct arena *arena, const char *s, bool second)
{
	const unsigned char *u = (const unsigned char *)s;
	uint32_t point = (u[0] & 0x07u) << 18 | (u[1] & 0x3Fu) << 12 | (u[2] & 0x3Fu) << 6 | (u[3] & 0x3Fu);
	uint32_t unit = second ? 0xDC00u + ((point - 0x10000u) & 0x3FFu) : 0xD800u + ((point - 0x10000u) >> 10);
	const char half[] = {(char)0xED, (char)(0x80 | ((unit >> 6) & 0x3F)), (char)(0x80 | (unit & 0x3F))};

	return value_string(arena, half, sizeof half);
}

/* The UTF-16 unit at `index`. */
static const struct value *string_unit(struct arena *arena, const struct value *string, size_t index)
{
	const char *s = string->u.string.text;
	size_t units = 0;

	for (size_t i = 0, len; i < string->u.string.len; i += len) {
		len = sequence_length((unsigned char)s[i]);
		units += len == 4 ? 2 : 1;
		if (units > index)
			return len == 4 ? half_of_pair(arena, s + i, units == index + 1) : value_string(arena, s + i, len);
	}
	return NULL;
}

const struct value *js_get(struct arena *arena, const struct value *v, const char *key, size_t len)
{
	bool length = len == 6 && memcmp(key, "length", 6) == 0;
	size_t index;

	if (js_nothing(v))
		return NULL;
	if (v->type == VALUE_OBJECT)
		return value_getn(v, key, len);
	if (v->type == VALUE_ARRAY && length)
		return value_int(arena, (int64_t)v->u.array.count);
	if (v->type == VALUE_ARRAY)
		return v->u.array.count != 0 && is_index(key, len, v->u.array.count - 1, &index) ? v->u.array.items[index] : NULL;
	if (v->type == VALUE_STRING && length)
		return value_int(arena, (int64_t)js_string_length(v));
	if (v->type == VALUE_STRING && is_index(key, len, v->u.string.len, &index))
		return string_unit(arena, v, index);
	return NULL;
}

static int by_index(const void *a, const void *b)
{
	const struct value_member *x = a, *y = b;

	if (x->key_len != y->key_len)
		return x->key_len < y->key_len ? -1 : 1;
	return memcmp(x->key, y->key, x->key_len);
}

const struct value_member *js_members(struct arena *arena, const struct value *object)
{
	const struct value_member *members = object->u.object.members;
	size_t count = object->u.object.count, indexes = 0, others, index;
	struct value_member *ordered;

	for (size_t i = 0; i < count; i++)
		indexes += is_index(members[i].key, members[i].key_len, INDEX_MAX, &index);
	if (indexes == 0)
		return members;
	ordered = arena_array(arena, count, sizeof *ordered);
	if (ordered == NULL)
		return NULL;
	others = indexes;
	indexes = 0;
	for (size_t i = 0; i < count; i++)
		ordered[is_index(members[i].key, members[i].key_len, INDEX_MAX, &index) ? indexes++ : others++] = members[i];
	qsort(ordered, indexes, sizeof *ordered, by_index);
	return ordered;
}

struct writer {
	struct buf *buf;
	const char *gap;
	size_t gap_len;
};

static void write_value(const struct writer *w, const struct value *v, unsigned depth);

static void break_line(const struct writer *w, unsigned depth)
{
	if (w->gap_len == 0)
		return;
	buf_putc(w->buf, '\n');
	while (depth-- > 0)
		buf_add(w->buf, w->gap, w->gap_len);
}

static void write_object(const struct writer *w, const struct value *object, unsigned depth)
{
	const struct value_member *members = js_members(w->buf->arena, object);
	size_t written = 0;

	if (members == NULL && object->u.object.count != 0) {
		w->buf->rc = RC_NOMEM;
		return;
	}
	buf_putc(w->buf, '{');
	for (size_t i = 0; i < object->u.object.count && w->buf->rc == RC_OK; i++) {
		if (members[i].value == NULL)
			continue;
		if (written++ != 0)
			buf_putc(w->buf, ',');
		break_line(w, depth + 1);
		buf_json_string(w->buf, members[i].key, members[i].key_len);
		buf_puts(w->buf, w->gap_len == 0 ? ":" : ": ");
		write_value(w, members[i].value, depth + 1);
	}
	if (written != 0)
		break_line(w, depth);
	buf_putc(w->buf, '}');
}

static void write_array(const struct writer *w, const struct value *array, unsigned depth)
{
	buf_putc(w->buf, '[');
	for (size_t i = 0; i < array->u.array.count && w->buf->rc == RC_OK; i++) {
		if (i != 0)
			buf_putc(w->buf, ',');
		break_line(w, depth + 1);
		write_value(w, array->u.array.items[i], depth + 1);
	}
	if (array->u.array.count != 0)
		break_line(w, depth);
	buf_putc(w->buf, ']');
}

static void write_value(const struct writer *w, const struct value *v, unsigned depth)
{
	if (v->type == VALUE_OBJECT)
		write_object(w, v, depth);
	else if (v->type == VALUE_ARRAY)
		write_array(w, v, depth);
	else
		(void)value_write(w->buf, v, 0);
}

enum rc js_json(struct buf *buf, const struct value *v, const char *gap, size_t gap_len)
{
	struct writer w = {buf, gap, gap_len};

	if (v == NULL)
		return buf_puts(buf, "undefined");
	write_value(&w, v, 0);
	return buf->rc;
}

void js_set(struct value *object, const char *key, size_t len, const struct value *v)
{
	struct value_member *members = object->u.object.members;
	size_t i = 0;

	while (i < object->u.object.count && (members[i].key_len != len || memcmp(members[i].key, key, len) != 0))
		i++;
	members[i] = (struct value_member){.key = key, .key_len = len, .value = (struct value *)v};
	if (i == object->u.object.count)
		object->u.object.count++;
}

static bool set_index(struct arena *arena, struct value *object, size_t index, const struct value *v)
{
	char *key = arena_printf(arena, "%zu", index);

	if (key == NULL || v == NULL)
		return false;
	object->u.object.members[object->u.object.count++] = (struct value_member){.key = key, .key_len = strlen(key), .value = (struct value *)v};
	return true;
}

struct value *js_copy(struct arena *arena, const struct value *v, size_t more)
{
	struct value *copy = value_object(arena);
	enum value_type type = v == NULL ? VALUE_NULL : v->type;
	size_t count = type == VALUE_OBJECT ? v->u.object.count : type == VALUE_ARRAY ? v->u.array.count : type == VALUE_STRING ? js_string_length(v) : 0;

	if (copy == NULL)
		return NULL;
	copy->u.object.members = arena_array(arena, count + more, sizeof *copy->u.object.members);
	if (copy->u.object.members == NULL)
		return NULL;
	if (type == VALUE_OBJECT) {
		if (count != 0)
			memcpy(copy->u.object.members, v->u.object.members, count * sizeof *v->u.object.members);
		copy->u.object.count = count;
		return copy;
	}
	for (size_t i = 0; i < count; i++)
		if (!set_index(arena, copy, i, type == VALUE_ARRAY ? v->u.array.items[i] : string_unit(arena, v, i)))
			return NULL;
	return copy;
}
