/*
 * schema.c - a compiled schema's face: what it was, what it holds, and the words for its types.
 */
#include "prompt/schema.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "prompt/schema_node.h"

static const struct {
	const char *name, *phrase;
	unsigned bit;
} types[] = {
	{"null", "null", TYPE_NULL},
	{"boolean", "a boolean", TYPE_BOOLEAN},
	{"integer", "an integer", TYPE_INTEGER},
	{"number", "a number", TYPE_NUMBER},
	{"string", "a string", TYPE_STRING},
	{"array", "an array", TYPE_ARRAY},
	{"object", "an object", TYPE_OBJECT},
};

unsigned schema_type_bit(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (str_eq(types[i].name, name))
			return types[i].bit;
	return 0;
}

const char *schema_type_phrase(unsigned bit)
{
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (types[i].bit == bit)
			return types[i].phrase;
	return "nothing";
}

unsigned schema_type_of(const struct value *value)
{
	switch (value->type) {
	case VALUE_NULL:
		return TYPE_NULL;
	case VALUE_BOOL:
		return TYPE_BOOLEAN;
	case VALUE_INT:
		return TYPE_INTEGER | TYPE_NUMBER;
	case VALUE_NUMBER:
		return value->u.number == trunc(value->u.number) ? TYPE_INTEGER | TYPE_NUMBER : TYPE_NUMBER;
	case VALUE_STRING:
		return TYPE_STRING;
	case VALUE_ARRAY:
		return TYPE_ARRAY;
	default:
		return TYPE_OBJECT;
	}
}

const struct value *schema_json(const struct schema *schema)
{
	return schema->json;
}

const struct value *schema_strict(const struct schema *schema)
{
	return schema->strict;
}

const struct schema_property *schema_node_property(const struct schema_node *node, const char *name, size_t name_len)
{
	for (size_t i = 0; i < node->property_count; i++) {
		const struct schema_property *property = &node->properties[i];

		if (property->name_len == name_len && memcmp(property->name, name, name_len) == 0)
			return property;
	}
	return NULL;
}

const struct value *schema_property(const struct schema *schema, const char *name)
{
	const struct schema_node *node = schema->root;
	const struct schema_property *property;

	while (node->reference != NULL)
		node = node->reference;
	property = schema_node_property(node, name, strlen(name));
	return property == NULL || property->node == NULL ? NULL : property->node->source;
}

static enum rc load(struct arena *arena, const struct value *json, struct schema **out, struct diagnostics *list)
{
	struct schema *schema = arena_alloc(arena, sizeof *schema);
	enum rc rc;

	if (schema == NULL)
		return RC_NOMEM;
	*schema = (struct schema){.arena = arena, .json = json};
	rc = schema_compile(schema, list);
	if (rc == RC_OK)
		rc = schema_make_strict(schema);
	*out = schema;
	return rc;
}

enum rc schema_load(struct arena *arena, const struct value *source, const struct value *named, struct schema **out, struct diagnostics *list)
{
	const struct value *json = NULL;
	enum rc rc = picoschema_convert(arena, source, named, &json, list);

	return rc == RC_OK ? load(arena, json, out, list) : rc;
}

enum rc schema_load_json(struct arena *arena, const struct value *source, struct schema **out, struct diagnostics *list)
{
	return load(arena, source, out, list);
}
