/*
 * value.c - building, comparing and printing trees of JSON's types.
 *
 * Lists hold room for the next power of two of their count, so that appending is cheap without a field for the room: every list
 * is built by append() here and nowhere else.
 */
#include "base/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 4u

static struct value *new_node(struct arena *arena, enum value_type type)
{
	struct value *value = arena_alloc(arena, sizeof *value);

	if (value != NULL)
		value->type = type;
	return value;
}

struct value *value_null(struct arena *arena)
{
	return new_node(arena, VALUE_NULL);
}

struct value *value_bool(struct arena *arena, bool boolean)
{
	struct value *value = new_node(arena, VALUE_BOOL);

	if (value != NULL)
		value->u.boolean = boolean;
	return value;
}

struct value *value_int(struct arena *arena, int64_t integer)
{
	struct value *value = new_node(arena, VALUE_INT);

	if (value != NULL)
		value->u.integer = integer;
	return value;
}

struct value *value_number(struct arena *arena, double number)
{
	struct value *value = new_node(arena, VALUE_NUMBER);

	if (value != NULL)
		value->u.number = number;
	return value;
}

struct value *value_string(struct arena *arena, const char *text, size_t len)
{
	struct value *value = new_node(arena, VALUE_STRING);

	if (value == NULL)
		return NULL;
	value->u.string.text = arena_strndup(arena, text, len);
	value->u.string.len = len;
	return value->u.string.text == NULL ? NULL : value;
}

struct value *value_array(struct arena *arena)
{
	return new_node(arena, VALUE_ARRAY);
}

struct value *value_object(struct arena *arena)
{
	return new_node(arena, VALUE_OBJECT);
}

/* Room for one more element behind `count` of `size` bytes at `list`; NULL as arena_grow. */
static void *append(struct arena *arena, void *list, size_t count, size_t size)
{
	if (count == 0)
		return arena_array(arena, ROOM_FIRST, size);
	if (count < ROOM_FIRST || (count & (count - 1)) != 0)
		return list;
	return arena_grow(arena, list, count * size, count * 2 * size);
}

enum rc value_push(struct arena *arena, struct value *array, struct value *item)
{
	struct value **items;

	if (array == NULL || item == NULL)
		return RC_NOMEM;
	items = append(arena, array->u.array.items, array->u.array.count, sizeof *items);
	if (items == NULL)
		return RC_NOMEM;
	items[array->u.array.count++] = item;
	array->u.array.items = items;
	return RC_OK;
}

static struct value_member *find(const struct value *object, const char *key, size_t key_len)
{
	if (object == NULL || object->type != VALUE_OBJECT)
		return NULL;
	for (size_t i = 0; i < object->u.object.count; i++) {
		struct value_member *member = &object->u.object.members[i];

		if (member->key_len == key_len && memcmp(member->key, key, key_len) == 0)
			return member;
	}
	return NULL;
}

enum rc value_add(struct arena *arena, struct value *object, const char *key, size_t key_len, struct value *item)
{
	struct value_member *members;
	char *copy;

	if (object == NULL || item == NULL)
		return RC_NOMEM;
	copy = arena_strndup(arena, key, key_len);
	members = append(arena, object->u.object.members, object->u.object.count, sizeof *members);
	if (copy == NULL || members == NULL)
		return RC_NOMEM;
	members[object->u.object.count++] = (struct value_member){.key = copy, .key_len = key_len, .value = item};
	object->u.object.members = members;
	return RC_OK;
}

enum rc value_set(struct arena *arena, struct value *object, const char *key, size_t key_len, struct value *item)
{
	struct value_member *member = find(object, key, key_len);

	if (member == NULL || item == NULL)
		return value_add(arena, object, key, key_len, item);
	member->value = item;
	return RC_OK;
}

const struct value *value_get(const struct value *object, const char *key)
{
	return value_getn(object, key, strlen(key));
}

