/*
 * schema_unstrict.c - answers to the strict form back into the schema's own terms: null for what was optional means that it is not there.
 */
#include "prompt/schema_node.h"

#define DEPTH_MAX 64u

struct plain {
	struct arena *arena;
	unsigned depth;
};

static const struct value *plain(struct plain *pl, const struct schema_node *node, const struct value *value);

static bool stands_for_nothing(const struct schema_property *property, const struct value *value)
{
	return value->type == VALUE_NULL && property != NULL && property->node != NULL && !property->required && !schema_takes_null(property->node);
}

static const struct value *plain_object(struct plain *pl, const struct schema_node *node, const struct value *object)
{
	struct value *out = value_object(pl->arena);

	for (size_t i = 0; i < object->u.object.count && out != NULL; i++) {
		const struct value_member *member = &object->u.object.members[i];
		const struct schema_property *property = schema_node_property(node, member->key, member->key_len);
		const struct value *item = member->value;

		if (stands_for_nothing(property, item))
			continue;
		if (property != NULL && property->node != NULL)
			item = plain(pl, property->node, item);
		if (value_add(pl->arena, out, member->key, member->key_len, (struct value *)(uintptr_t)item) != RC_OK)
			return NULL;
	}
	return out;
}

static const struct value *plain_array(struct plain *pl, const struct schema_node *node, const struct value *array)
{
	struct value *out = value_array(pl->arena);

	for (size_t i = 0; i < array->u.array.count && out != NULL; i++) {
		const struct value *item = plain(pl, node->items, array->u.array.items[i]);

		if (value_push(pl->arena, out, (struct value *)(uintptr_t)item) != RC_OK)
			return NULL;
	}
	return out;
}

/* The first alternative that the value fits once it is in that alternative's terms. */
static const struct value *plain_alternative(struct plain *pl, const struct schema_list *list, const struct value *value)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct value *made = plain(pl, list->nodes[i], value);

		if (made == NULL || schema_holds(list->nodes[i], pl->arena, made))
			return made;
	}
	return value;
}

static const struct value *plain(struct plain *pl, const struct schema_node *node, const struct value *value)
{
	const struct value *out = value;

	if ((value->type != VALUE_OBJECT && value->type != VALUE_ARRAY) || pl->depth >= DEPTH_MAX)
		return value;
	pl->depth++;
	if (node->reference != NULL)
		out = plain(pl, node->reference, value);
	else if (node->any.count > 0)
		out = plain_alternative(pl, &node->any, value);
	else if (node->one.count > 0)
		out = plain_alternative(pl, &node->one, value);
	else if (value->type == VALUE_OBJECT && node->property_count > 0)
		out = plain_object(pl, node, value);
	else if (value->type == VALUE_ARRAY && node->items != NULL)
		out = plain_array(pl, node, value);
	pl->depth--;
	return out;
}

const struct value *schema_from_strict(const struct schema *schema, struct arena *arena, const struct value *value)
{
	struct plain pl = {.arena = arena};

	return schema->strict == NULL ? value : plain(&pl, schema->root, value);
}
