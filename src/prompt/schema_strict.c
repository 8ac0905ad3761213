/*
 * schema_strict.c - a schema in the form that OpenAI's strict structured outputs accept, and answers to it back into the schema's own terms.
 *
 * Strict mode wants every property required and nothing besides; what was optional becomes nullable, and comes back as null. Keywords that
 * it does not know (lengths, const, uri) are left out or said differently: the form may be wider than the schema, never narrower in what it means,
 * because every answer is checked against the schema itself. What has no such form (open objects, allOf) gives none.
 * Source: OpenAI's guide "Structured model outputs", section "Supported schemas".
 */
#include <string.h>

#include "base/str.h"
#include "prompt/schema_node.h"

#define NESTING_MAX 10u
#define OPTIONS_MAX 1000u

struct strict {
	struct arena *arena;
	size_t options;
	bool impossible;
};

/* NULL is out of memory, or impossible with `impossible` set: there is no use in going on in either case. */
static struct value *make(struct strict *st, const struct schema_node *node, bool nullable, unsigned depth);

static struct value *give_up(struct strict *st)
{
	st->impossible = true;
	return NULL;
}

static struct value *set(struct strict *st, struct value *object, const char *key, struct value *item)
{
	return value_set(st->arena, object, key, strlen(key), item) == RC_OK ? object : NULL;
}

static struct value *text(struct strict *st, const char *s)
{
	return value_string(st->arena, s, strlen(s));
}

static struct value *shared(const struct value *value)
{
	return (struct value *)(uintptr_t)value;
}

/* The bits that cover the values of an enum or a const. */
static unsigned types_in(const struct schema_node *node)
{
	unsigned types = 0;

	if (node->constant != NULL)
		return schema_type_of(node->constant);
	for (size_t i = 0; node->options != NULL && i < node->options->u.array.count; i++)
		types |= schema_type_of(node->options->u.array.items[i]);
	return types;
}

static struct value *type_names(struct strict *st, unsigned types)
{
	static const unsigned order[] = {TYPE_STRING, TYPE_NUMBER, TYPE_INTEGER, TYPE_BOOLEAN, TYPE_OBJECT, TYPE_ARRAY, TYPE_NULL};
	static const char *const names[] = {"string", "number", "integer", "boolean", "object", "array", "null"};
	struct value *list = value_array(st->arena);

	if ((types & TYPE_NUMBER) != 0)
		types &= ~(unsigned)TYPE_INTEGER;
	for (size_t i = 0; i < COUNT_OF(order); i++)
		if ((types & order[i]) != 0 && value_push(st->arena, list, text(st, names[i])) != RC_OK)
			return NULL;
	return list != NULL && list->u.array.count == 1 ? list->u.array.items[0] : list;
}

static struct value *add_options(struct strict *st, const struct schema_node *node, bool nullable, struct value *out)
{
	struct value *list = value_array(st->arena);
	size_t count = node->constant != NULL ? 1 : node->options->u.array.count;
	bool has_null = false;

	st->options += count;
	if (st->options > OPTIONS_MAX)
		return give_up(st);
	for (size_t i = 0; i < count; i++) {
		const struct value *option = node->constant != NULL ? node->constant : node->options->u.array.items[i];

		if (option->type == VALUE_ARRAY || option->type == VALUE_OBJECT)
			return give_up(st);
		has_null |= option->type == VALUE_NULL;
		if (value_push(st->arena, list, shared(option)) != RC_OK)
			return NULL;
	}
	if (nullable && !has_null && value_push(st->arena, list, value_null(st->arena)) != RC_OK)
		return NULL;
	return set(st, out, "enum", list);
}

static struct value *copy_known(struct strict *st, const struct schema_node *node, struct value *out)
{
	static const char *const kept[] = {"title",   "description",      "pattern",          "minItems",  "maxItems",
	                                   "minimum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "maximum"};

	for (size_t i = 0; i < COUNT_OF(kept) && out != NULL; i++) {
		const struct value *found = value_get(node->source, kept[i]);

		if (found != NULL)
			out = set(st, out, kept[i], shared(found));
	}
	if (out != NULL && node->format != NULL && node->format->strict)
		out = set(st, out, "format", text(st, node->format->name));
	return out;
}

static bool list_takes_null(const struct schema_list *list, bool otherwise)
{
	for (size_t i = 0; i < list->count; i++)
		if (schema_takes_null(list->nodes[i]))
			return true;
	return list->count == 0 && otherwise;
}

bool schema_takes_null(const struct schema_node *node)
{
	bool good = !node->never && (node->types & TYPE_NULL) != 0;

	if (node->constant != NULL || node->options != NULL)
		good = good && (types_in(node) & TYPE_NULL) != 0;
	if (node->reference != NULL)
		good = good && schema_takes_null(node->reference);
	for (size_t i = 0; i < node->all.count; i++)
		good = good && schema_takes_null(node->all.nodes[i]);
	return good && list_takes_null(&node->any, true) && list_takes_null(&node->one, true);
}

static struct value *add_properties(struct strict *st, const struct schema_node *node, unsigned depth, struct value *out)
{
	struct value *properties = value_object(st->arena), *required = value_array(st->arena), *made;

