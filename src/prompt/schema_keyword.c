/*
 * schema_keyword.c - JSON Schema's keywords, one function each.
 *
 * The table below is all that is supported. What is not in it is refused, because a keyword that is read past is a check that people
 * believe in and that never happens.
 */
#include "prompt/schema_keyword.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

/* The member that is being compiled into `node`, which came from `owner`. */
struct member {
	const struct value *owner;
	struct schema_node *node;
	const char *key;
	const struct value *value;
	unsigned line, column;
};

static enum rc complain(struct schema_loader *ld, const struct member *m, const char *what)
{
	return diagnostics_error(ld->list, m->line, m->column, NULL, "%s %s", m->key, what);
}

static enum rc ignore(struct schema_loader *ld, const struct member *m)
{
	(void)ld;
	(void)m;
	return RC_OK;
}

static enum rc only_at_root(struct schema_loader *ld, const struct member *m)
{
	return m->owner == ld->root ? RC_OK : complain(ld, m, "is supported only at the top of the schema");
}

static enum rc add_type(struct schema_loader *ld, const struct member *m, const struct value *name)
{
	unsigned bit = schema_type_bit(value_text(name, ""));

	if (bit == 0)
		return diagnostics_error(ld->list, m->line, m->column, "null, boolean, integer, number, string, array, object",
		                         "unknown type \"%s\"", value_text(name, "?"));
	m->node->types |= bit;
	return RC_OK;
}

static enum rc compile_type(struct schema_loader *ld, const struct member *m)
{
	m->node->types = 0;
	if (m->value->type != VALUE_ARRAY)
		return add_type(ld, m, m->value);
	if (m->value->u.array.count == 0)
		return complain(ld, m, "must name at least one type");
	for (size_t i = 0; i < m->value->u.array.count; i++)
		if (add_type(ld, m, m->value->u.array.items[i]) != RC_OK)
			return RC_INVALID;
	return RC_OK;
}

static enum rc compile_const(struct schema_loader *ld, const struct member *m)
{
	(void)ld;
	m->node->constant = m->value;
	return RC_OK;
}

static enum rc compile_enum(struct schema_loader *ld, const struct member *m)
{
	if (m->value->type != VALUE_ARRAY || m->value->u.array.count == 0)
		return complain(ld, m, "must be a list of at least one value");
	m->node->options = m->value;
	return RC_OK;
}

static bool to_number(const struct value *value, double *out)
{
	if (value->type != VALUE_INT && value->type != VALUE_NUMBER)
		return false;
	*out = value->type == VALUE_INT ? (double)value->u.integer : value->u.number;
	return true;
}

static enum rc read_size(struct schema_loader *ld, const struct member *m, size_t *out)
{
	double number;

	if (!to_number(m->value, &number) || number < 0 || number != trunc(number) || number > 0x1p52)
		return complain(ld, m, "must be a whole number, 0 or more");
	*out = (size_t)number;
	return RC_OK;
}

static enum rc compile_size(struct schema_loader *ld, const struct member *m)
{
	const struct {
		const char *key;
		size_t *at;
	} sizes[] = {
		{"minLength", &m->node->min_length},
		{"maxLength", &m->node->max_length},
		{"minItems", &m->node->min_items},
		{"maxItems", &m->node->max_items},
	};

	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		if (str_eq(m->key, sizes[i].key))
			return read_size(ld, m, sizes[i].at);
	return RC_INVALID;
}

static enum rc compile_bound(struct schema_loader *ld, const struct member *m)
{
	const struct {
		const char *key;
		struct schema_bound *at;
	} bounds[] = {
		{"minimum", &m->node->minimum},
		{"maximum", &m->node->maximum},
		{"exclusiveMinimum", &m->node->above},
		{"exclusiveMaximum", &m->node->below},
		{"multipleOf", &m->node->multiple},
	};

	for (size_t i = 0; i < COUNT_OF(bounds); i++) {
		if (!str_eq(m->key, bounds[i].key))
			continue;
		bounds[i].at->set = true;
		if (!to_number(m->value, &bounds[i].at->value))
			return complain(ld, m, "must be a number");
	}
	return m->node->multiple.set && m->node->multiple.value <= 0 ? complain(ld, m, "must be greater than 0") : RC_OK;
}

static enum rc compile_pattern(struct schema_loader *ld, const struct member *m)
{
	const char *text = value_text(m->value, NULL), *reason = "";
	struct regex *regex = NULL;
	enum rc rc;

	if (text == NULL || strlen(text) != m->value->u.string.len)
		return complain(ld, m, "must be a string");
	rc = regex_compile(ld->arena, text, &regex, &reason);
	if (rc == RC_INVALID)
		return diagnostics_error(ld->list, m->line, m->column, NULL, "pattern \"%.*s\": %s", diagnostics_quoted(text, strlen(text)), text, reason);
	m->node->pattern = regex;
	m->node->pattern_text = text;
	return rc;
}

