/*
 * anthropic_schema.c - what of a strict schema Anthropic compiles into a grammar.
 *
 * Bounds of numbers and lengths, patterns and recursion are refused there, and so are more than a few alternatives: a request that holds them fails, whatever the
 * model could do. Bounds are left out (every answer is checked against the schema itself); the rest has no form.
 * Source: Anthropic's guide "Structured outputs", sections "JSON Schema limitations" and "Schema complexity limits".
 */
#include "provider/anthropic_schema.h"

#include <string.h>

#include "base/str.h"

#define UNIONS_MAX 16u /* anyOf, and types in a list */

struct narrowing {
	struct arena *arena;
	unsigned unions;
};

static struct value *narrow(struct narrowing *nr, const struct value *schema);

static bool is_dropped(const struct value_member *member)
{
	static const char *const keys[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern", "maxItems"};

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if (str_eq(member->key, keys[i]))
			return true;
	return str_eq(member->key, "minItems") && (member->value->type != VALUE_INT || member->value->u.integer > 1);
}

static struct value *narrow_each(struct narrowing *nr, const struct value *schemas)
{
	struct value *out = value_array(nr->arena);

	for (size_t i = 0; i < schemas->u.array.count; i++)
		if (value_push(nr->arena, out, narrow(nr, schemas->u.array.items[i])) != RC_OK)
			return NULL;
	return out;
}

static struct value *narrow_named(struct narrowing *nr, const struct value *schemas)
{
	struct value *out = value_object(nr->arena);

	for (size_t i = 0; i < schemas->u.object.count; i++) {
		const struct value_member *member = &schemas->u.object.members[i];

		if (value_set(nr->arena, out, member->key, member->key_len, narrow(nr, member->value)) != RC_OK)
			return NULL;
	}
	return out;
}

static struct value *narrow_member(struct narrowing *nr, const struct value_member *member)
{
	nr->unions += str_eq(member->key, "anyOf") || (str_eq(member->key, "type") && member->value->type == VALUE_ARRAY);
	if (str_eq(member->key, "$ref") || str_eq(member->key, "$defs") || nr->unions > UNIONS_MAX)
		return NULL;
	if (str_eq(member->key, "properties"))
		return narrow_named(nr, member->value);
	if (str_eq(member->key, "anyOf"))
		return narrow_each(nr, member->value);
	return str_eq(member->key, "items") ? narrow(nr, member->value) : member->value;
}

static struct value *narrow(struct narrowing *nr, const struct value *schema)
{
	struct value *out = value_object(nr->arena);

	for (size_t i = 0; i < schema->u.object.count; i++) {
		const struct value_member *member = &schema->u.object.members[i];

		if (!is_dropped(member) && value_set(nr->arena, out, member->key, member->key_len, narrow_member(nr, member)) != RC_OK)
			return NULL;
	}
	return out;
}

const struct value *anthropic_schema(struct arena *arena, const struct schema *schema)
{
	const struct value *strict = schema == NULL ? NULL : schema_strict(schema);
	struct narrowing nr = {.arena = arena};

	return strict == NULL ? NULL : narrow(&nr, strict);
}
