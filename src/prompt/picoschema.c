/*
 * picoschema.c - Dotprompt's short form of a schema into JSON Schema.
 *
 *   name: string, what it is        nick?: string        tags(array, some): string        kind(enum): [A, B]        (*): any
 *
 * The generated nodes keep line and column of what they were made from, so that later complaints point into the file.
 */
#include <string.h>

#include "base/str.h"
#include "prompt/schema_node.h"

#define NAMED_DEPTH_MAX 16u /* of named schemas that name others */

struct pico {
	struct arena *arena;
	const struct value *named;
	struct diagnostics *list;
	unsigned named_depth;
};

/* "type, description", cut in two at the first comma; description NULL where there is none. */
struct typed {
	const char *type;
	size_t type_len;
	const char *about;
	size_t about_len;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void trim(const char **text, size_t *len)
{
	while (*len > 0 && is_blank((*text)[0])) {
		++*text;
		--*len;
	}
	while (*len > 0 && is_blank((*text)[*len - 1]))
		--*len;
}

static struct typed split(const char *text, size_t len)
{
	const char *comma = memchr(text, ',', len);
	struct typed typed = {.type = text, .type_len = comma == NULL ? len : (size_t)(comma - text)};

	if (comma != NULL) {
		typed.about = comma + 1;
		typed.about_len = len - typed.type_len - 1;
		while (typed.about_len > 0 && *typed.about == ' ') { /* the blanks behind it are its own, as in the reference */
			typed.about++;
			typed.about_len--;
		}
		if (typed.about_len == 0)
			typed.about = NULL;
	}
	trim(&typed.type, &typed.type_len);
	return typed;
}

static bool is_named(const char *text, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(text, name, len) == 0;
}

static struct value *at(struct value *value, const struct value *where)
{
	if (value != NULL) {
		value->line = where->line;
		value->column = where->column;
	}
	return value;
}

static enum rc set_text(struct pico *pico, struct value *object, const char *key, const char *text, size_t len, const struct value *where)
{
	return value_set(pico->arena, object, key, strlen(key), at(value_string(pico->arena, text, len), where));
}

static enum rc describe(struct pico *pico, struct value *object, const struct typed *typed, const struct value *where)
{
	return typed->about == NULL ? RC_OK : set_text(pico, object, "description", typed->about, typed->about_len, where);
}

/* A copy of the object's first level, so that a member can be set without changing what it came from. */
static struct value *copy_object(struct pico *pico, const struct value *from)
{
	struct value *copy = at(value_object(pico->arena), from);

	for (size_t i = 0; i < from->u.object.count && copy != NULL; i++) {
		const struct value_member *member = &from->u.object.members[i];

		if (value_add(pico->arena, copy, member->key, member->key_len, member->value) != RC_OK)
			return NULL;
		copy->u.object.members[i].line = member->line;
		copy->u.object.members[i].column = member->column;
	}
	return copy;
}

static enum rc convert(struct pico *pico, const struct value *source, struct value **out);
static enum rc decide(struct pico *pico, const struct value *source, const struct value **out);

static enum rc resolve(struct pico *pico, const struct typed *typed, const struct value *where, struct value **out)
{
	const struct value *found = value_getn(pico->named, typed->type, typed->type_len);
	const struct value *schema = NULL;
	enum rc rc;

	if (found == NULL)
		return diagnostics_error(pico->list, where->line, where->column,
		                         "string, number, integer, boolean, null, any, or a (array), (object), (enum) behind the name",
		                         "unknown type \"%.*s\"", diagnostics_quoted(typed->type, typed->type_len), typed->type);
	if (pico->named_depth >= NAMED_DEPTH_MAX)
		return diagnostics_error(pico->list, where->line, where->column, NULL, "the named schemas refer to each other without end");
	pico->named_depth++;
	rc = decide(pico, found, &schema);
	pico->named_depth--;
	if (rc != RC_OK)
		return rc;
	*out = copy_object(pico, schema);
	return *out == NULL ? RC_NOMEM : describe(pico, *out, typed, where);
}

static enum rc convert_scalar(struct pico *pico, const struct value *source, struct value **out)
{
	static const char *const scalars[] = {"string", "boolean", "null", "number", "integer", "any"};
	struct typed typed = split(source->u.string.text, source->u.string.len);

