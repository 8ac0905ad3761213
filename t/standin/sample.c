/*
 * sample.c - the value: the first of an enum or of alternatives, every property, one item of an array, the least number.
 *
 * Enough for the schemas of endpoints; patterns are not solved.
 */
#include "sample.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32

struct schema {
	struct json_object *root, *at;
	int depth;
};

static void print_value(struct schema schema, struct text *out);

static struct json_object *member(struct schema schema, const char *name)
{
	return json_object_is_type(schema.at, json_type_object) ? json_object_object_get(schema.at, name) : NULL;
}

static struct schema below(struct schema schema, struct json_object *at)
{
	return (struct schema){schema.root, at, schema.depth + 1};
}

static const char *type_of(struct schema schema)
{
	struct json_object *type = member(schema, "type");

	for (size_t i = 0; json_object_is_type(type, json_type_array) && i < json_object_array_length(type); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(type, i));

		if (strcmp(name, "null") != 0)
			return name;
	}
	if (json_object_is_type(type, json_type_string))
		return json_object_get_string(type);
	if (member(schema, "properties") != NULL)
		return "object";
	return member(schema, "items") != NULL ? "array" : "string";
}

static void print_object(struct schema schema, struct text *out)
{
	struct json_object *properties = member(schema, "properties");
	const char *separator = "";

	text_puts(out, "{");
	if (json_object_is_type(properties, json_type_object)) {
		json_object_object_foreach(properties, name, property) {
			text_puts(out, separator);
			text_json(out, name, strlen(name));
			text_puts(out, ": ");
			print_value(below(schema, property), out);
			separator = ", ";
		}
	}
	text_puts(out, "}");
}

static void print_array(struct schema schema, struct text *out)
{
	struct json_object *least = member(schema, "minItems"), *most = member(schema, "maxItems");
	long count = least != NULL ? (long)json_object_get_int64(least) : 1;

	if (count == 0)
		count = 1;
	if (most != NULL && json_object_get_int64(most) < count)
		count = (long)json_object_get_int64(most);
	text_puts(out, "[");
	for (long i = 0; i < count; i++) {
		text_puts(out, i > 0 ? ", " : "");
		print_value(below(schema, member(schema, "items")), out);
	}
	text_puts(out, "]");
}

static const char *word_of(struct schema schema)
{
	static const char *const formats[][2] = {
		{"email", "a@example.org"},          {"date", "2026-06-20"}, {"date-time", "2026-06-20T12:00:00Z"}, {"time", "12:00:00Z"},
		{"uri", "https://example.org/"}, {"uuid", "6f1c2b1e-3c52-4a5b-9d0e-5d6f0f3a9b11"},
	};
	const char *format = json_object_get_string(member(schema, "format"));

	for (size_t i = 0; format != NULL && i < sizeof formats / sizeof formats[0]; i++)
		if (strcmp(formats[i][0], format) == 0)
			return formats[i][1];
	return "word";
}

static void print_string(struct schema schema, struct text *out)
{
	struct json_object *least = member(schema, "minLength"), *most = member(schema, "maxLength");
	struct text word = {0};

	text_puts(&word, word_of(schema));
	if (least != NULL && (size_t)json_object_get_int64(least) > word.len)
		text_fill(&word, 'x', (size_t)json_object_get_int64(least) - word.len);
	if (most != NULL && (size_t)json_object_get_int64(most) < word.len)
		word.len = (size_t)json_object_get_int64(most);
	text_json(out, word.data, word.len);
	text_free(&word);
}

static void print_number(struct schema schema, struct text *out)
{
	struct json_object *least = member(schema, "minimum"), *above = member(schema, "exclusiveMinimum"), *most = member(schema, "maximum");

	if (least != NULL)
		text_puts(out, json_object_to_json_string(least));
	else if (above != NULL)
		text_printf(out, "%lld", (long long)json_object_get_int64(above) + 1);
	else if (most != NULL && json_object_get_double(most) < 1)
		text_puts(out, json_object_to_json_string(most));
	else
		text_puts(out, "1");
}

static void print_by_type(struct schema schema, struct text *out)
{
	const char *type = type_of(schema);

	if (strcmp(type, "object") == 0)
		print_object(schema, out);
	else if (strcmp(type, "array") == 0)
		print_array(schema, out);
	else if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)
		print_number(schema, out);
	else if (strcmp(type, "boolean") == 0)
		text_puts(out, "true");
	else if (strcmp(type, "null") == 0)
		text_puts(out, "null");
	else
		print_string(schema, out);
}

/* What "#/a/b" points at; NULL where nothing is. */
static struct json_object *resolve(struct schema schema, const char *ref)
{
	struct json_object *at = schema.root;
	char *path = take_copy(ref, strlen(ref)), *save = NULL;

	for (char *name = strtok_r(path, "/", &save); name != NULL && at != NULL; name = strtok_r(NULL, "/", &save))
		if (strcmp(name, "#") != 0)
			at = json_object_is_type(at, json_type_object) ? json_object_object_get(at, name) : NULL;
	free(path);
	return at;
}

static struct json_object *first_alternative(struct schema schema)
{
	static const char *const names[] = {"anyOf", "oneOf", "allOf"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (json_object_is_type(member(schema, names[i]), json_type_array))
			return json_object_array_get_idx(member(schema, names[i]), 0);
	return NULL;
}

static void print_value(struct schema schema, struct text *out)
{
	struct json_object *choices = member(schema, "enum"), *ref = member(schema, "$ref");

	if (schema.depth > DEPTH_MAX)
		text_puts(out, "null");
	else if (member(schema, "const") != NULL)
		text_puts(out, json_object_to_json_string(member(schema, "const")));
	else if (json_object_is_type(choices, json_type_array))
		text_puts(out, json_object_to_json_string(json_object_array_get_idx(choices, 0)));
	else if (ref != NULL)
		print_value(below(schema, resolve(schema, json_object_get_string(ref))), out);
	else if (first_alternative(schema) != NULL)
		print_value(below(schema, first_alternative(schema)), out);
	else
		print_by_type(schema, out);
}

void sample_print(struct json_object *schema, struct text *out)
{
	print_value((struct schema){schema, schema, 0}, out);
}