static enum rc compile_format(struct schema_loader *ld, const struct member *m)
{
	m->node->format = schema_format_get(value_text(m->value, ""));
	if (m->node->format != NULL)
		return RC_OK;
	return diagnostics_error(ld->list, m->line, m->column, "date-time, date, time, duration, email, hostname, ipv4, ipv6, uuid, uri",
	                         "unsupported format \"%s\"", value_text(m->value, "?"));
}

static enum rc compile_items(struct schema_loader *ld, const struct member *m)
{
	if (m->value->type == VALUE_ARRAY)
		return complain(ld, m, "must be one schema for all items; a list of schemas is not supported");
	return schema_compile_part(ld, m->value, &m->node->items);
}

static enum rc compile_additional(struct schema_loader *ld, const struct member *m)
{
	return schema_compile_part(ld, m->value, &m->node->additional);
}

static size_t count_of(const struct value *value)
{
	return value == NULL ? 0 : value->type == VALUE_ARRAY ? value->u.array.count : value->type == VALUE_OBJECT ? value->u.object.count : 0;
}

/* The entry of that name, made where it is missing: `properties` and `required` come in either order. */
static struct schema_property *entry(struct schema_loader *ld, const struct member *m, const char *name, size_t name_len)
{
	struct schema_node *node = m->node;
	struct schema_property *property = (struct schema_property *)(uintptr_t)schema_node_property(node, name, name_len);

	if (property != NULL)
		return property;
	if (node->properties == NULL)
		node->properties = arena_array(ld->arena, count_of(value_get(m->owner, "properties")) + count_of(value_get(m->owner, "required")),
		                               sizeof *node->properties);
	if (node->properties == NULL)
		return NULL;
	property = &node->properties[node->property_count++];
	property->name = name;
	property->name_len = name_len;
	return property;
}

static enum rc compile_properties(struct schema_loader *ld, const struct member *m)
{
	enum rc rc = RC_OK, one;

	if (m->value->type != VALUE_OBJECT)
		return complain(ld, m, "must be an object");
	for (size_t i = 0; i < m->value->u.object.count && rc != RC_NOMEM; i++) {
		const struct value_member *member = &m->value->u.object.members[i];
		struct schema_property *property = entry(ld, m, member->key, member->key_len);

		one = property == NULL ? RC_NOMEM : schema_compile_part(ld, member->value, &property->node);
		rc = one == RC_OK ? rc : one;
	}
	return rc;
}

static enum rc compile_required(struct schema_loader *ld, const struct member *m)
{
	if (m->value->type != VALUE_ARRAY)
		return complain(ld, m, "must be a list of names");
	for (size_t i = 0; i < m->value->u.array.count; i++) {
		const struct value *name = m->value->u.array.items[i];
		struct schema_property *property;

		if (name->type != VALUE_STRING)
			return complain(ld, m, "must be a list of names");
		property = entry(ld, m, name->u.string.text, name->u.string.len);
		if (property == NULL)
			return RC_NOMEM;
		property->required = true;
	}
	return RC_OK;
}

static enum rc compile_list(struct schema_loader *ld, const struct member *m, struct schema_list *list)
{
	enum rc rc = RC_OK, one;

	if (m->value->type != VALUE_ARRAY || m->value->u.array.count == 0)
		return complain(ld, m, "must be a list of at least one schema");
	list->nodes = arena_array(ld->arena, m->value->u.array.count, sizeof(struct schema_node *));
	if (list->nodes == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < m->value->u.array.count && rc != RC_NOMEM; i++) {
		one = schema_compile_part(ld, m->value->u.array.items[i], &list->nodes[list->count++]);
		rc = one == RC_OK ? rc : one;
	}
	return rc;
}

static enum rc compile_any(struct schema_loader *ld, const struct member *m)
{
	return compile_list(ld, m, &m->node->any);
}

static enum rc compile_one(struct schema_loader *ld, const struct member *m)
{
	return compile_list(ld, m, &m->node->one);
}

static enum rc compile_all(struct schema_loader *ld, const struct member *m)
{
	return compile_list(ld, m, &m->node->all);
}

/* Schemas that are only there to be referred to. They are compiled all the same, so that what is wrong in them is told. */
static enum rc compile_definitions(struct schema_loader *ld, const struct member *m)
{
	struct schema_node *unused;
	enum rc rc = RC_OK, one;

	if (m->value->type != VALUE_OBJECT)
		return complain(ld, m, "must be an object of schemas");
	for (size_t i = 0; i < m->value->u.object.count && rc != RC_NOMEM; i++) {
		one = schema_compile_part(ld, m->value->u.object.members[i].value, &unused);
		rc = one == RC_OK ? rc : one;
	}
	return rc;
}

static enum rc compile_reference(struct schema_loader *ld, const struct member *m)
{
	const struct value *target = NULL;
	enum rc rc;