const struct value *value_getn(const struct value *object, const char *key, size_t key_len)
{
	const struct value_member *member = find(object, key, key_len);

	return member == NULL ? NULL : member->value;
}

const char *value_text(const struct value *value, const char *otherwise)
{
	return value != NULL && value->type == VALUE_STRING ? value->u.string.text : otherwise;
}

static bool equal_numbers(const struct value *a, const struct value *b)
{
	double number = a->type == VALUE_NUMBER ? a->u.number : b->u.number;
	int64_t integer = a->type == VALUE_INT ? a->u.integer : b->u.integer;

	if (a->type == b->type)
		return a->type == VALUE_INT ? a->u.integer == b->u.integer : a->u.number == b->u.number;
	/* 2^63 is exact as a double; below it the conversion to an integer is defined. */
	return number >= -0x1p63 && number < 0x1p63 && number == trunc(number) && (int64_t)number == integer;
}

static bool equal_lists(const struct value *a, const struct value *b)
{
	if (a->type == VALUE_ARRAY) {
		for (size_t i = 0; i < a->u.array.count; i++)
			if (i >= b->u.array.count || !value_equal(a->u.array.items[i], b->u.array.items[i]))
				return false;
		return a->u.array.count == b->u.array.count;
	}
	for (size_t i = 0; i < a->u.object.count; i++) {
		const struct value_member *member = &a->u.object.members[i];
		const struct value *other = value_getn(b, member->key, member->key_len);

		if (other == NULL || !value_equal(member->value, other))
			return false;
	}
	return a->u.object.count == b->u.object.count;
}

static bool is_number(const struct value *value)
{
	return value->type == VALUE_INT || value->type == VALUE_NUMBER;
}

bool value_equal(const struct value *a, const struct value *b)
{
	if (is_number(a) && is_number(b))
		return equal_numbers(a, b);
	if (a->type != b->type)
		return false;
	if (a->type == VALUE_BOOL)
		return a->u.boolean == b->u.boolean;
	if (a->type == VALUE_STRING)
		return a->u.string.len == b->u.string.len && memcmp(a->u.string.text, b->u.string.text, a->u.string.len) == 0;
	return a->type == VALUE_NULL || equal_lists(a, b);
}

const char *value_type_name(enum value_type type)
{
	static const char *const names[] = {
		[VALUE_NULL] = "null",     [VALUE_BOOL] = "boolean", [VALUE_INT] = "integer",   [VALUE_NUMBER] = "number",
		[VALUE_STRING] = "string", [VALUE_ARRAY] = "array",  [VALUE_OBJECT] = "object",
	};

	return names[type];
}

static void new_line(struct buf *buf, unsigned indent, unsigned depth)
{
	if (indent == 0)
		return;
	buf_putc(buf, '\n');
	for (unsigned i = 0; i < indent * depth; i++)
		buf_putc(buf, ' ');
}

static void write_node(struct buf *buf, const struct value *value, unsigned indent, unsigned depth);

static void write_array(struct buf *buf, const struct value *array, unsigned indent, unsigned depth)
{
	buf_putc(buf, '[');
	for (size_t i = 0; i < array->u.array.count; i++) {
		if (i != 0)
			buf_putc(buf, ',');
		new_line(buf, indent, depth + 1);
		write_node(buf, array->u.array.items[i], indent, depth + 1);
	}
	if (array->u.array.count != 0)
		new_line(buf, indent, depth);
	buf_putc(buf, ']');
}

static void write_object(struct buf *buf, const struct value *object, unsigned indent, unsigned depth)
{
	buf_putc(buf, '{');
	for (size_t i = 0; i < object->u.object.count; i++) {
		const struct value_member *member = &object->u.object.members[i];

		if (i != 0)
			buf_putc(buf, ',');
		new_line(buf, indent, depth + 1);
		buf_json_string(buf, member->key, member->key_len);
		buf_puts(buf, indent == 0 ? ":" : ": ");
		write_node(buf, member->value, indent, depth + 1);
	}
	if (object->u.object.count != 0)
		new_line(buf, indent, depth);
	buf_putc(buf, '}');
}