	/* An object without known members, or with any others, has no strict form: it would have to be empty. */
	if (node->property_count == 0 || (node->additional != NULL && node->additional->source->type == VALUE_OBJECT))
		return give_up(st);
	for (size_t i = 0; i < node->property_count; i++) {
		const struct schema_property *property = &node->properties[i];

		if (property->node == NULL)
			return give_up(st);
		made = make(st, property->node, !property->required, depth + 1);
		if (value_set(st->arena, properties, property->name, property->name_len, made) != RC_OK ||
		    value_push(st->arena, required, value_string(st->arena, property->name, property->name_len)) != RC_OK)
			return NULL;
	}
	if (set(st, out, "properties", properties) == NULL || set(st, out, "required", required) == NULL)
		return NULL;
	return set(st, out, "additionalProperties", value_bool(st->arena, false));
}

static struct value *null_schema(struct strict *st)
{
	return set(st, value_object(st->arena), "type", text(st, "null"));
}

static struct value *make_alternatives(struct strict *st, const struct schema_node *node, bool nullable, unsigned depth)
{
	const struct schema_list *list = node->any.count > 0 ? &node->any : &node->one;
	struct value *any = value_array(st->arena), *out = value_object(st->arena);
	const struct value *about = value_get(node->source, "description");
	bool mixed = node->types != TYPE_ANY || node->options != NULL || node->constant != NULL || node->property_count > 0;

	if (mixed || (node->any.count > 0 && node->one.count > 0))
		return give_up(st);
	for (size_t i = 0; i < list->count; i++)
		if (value_push(st->arena, any, make(st, list->nodes[i], false, depth + 1)) != RC_OK)
			return NULL;
	if (nullable && !schema_takes_null(node) && value_push(st->arena, any, null_schema(st)) != RC_OK)
		return NULL;
	if (about != NULL && set(st, out, "description", shared(about)) == NULL)
		return NULL;
	return set(st, out, "anyOf", any);
}

/* "#", "#/$defs/x"; "#/definitions/x" is the same under another name. */
static struct value *make_reference(struct strict *st, const struct schema_node *node, bool nullable)
{
	const char *pointer = value_text(value_get(node->source, "$ref"), ""), *name = NULL;
	struct value *out = value_object(st->arena), *any;

	if (str_starts(pointer, "#/$defs/"))
		name = pointer + strlen("#/$defs/");
	else if (str_starts(pointer, "#/definitions/"))
		name = pointer + strlen("#/definitions/");
	if (!str_eq(pointer, "#") && (name == NULL || strchr(name, '/') != NULL))
		return give_up(st);
	if (name != NULL)
		pointer = arena_printf(st->arena, "#/$defs/%s", name);
	if (pointer == NULL || set(st, out, "$ref", text(st, pointer)) == NULL)
		return NULL;
	if (!nullable || schema_takes_null(node))
		return out;
	any = value_array(st->arena);
	if (value_push(st->arena, any, out) != RC_OK || value_push(st->arena, any, null_schema(st)) != RC_OK)
		return NULL;
	return set(st, value_object(st->arena), "anyOf", any);
}

static struct value *make_typed(struct strict *st, const struct schema_node *node, bool nullable, unsigned depth)
{
	bool listed = node->options != NULL || node->constant != NULL;
	unsigned types = listed ? node->types & types_in(node) : node->types;
	struct value *out = value_object(st->arena), *items;

	if (types == TYPE_ANY || types == 0)
		return give_up(st);
	out = out == NULL ? NULL : set(st, out, "type", type_names(st, types | (nullable ? TYPE_NULL : 0u)));
	if (out != NULL && listed)
		out = add_options(st, node, nullable, out);
	if (out != NULL)
		out = copy_known(st, node, out);
	if (out != NULL && (types & TYPE_OBJECT) != 0)
		out = add_properties(st, node, depth, out);
	if (out == NULL || (types & TYPE_ARRAY) == 0)
		return out;
	items = node->items == NULL ? give_up(st) : make(st, node->items, false, depth + 1);
	return items == NULL ? NULL : set(st, out, "items", items);
}

static struct value *make(struct strict *st, const struct schema_node *node, bool nullable, unsigned depth)
{
	if (depth > NESTING_MAX || node->never || node->all.count > 0)
		return give_up(st);
	if (node->reference != NULL)
		return make_reference(st, node, nullable);
	if (node->any.count > 0 || node->one.count > 0)
		return make_alternatives(st, node, nullable, depth);
	return make_typed(st, node, nullable, depth);
}

static enum rc add_definitions(struct strict *st, const struct schema *schema, const char *key, struct value *out)
{
	const struct value *from = value_get(schema->json, key);
	const struct schema_node *node;

	for (size_t i = 0; from != NULL && i < from->u.object.count; i++) {
		const struct value_member *member = &from->u.object.members[i];

		node = schema_compiled(schema, member->value);
		if (value_getn(out, member->key, member->key_len) != NULL)
			st->impossible = true;
		if (value_set(st->arena, out, member->key, member->key_len, node == NULL ? NULL : make(st, node, false, 1)) != RC_OK)
			return RC_NOMEM;
	}
	return RC_OK;
}

enum rc schema_make_strict(struct schema *schema)
{
	struct strict st = {.arena = schema->arena};
	struct value *definitions = value_object(st.arena), *root = NULL;
	enum rc rc = definitions == NULL ? RC_NOMEM : RC_OK;

	if (schema->root->types != TYPE_OBJECT)
		return RC_OK;
	if (rc == RC_OK)
		rc = add_definitions(&st, schema, "$defs", definitions);
	if (rc == RC_OK)
		rc = add_definitions(&st, schema, "definitions", definitions);
	if (rc == RC_OK)
		root = make(&st, schema->root, false, 0);
	if (rc == RC_OK && root != NULL && definitions->u.object.count > 0)
		root = set(&st, root, "$defs", definitions);
	if (st.impossible)
		return RC_OK;
	schema->strict = root;
	return root == NULL ? RC_NOMEM : RC_OK;
}