	if (m->value->type != VALUE_STRING || m->value->u.string.text[0] != '#')
		return diagnostics_error(ld->list, m->line, m->column, "\"#/$defs/name\"", "$ref must point into the same schema");
	rc = schema_resolve(ld->arena, ld->root, m->value->u.string.text + 1, &target);
	if (rc == RC_NOTFOUND)
		return diagnostics_error(ld->list, m->line, m->column, NULL, "$ref \"%s\" points to nothing", m->value->u.string.text);
	return rc == RC_OK ? schema_compile_part(ld, target, &m->node->reference) : rc;
}

static const struct keyword {
	const char *name;
	unsigned applies; /* to values of these types only */
	bool with_reference;
	enum rc (*compile)(struct schema_loader *ld, const struct member *m);
} keywords[] = {
	{"type", TYPE_ANY, false, compile_type},
	{"enum", TYPE_ANY, false, compile_enum},
	{"const", TYPE_ANY, false, compile_const},
	{"properties", TYPE_OBJECT, false, compile_properties},
	{"required", TYPE_OBJECT, false, compile_required},
	{"additionalProperties", TYPE_OBJECT, false, compile_additional},
	{"items", TYPE_ARRAY, false, compile_items},
	{"minItems", TYPE_ARRAY, false, compile_size},
	{"maxItems", TYPE_ARRAY, false, compile_size},
	{"minLength", TYPE_STRING, false, compile_size},
	{"maxLength", TYPE_STRING, false, compile_size},
	{"pattern", TYPE_STRING, false, compile_pattern},
	{"format", TYPE_STRING, false, compile_format},
	{"minimum", TYPE_NUMBER | TYPE_INTEGER, false, compile_bound},
	{"maximum", TYPE_NUMBER | TYPE_INTEGER, false, compile_bound},
	{"exclusiveMinimum", TYPE_NUMBER | TYPE_INTEGER, false, compile_bound},
	{"exclusiveMaximum", TYPE_NUMBER | TYPE_INTEGER, false, compile_bound},
	{"multipleOf", TYPE_NUMBER | TYPE_INTEGER, false, compile_bound},
	{"anyOf", TYPE_ANY, false, compile_any},
	{"oneOf", TYPE_ANY, false, compile_one},
	{"allOf", TYPE_ANY, false, compile_all},
	{"$ref", TYPE_ANY, true, compile_reference},
	{"$defs", TYPE_ANY, true, compile_definitions},
	{"definitions", TYPE_ANY, true, compile_definitions},
	{"title", TYPE_ANY, true, ignore},
	{"description", TYPE_ANY, true, ignore},
	{"default", TYPE_ANY, true, ignore},
	{"examples", TYPE_ANY, true, ignore},
	{"$comment", TYPE_ANY, true, ignore},
	{"$schema", TYPE_ANY, true, only_at_root},
	{"$id", TYPE_ANY, true, only_at_root},
};

static const struct keyword *find_keyword(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(keywords); i++)
		if (str_eq(keywords[i].name, name))
			return &keywords[i];
	return NULL;
}

static enum rc refuse_keyword(struct schema_loader *ld, const struct value_member *member)
{
	const char *names[COUNT_OF(keywords)];

	for (size_t i = 0; i < COUNT_OF(keywords); i++)
		names[i] = keywords[i].name;
	return diagnostics_error(ld->list, member->line, member->column,
	                         diagnostics_suggest(ld->list, member->key, names, COUNT_OF(names), "it would be read and not enforced"),
	                         "unsupported schema keyword \"%.*s\"", diagnostics_quoted(member->key, member->key_len), member->key);
}

enum rc schema_keyword_compile(struct schema_loader *ld, const struct value *owner, struct schema_node *node, const struct value_member *member)
{
	const struct keyword *keyword = find_keyword(member->key);
	struct member m = {.owner = owner, .node = node, .key = member->key, .value = member->value, .line = member->line, .column = member->column};

	if (keyword == NULL)
		return refuse_keyword(ld, member);
	if (m.line == 0) {
		m.line = member->value->line;
		m.column = member->value->column;
	}
	if (value_get(owner, "$ref") != NULL && !keyword->with_reference)
		return diagnostics_error(ld->list, m.line, m.column, "put both into an allOf", "%s beside $ref would be ignored", m.key);
	return keyword->compile(ld, &m);
}

void schema_keyword_warn(struct schema_loader *ld, const struct value *owner, const struct schema_node *node)
{
	for (size_t i = 0; i < owner->u.object.count; i++) {
		const struct value_member *member = &owner->u.object.members[i];
		const struct keyword *keyword = find_keyword(member->key);

		if (keyword != NULL && (keyword->applies & node->types) == 0)
			diagnostics_warning(ld->list, member->line, member->column, NULL, "%s has no effect on this type", member->key);
	}
	if (node->min_length > node->max_length || node->min_items > node->max_items)
		diagnostics_warning(ld->list, owner->line, owner->column, NULL, "nothing can pass: the minimum is above the maximum");
}