	for (size_t i = 0; i < COUNT_OF(scalars); i++) {
		if (!is_named(typed.type, typed.type_len, scalars[i]))
			continue;
		*out = at(value_object(pico->arena), source);
		if (*out == NULL)
			return RC_NOMEM;
		if (!str_eq(scalars[i], "any") && set_text(pico, *out, "type", typed.type, typed.type_len, source) != RC_OK)
			return RC_NOMEM;
		return describe(pico, *out, &typed, source);
	}
	return resolve(pico, &typed, source, out);
}

/* type: T becomes [T, "null"]; several types are left as their author wrote them. */
static enum rc make_nullable(struct pico *pico, struct value *schema)
{
	struct value *type = (struct value *)(uintptr_t)value_get(schema, "type"), *both;

	if (type == NULL || type->type != VALUE_STRING)
		return RC_OK;
	both = at(value_array(pico->arena), type);
	if (value_push(pico->arena, both, type) != RC_OK || value_push(pico->arena, both, at(value_string(pico->arena, "null", 4), type)) != RC_OK)
		return RC_NOMEM;
	return value_set(pico->arena, schema, "type", 4, both);
}

static enum rc convert_enum(struct pico *pico, const struct value *source, bool optional, struct value **out)
{
	struct value *options = at(value_array(pico->arena), source);
	bool has_null = false;

	if (source->type != VALUE_ARRAY)
		return diagnostics_error(pico->list, source->line, source->column, "kind(enum): [A, B]", "an enum needs a list of values");
	for (size_t i = 0; i < source->u.array.count; i++) {
		has_null |= source->u.array.items[i]->type == VALUE_NULL;
		if (value_push(pico->arena, options, source->u.array.items[i]) != RC_OK)
			return RC_NOMEM;
	}
	if (optional && !has_null && value_push(pico->arena, options, at(value_null(pico->arena), source)) != RC_OK)
		return RC_NOMEM;
	*out = at(value_object(pico->arena), source);
	return value_set(pico->arena, *out, "enum", 4, options);
}

static enum rc convert_array(struct pico *pico, const struct value *source, struct value **out)
{
	struct value *items = NULL;
	enum rc rc = convert(pico, source, &items);

	if (rc != RC_OK)
		return rc;
	*out = at(value_object(pico->arena), source);
	if (*out == NULL || set_text(pico, *out, "type", "array", 5, source) != RC_OK)
		return RC_NOMEM;
	return value_set(pico->arena, *out, "items", 5, items);
}

/* One key of an object, taken apart: name?(kind, about) */
struct field {
	const char *name;
	size_t name_len;
	bool optional;
	struct typed typed; /* type_len 0 without parentheses */
};

static enum rc split_field(struct pico *pico, const struct value_member *member, struct field *field)
{
	const char *open = memchr(member->key, '(', member->key_len);

	*field = (struct field){.name = member->key, .name_len = open == NULL ? member->key_len : (size_t)(open - member->key)};
	if (open != NULL) {
		if (member->key[member->key_len - 1] != ')')
			return diagnostics_error(pico->list, member->line, member->column, "name(array, what it is)", "\"%s\" has no closing parenthesis", member->key);
		field->typed = split(open + 1, member->key_len - field->name_len - 2);
	}
	trim(&field->name, &field->name_len);
	if (field->name_len > 0 && field->name[field->name_len - 1] == '?') {
		field->optional = true;
		field->name_len--;
	}
	if (field->name_len == 0)
		return diagnostics_error(pico->list, member->line, member->column, NULL, "\"%s\" has no name", member->key);
	return RC_OK;
}

static enum rc convert_field(struct pico *pico, const struct value_member *member, const struct field *field, struct value **out)
{
	const struct typed *typed = &field->typed;
	enum rc rc;

	if (typed->type_len == 0 || is_named(typed->type, typed->type_len, "object"))
		rc = convert(pico, member->value, out);
	else if (is_named(typed->type, typed->type_len, "array"))
		rc = convert_array(pico, member->value, out);
	else if (is_named(typed->type, typed->type_len, "enum"))
		rc = convert_enum(pico, member->value, field->optional, out);
	else
		return diagnostics_error(pico->list, member->line, member->column, "array, object or enum", "unknown kind \"%.*s\" in parentheses",
		                         diagnostics_quoted(typed->type, typed->type_len), typed->type);
	if (rc == RC_OK && field->optional)
		rc = make_nullable(pico, *out);
	return rc == RC_OK ? describe(pico, *out, typed, member->value) : rc;
}

struct parts {
	struct value *properties, *required;
	struct value *additional;
};

static enum rc convert_member(struct pico *pico, const struct value_member *member, struct parts *parts)
{
	struct value *schema = NULL;
	struct field field;
	enum rc rc;

