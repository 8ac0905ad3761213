/*
 * schema_sample.c - a value that passes a schema, made without chance: what the sample provider answers with.
 *
 * What is made for a part is checked against that part before it is used, and alternatives are tried in turn, so that a value comes out right or
 * not at all. Optional members and items are left away below a few levels: schemas may be recursive.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "prompt/schema_node.h"

#define GENEROUS_DEPTH 4u /* optional things are made down to here */
#define DEPTH_MAX 28u     /* less than what a JSON reader takes */
#define VISITS_MAX 5000u
#define TEXT_MAX 100000u

struct sampler {
	struct arena *arena;
	size_t visits;
	unsigned depth;
};

/* `name` is what the place is called, for texts a person will read; NULL where nothing is known. */
static const struct value *sample(struct sampler *sp, const struct schema_node *node, const char *name);

static bool is_generous(const struct sampler *sp)
{
	return sp->depth <= GENEROUS_DEPTH && sp->visits < VISITS_MAX / 4;
}

static bool is_plain_text(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

/* At least min_length characters, at most max_length: words go on until it is enough. */
static const struct value *sample_words(struct sampler *sp, const struct schema_node *node, const char *name)
{
	size_t most = node->max_length < TEXT_MAX ? node->max_length : TEXT_MAX;
	struct buf buf;

	buf_init(&buf, sp->arena, 2 * TEXT_MAX);
	buf_printf(&buf, "Sample %.60s", name == NULL || !is_plain_text(name) ? "text" : name);
	while (buf.len < node->min_length && buf.rc == RC_OK)
		buf_puts(&buf, ", with more words to fill it");
	if (buf.rc != RC_OK)
		return NULL;
	return value_string(sp->arena, buf.data, buf.len < most ? buf.len : most < node->min_length ? node->min_length : most);
}

static const struct value *sample_string(struct sampler *sp, const struct schema_node *node, const char *name)
{
	const char *made = NULL;

	if (node->format != NULL)
		made = node->format->sample;
	else if (node->pattern != NULL)
		made = schema_pattern_sample(sp->arena, node->pattern_text);
	return made == NULL ? sample_words(sp, node, name) : value_string(sp->arena, made, strlen(made));
}

/* Candidates from the plainest to those that bounds and multiples force. */
static const struct value *sample_number(struct sampler *sp, const struct schema_node *node, bool whole)
{
	double low = node->minimum.set ? node->minimum.value : -INFINITY, high = node->maximum.set ? node->maximum.value : INFINITY;
	double step = node->multiple.set ? node->multiple.value : 1;
	double candidates[8];

	low = node->above.set ? fmax(low, node->above.value) : low;
	high = node->below.set ? fmin(high, node->below.value) : high;
	candidates[0] = 1;
	candidates[1] = step;
	candidates[2] = ceil(low / step) * step;
	candidates[3] = (floor(low / step) + 1) * step;
	candidates[4] = floor(high / step) * step;
	candidates[5] = (ceil(high / step) - 1) * step;
	candidates[6] = (low + high) / 2;
	candidates[7] = 0;
	for (size_t i = 0; i < COUNT_OF(candidates); i++) {
		bool integral = candidates[i] == trunc(candidates[i]) && fabs(candidates[i]) < 0x1p53;
		const struct value *made;

		if (!isfinite(candidates[i]) || (whole && !integral))
			continue;
		made = integral ? value_int(sp->arena, (int64_t)candidates[i]) : value_number(sp->arena, candidates[i]);
		if (made == NULL || schema_holds(node, sp->arena, made))
			return made;
	}
	return NULL;
}

static const struct value *sample_array(struct sampler *sp, const struct schema_node *node, const char *name)
{
	struct value *array = value_array(sp->arena);
	size_t wanted = is_generous(sp) ? 2 : 0;

	if (wanted > node->max_items)
		wanted = node->max_items;
	if (wanted < node->min_items)
		wanted = node->min_items;
	for (size_t i = 0; i < wanted && array != NULL; i++) {
		const struct value *item = node->items == NULL ? value_string(sp->arena, "Sample", 6) : sample(sp, node->items, name);

		if (item == NULL)
			return i >= node->min_items ? array : NULL;
		if (value_push(sp->arena, array, (struct value *)(uintptr_t)item) != RC_OK)
			return NULL;
	}
	return array;
}

static const struct value *sample_member(struct sampler *sp, const struct schema_node *node, const struct schema_property *property)
{
	if (property->node != NULL)
		return sample(sp, property->node, property->name);
	return node->additional != NULL ? sample(sp, node->additional, property->name) : value_string(sp->arena, "Sample", 6);
}

static const struct value *sample_object(struct sampler *sp, const struct schema_node *node)
{
	struct value *object = value_object(sp->arena);

	for (size_t i = 0; i < node->property_count && object != NULL; i++) {
		const struct schema_property *property = &node->properties[i];
		const struct value *item;

		if (!property->required && !is_generous(sp))
			continue;
		item = sample_member(sp, node, property);
		if (item == NULL && !property->required)
			continue;
		if (value_add(sp->arena, object, property->name, property->name_len, (struct value *)(uintptr_t)item) != RC_OK)
			return NULL;
	}
	return object;
}

/* What a schema without a type most likely means. */
static unsigned likely_types(const struct schema_node *node)
{
	if (node->types != TYPE_ANY)
		return node->types;
	if (node->property_count > 0 || node->additional != NULL)
		return TYPE_OBJECT;
	if (node->items != NULL || node->min_items > 0 || node->max_items != SIZE_MAX)
		return TYPE_ARRAY;
	if (node->minimum.set || node->maximum.set || node->above.set || node->below.set || node->multiple.set)
		return TYPE_NUMBER;
	return TYPE_STRING;
}

static const struct value *sample_type(struct sampler *sp, const struct schema_node *node, unsigned types, const char *name)
{
	const struct value *made = NULL;

	if ((types & TYPE_OBJECT) != 0)
		made = sample_object(sp, node);
	if (made == NULL && (types & TYPE_ARRAY) != 0)
		made = sample_array(sp, node, name);
	if (made == NULL && (types & TYPE_STRING) != 0)
		made = sample_string(sp, node, name);
	if (made == NULL && (types & (TYPE_NUMBER | TYPE_INTEGER)) != 0)
		made = sample_number(sp, node, (types & TYPE_NUMBER) == 0);
	if (made == NULL && (types & TYPE_BOOLEAN) != 0)
		made = value_bool(sp->arena, true);
	if (made == NULL && (types & TYPE_NULL) != 0)
		made = value_null(sp->arena);
	return made;
}

/* Both objects' members, the first's first; where one is no object, that one. */
static const struct value *merge(struct sampler *sp, const struct value *first, const struct value *second)
{
	struct value *both;

	if (first == NULL || first->type != VALUE_OBJECT)
		return second;
	if (second == NULL || second->type != VALUE_OBJECT)
		return first;
	both = value_object(sp->arena);
	for (size_t i = 0; i < first->u.object.count + second->u.object.count && both != NULL; i++) {
		const struct value_member *member =
			i < first->u.object.count ? &first->u.object.members[i] : &second->u.object.members[i - first->u.object.count];

		if (value_getn(both, member->key, member->key_len) == NULL && value_add(sp->arena, both, member->key, member->key_len, member->value) != RC_OK)
			return NULL;
	}
	return both;
}

static const struct value *first_fit(struct sampler *sp, const struct schema_node *node, const struct schema_list *list, const struct value *base,
                                     const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct value *made = merge(sp, base, sample(sp, list->nodes[i], name));

		if (made != NULL && schema_holds(node, sp->arena, made))
			return made;
	}
	return base;
}