static void write_node(struct buf *buf, const struct value *value, unsigned indent, unsigned depth)
{
	switch (value->type) {
	case VALUE_NULL:
		buf_puts(buf, "null");
		break;
	case VALUE_BOOL:
		buf_puts(buf, value->u.boolean ? "true" : "false");
		break;
	case VALUE_INT:
		buf_int(buf, value->u.integer);
		break;
	case VALUE_NUMBER:
		if (isfinite(value->u.number))
			value_write_number(buf, value->u.number);
		else
			buf_puts(buf, "null");
		break;
	case VALUE_STRING:
		buf_json_string(buf, value->u.string.text, value->u.string.len);
		break;
	case VALUE_ARRAY:
		write_array(buf, value, indent, depth);
		break;
	case VALUE_OBJECT:
		write_object(buf, value, indent, depth);
		break;
	}
}

enum rc value_write(struct buf *buf, const struct value *value, unsigned indent)
{
	write_node(buf, value, indent, 0);
	return buf->rc;
}

#define DIGITS_MAX 17 /* what any double needs at most to be read back as itself */

/* The shortest digits that read back as `number` (positive, finite), and the exponent n of ECMA-262: number = 0.digits × 10^n. */
static int shortest(double number, char digits[DIGITS_MAX + 1], int *count)
{
	char text[40];
	int exponent, n = 0;

	for (int precision = 0; precision < DIGITS_MAX; precision++) {
		snprintf(text, sizeof text, "%.*e", precision, number);
		if (strtod(text, NULL) == number)
			break;
	}
	exponent = atoi(strchr(text, 'e') + 1);
	for (const char *p = text; *p != 'e'; p++)
		if (*p != '.')
			digits[n++] = *p;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = '\0';
	*count = n;
	return exponent + 1;
}

static void write_zeros(struct buf *buf, int count)
{
	for (int i = 0; i < count; i++)
		buf_putc(buf, '0');
}

/* Whole thousandths, as most numbers are, without printf. No two decimals of up to 15 digits are one double: what reads back as the number is its shortest form. */
static bool write_thousandths(struct buf *buf, double number)
{
	double thousandths = rint(number * 1000);
	char fraction[] = ".000";
	int64_t whole;
	size_t len = 4;

	if (thousandths >= 1e12 || thousandths / 1000 != number)
		return false;
	whole = (int64_t)thousandths;
	for (size_t i = 3; i > 0; i--, whole /= 10)
		fraction[i] = (char)('0' + whole % 10);
	while (fraction[len - 1] == '0')
		len--;
	buf_int(buf, whole);
	buf_add(buf, fraction, len == 1 ? 0 : len);
	return true;
}

enum rc value_write_number(struct buf *buf, double number)
{
	char digits[DIGITS_MAX + 1];
	int k, n;

	if (isnan(number))
		return buf_puts(buf, "NaN");
	if (number < 0)
		buf_putc(buf, '-');
	if (isinf(number))
		return buf_puts(buf, "Infinity");
	if (number == 0)
		return buf_putc(buf, '0');
	if (write_thousandths(buf, fabs(number)))
		return buf->rc;
	n = shortest(fabs(number), digits, &k);
	if (n > 21 || n <= -6) {
		buf_printf(buf, k == 1 ? "%.1s%s" : "%.1s.%s", digits, digits + 1);
		return buf_printf(buf, "e%+d", n - 1);
	}
	if (n <= 0) {
		buf_puts(buf, "0.");
		write_zeros(buf, -n);
		return buf_puts(buf, digits);
	}
	if (k <= n) {
		buf_puts(buf, digits);
		write_zeros(buf, n - k);
		return buf->rc;
	}
	return buf_printf(buf, "%.*s.%s", n, digits, digits + n);
}
