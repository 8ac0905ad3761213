/*
 * schema_cap.c - caps on strings and arrays whose schema states none of its own.
 *
 * Nearly every value keeps within the caps, and is seen to in one walk without the schema. Only where something is over a cap are the schemas
 * looked up that speak about that place: a cap gives way to a maxLength, maxItems, enum or const there.
 */
#include <string.h>

#include "base/str.h"
#include "prompt/schema_node.h"

#define SPEAKERS_MAX 64u /* more schemas about one place are not listened to: the caps hold then */

struct speakers {
	const struct schema_node *nodes[SPEAKERS_MAX];
	size_t count;
};

struct cap {
	struct arena *arena;
	const struct schema_limits *limits;
	struct schema_faults *faults;
};

static bool is_long(const struct value *string, const struct schema_limits *limits)
{
	size_t len = string->u.string.len;

	return limits->max_string != 0 && len > limits->max_string && str_utf8_length(string->u.string.text, len) > limits->max_string;
}

static bool is_full(const struct value *array, const struct schema_limits *limits)
{
	return limits->max_items != 0 && array->u.array.count > limits->max_items;
}

static bool exceeds(const struct value *value, const struct schema_limits *limits)
{
	bool over = value->type == VALUE_STRING ? is_long(value, limits) : value->type == VALUE_ARRAY && is_full(value, limits);

	for (size_t i = 0; value->type == VALUE_ARRAY && !over && i < value->u.array.count; i++)
		over = exceeds(value->u.array.items[i], limits);
	for (size_t i = 0; value->type == VALUE_OBJECT && !over && i < value->u.object.count; i++)
		over = exceeds(value->u.object.members[i].value, limits);
	return over;
}

static void listen_to(struct speakers *speakers, const struct schema_node *node);

static void listen_to_list(struct speakers *speakers, const struct schema_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		listen_to(speakers, list->nodes[i]);
}

/* The node and all that it applies in place. */
static void listen_to(struct speakers *speakers, const struct schema_node *node)
{
	if (node == NULL || speakers->count == SPEAKERS_MAX)
		return;
	for (size_t i = 0; i < speakers->count; i++)
		if (speakers->nodes[i] == node)
			return;
	speakers->nodes[speakers->count++] = node;
	listen_to(speakers, node->reference);
	listen_to_list(speakers, &node->any);
	listen_to_list(speakers, &node->one);
	listen_to_list(speakers, &node->all);
}

static bool has_own_cap(const struct speakers *speakers, bool string)
{
	for (size_t i = 0; i < speakers->count; i++) {
		const struct schema_node *node = speakers->nodes[i];

		if ((string ? node->max_length : node->max_items) != SIZE_MAX || node->options != NULL || node->constant != NULL)
			return true;
	}
	return false;
}

static enum rc cap(struct cap *cp, const struct speakers *speakers, const struct value *value, const struct schema_place *place);

static enum rc cap_items(struct cap *cp, const struct speakers *speakers, const struct value *array, const struct schema_place *place)
{
	struct speakers next = {.count = 0};
	enum rc rc = RC_OK;

	for (size_t i = 0; i < speakers->count; i++)
		listen_to(&next, speakers->nodes[i]->items);
	for (size_t i = 0; i < array->u.array.count && rc == RC_OK; i++) {
		struct schema_place at = {.parent = place, .index = i};

		rc = cap(cp, &next, array->u.array.items[i], &at);
	}
	return rc;
}

static enum rc cap_member(struct cap *cp, const struct speakers *speakers, const struct value_member *member, const struct schema_place *place)
{
	struct schema_place at = {.parent = place, .name = member->key, .name_len = member->key_len};
	struct speakers next = {.count = 0};

	for (size_t i = 0; i < speakers->count; i++) {
		const struct schema_property *property = schema_node_property(speakers->nodes[i], member->key, member->key_len);

		listen_to(&next, property != NULL && property->node != NULL ? property->node : speakers->nodes[i]->additional);
	}
	return cap(cp, &next, member->value, &at);
}

static enum rc cap(struct cap *cp, const struct speakers *speakers, const struct value *value, const struct schema_place *place)
{
	enum rc rc = RC_OK;

	if (cp->faults->count == SCHEMA_FAULT_MAX || !exceeds(value, cp->limits))
		return RC_OK;
	if (value->type == VALUE_STRING) {
		if (has_own_cap(speakers, true))
			return RC_OK;
		return schema_fault_add(cp->faults, cp->arena, place, arena_printf(cp->arena, "is longer than %zu characters", cp->limits->max_string));
	}
	if (value->type == VALUE_ARRAY) {
		if (is_full(value, cp->limits) && !has_own_cap(speakers, false))
			return schema_fault_add(cp->faults, cp->arena, place, arena_printf(cp->arena, "has more than %zu items", cp->limits->max_items));
		return cap_items(cp, speakers, value, place);
	}
	for (size_t i = 0; i < value->u.object.count && rc == RC_OK; i++)
		rc = cap_member(cp, speakers, &value->u.object.members[i], place);
	return rc;
}

enum rc schema_cap(const struct schema *schema, struct arena *arena, const struct value *value, const struct schema_limits *limits,
                   struct schema_faults *faults)
{
	struct cap cp = {.arena = arena, .limits = limits, .faults = faults};
	struct speakers root = {.count = 0};
	enum rc rc;

	if (!exceeds(value, limits))
		return RC_OK;
	listen_to(&root, schema->root);
	rc = cap(&cp, &root, value, NULL);
	return rc == RC_OK && faults->count > 0 ? RC_INVALID : rc;
}