static const struct value *sample_options(struct sampler *sp, const struct schema_node *node)
{
	for (size_t i = 0; i < node->options->u.array.count; i++)
		if (schema_holds(node, sp->arena, node->options->u.array.items[i]))
			return node->options->u.array.items[i];
	return NULL;
}

static const struct value *sample_parts(struct sampler *sp, const struct schema_node *node, const char *name)
{
	bool composed = node->reference != NULL || node->any.count > 0 || node->one.count > 0 || node->all.count > 0;
	const struct value *made = NULL;

	if (!composed || node->property_count > 0)
		made = sample_type(sp, node, likely_types(node), name);
	if (node->reference != NULL)
		made = sample(sp, node->reference, name);
	for (size_t i = 0; i < node->all.count; i++)
		made = merge(sp, made, sample(sp, node->all.nodes[i], name));
	made = first_fit(sp, node, &node->any, made, name);
	made = first_fit(sp, node, &node->one, made, name);
	return made == NULL && composed ? sample_type(sp, node, likely_types(node), name) : made;
}

static const struct value *sample(struct sampler *sp, const struct schema_node *node, const char *name)
{
	const struct value *made;

	if (node->never || sp->depth >= DEPTH_MAX || ++sp->visits > VISITS_MAX)
		return NULL;
	if (node->constant != NULL)
		return node->constant;
	if (node->options != NULL)
		return sample_options(sp, node);
	sp->depth++;
	made = sample_parts(sp, node, name);
	if (made != NULL && !schema_holds(node, sp->arena, made) && (node->types & TYPE_NULL) != 0)
		made = value_null(sp->arena);
	sp->depth--;
	return made != NULL && schema_holds(node, sp->arena, made) ? made : NULL;
}

const struct value *schema_sample(const struct schema *schema, struct arena *arena)
{
	struct sampler sp = {.arena = arena};
	const struct value *value = sample(&sp, schema->root, NULL);
	struct schema_faults faults;

	/* A schema may contradict itself, or ask for more than is tried here. */
	return value != NULL && schema_check(schema, arena, value, NULL, &faults) == RC_OK ? value : NULL;
}