	if (str_eq(member->key, "(*)"))
		return convert(pico, member->value, &parts->additional);
	rc = split_field(pico, member, &field);
	if (rc == RC_OK && value_getn(parts->properties, field.name, field.name_len) != NULL)
		rc = diagnostics_error(pico->list, member->line, member->column, NULL, "\"%.*s\" is given twice", (int)field.name_len, field.name);
	if (rc == RC_OK)
		rc = convert_field(pico, member, &field, &schema);
	if (rc == RC_OK && !field.optional)
		rc = value_push(pico->arena, parts->required, value_string(pico->arena, field.name, field.name_len));
	if (rc == RC_OK)
		rc = value_set(pico->arena, parts->properties, field.name, field.name_len, schema);
	return rc;
}

static enum rc convert_object(struct pico *pico, const struct value *source, struct value **out)
{
	struct parts parts = {
		.properties = at(value_object(pico->arena), source),
		.required = at(value_array(pico->arena), source),
		.additional = value_bool(pico->arena, false),
	};
	enum rc rc = parts.properties == NULL || parts.required == NULL || parts.additional == NULL ? RC_NOMEM : RC_OK, one;

	for (size_t i = 0; i < source->u.object.count && rc != RC_NOMEM; i++) {
		one = convert_member(pico, &source->u.object.members[i], &parts);
		rc = one == RC_OK ? rc : one;
	}
	if (rc != RC_OK)
		return rc;
	*out = at(value_object(pico->arena), source);
	if (*out == NULL || set_text(pico, *out, "type", "object", 6, source) != RC_OK ||
	    value_set(pico->arena, *out, "properties", 10, parts.properties) != RC_OK ||
	    (parts.required->u.array.count > 0 && value_set(pico->arena, *out, "required", 8, parts.required) != RC_OK))
		return RC_NOMEM;
	return value_set(pico->arena, *out, "additionalProperties", 20, parts.additional);
}

/* Everything below the top is Picoschema: there a member may well be called "type". */
static enum rc convert(struct pico *pico, const struct value *source, struct value **out)
{
	if (source->type == VALUE_STRING)
		return convert_scalar(pico, source, out);
	if (source->type == VALUE_OBJECT)
		return convert_object(pico, source, out);
	return diagnostics_error(pico->list, source->line, source->column, NULL, "a schema is a type's name or an object, not %s",
	                         value_type_name(source->type));
}

static bool is_type(const struct value *type)
{
	if (type == NULL || type->type != VALUE_ARRAY)
		return type != NULL && type->type == VALUE_STRING && schema_type_bit(type->u.string.text) != 0;
	for (size_t i = 0; i < type->u.array.count; i++)
		if (!is_type(type->u.array.items[i]))
			return false;
	return type->u.array.count > 0;
}

static bool has_list(const struct value *source, const char *key)
{
	const struct value *value = value_get(source, key);

	return value != NULL && value->type == VALUE_ARRAY;
}

/* Dotprompt's rule (a `type` that JSON Schema has, or `properties`), and what can be nothing but JSON Schema: Picoschema has no lists. */
static bool is_json_schema(const struct value *source)
{
	static const char *const lists[] = {"anyOf", "oneOf", "allOf", "enum"};

	if (source->type != VALUE_OBJECT)
		return false;
	if (is_type(value_get(source, "type")) || value_get(source, "$ref") != NULL || value_get(source, "$schema") != NULL)
		return true;
	for (size_t i = 0; i < COUNT_OF(lists); i++)
		if (has_list(source, lists[i]))
			return true;
	return false;
}

static bool has_properties(const struct value *source)
{
	const struct value *properties = value_get(source, "properties");

	return properties != NULL && properties->type == VALUE_OBJECT;
}

static enum rc decide(struct pico *pico, const struct value *source, const struct value **out)
{
	struct value *made = NULL;
	enum rc rc;

	if (is_json_schema(source)) {
		*out = source;
		return RC_OK;
	}
	if (has_properties(source)) {
		made = copy_object(pico, source);
		*out = made;
		return made == NULL ? RC_NOMEM : set_text(pico, made, "type", "object", 6, source);
	}
	rc = convert(pico, source, &made);
	*out = made;
	return rc;
}

enum rc picoschema_convert(struct arena *arena, const struct value *source, const struct value *named, const struct value **out,
                           struct diagnostics *list)
{
	struct pico pico = {.arena = arena, .named = named, .list = list};

	return decide(&pico, source, out);
}
