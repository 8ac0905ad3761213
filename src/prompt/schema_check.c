/*
 * schema_check.c - a value against a compiled schema.
 *
 * Faults are collected with the place they stand at, in words that may be shown to a caller. Alternatives (anyOf, oneOf) are tried silently first;
 * where only one of them could have been meant, its faults are told instead of "none fits". Depth and work are bounded: a schema that branches
 * over itself must not become a way to stop the service.
 */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "prompt/schema_node.h"

#define DEPTH_MAX 200u
#define VISITS_MAX 1000000u
#define REASON_MAX 300u

struct check {
	struct arena *arena;
	struct schema_faults *faults;
	unsigned depth;
	size_t visits;
	bool silent;
	bool no_memory;
};

static bool check_node(struct check *ck, const struct schema_node *node, const struct value *value, const struct schema_place *place);

static bool fault(struct check *ck, const struct schema_place *place, const char *reason)
{
	if (!ck->silent && (reason == NULL || schema_fault_add(ck->faults, ck->arena, place, reason) != RC_OK))
		ck->no_memory = true;
	return false;
}

/* Texts are only made where somebody will read them. */
#define FAULT(ck, place, ...) fault(ck, place, (ck)->silent ? "" : arena_printf((ck)->arena, __VA_ARGS__))

static bool is_over(const struct check *ck)
{
	return ck->no_memory || ck->faults->count == SCHEMA_FAULT_MAX;
}

static const char *phrase(struct check *ck, unsigned types)
{
	struct buf buf;

	buf_init(&buf, ck->arena, REASON_MAX);
	if ((types & TYPE_NUMBER) != 0)
		types &= ~(unsigned)TYPE_INTEGER;
	for (unsigned bit = TYPE_OBJECT; bit != 0; bit >>= 1) {
		if ((types & bit) == 0)
			continue;
		types &= ~bit;
		buf_printf(&buf, "%s%s", buf.len == 0 ? "must be " : types == 0 ? " or " : ", ", schema_type_phrase(bit));
	}
	return buf_text(&buf);
}

static bool check_type(struct check *ck, unsigned types, const struct value *value, const struct schema_place *place)
{
	if ((schema_type_of(value) & types) != 0)
		return true;
	return fault(ck, place, ck->silent ? "" : phrase(ck, types));
}

static const char *list_options(struct check *ck, const struct value *options)
{
	struct buf buf;

	buf_init(&buf, ck->arena, REASON_MAX);
	buf_puts(&buf, options->u.array.count == 1 ? "must be " : "must be one of ");
	for (size_t i = 0; i < options->u.array.count; i++) {
		size_t before = buf.len;

		buf_puts(&buf, i == 0 ? "" : ", ");
		if (value_write(&buf, options->u.array.items[i], 0) == RC_TOOBIG && before < REASON_MAX)
			return arena_printf(ck->arena, "%.*s, …", (int)before, buf_text(&buf));
	}
	return buf_text(&buf);
}

static bool check_options(struct check *ck, const struct schema_node *node, const struct value *value, const struct schema_place *place)
{
	struct value *single = (struct value *)(uintptr_t)node->constant;
	struct value one = {.type = VALUE_ARRAY, .u.array = {.items = &single, .count = 1}};

	if (node->constant != NULL && !value_equal(node->constant, value))
		return fault(ck, place, ck->silent ? "" : list_options(ck, &one));
	if (node->options == NULL)
		return true;
	for (size_t i = 0; i < node->options->u.array.count; i++)
		if (value_equal(node->options->u.array.items[i], value))
			return true;
	return fault(ck, place, ck->silent ? "" : list_options(ck, node->options));
}

static bool check_pattern(struct check *ck, const struct schema_node *node, const struct value *value, const struct schema_place *place)
{
	switch (regex_match(node->pattern, value->u.string.text, value->u.string.len)) {
	case RC_OK:
		return true;
	case RC_NOMEM:
		ck->no_memory = true;
		return false;
	default:
		return FAULT(ck, place, "does not match the pattern %.*s", diagnostics_quoted(node->pattern_text, strlen(node->pattern_text)), node->pattern_text);
	}
}

static const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

static bool check_string(struct check *ck, const struct schema_node *node, const struct value *value, const struct schema_place *place)
{
	size_t bytes = value->u.string.len;

	if (bytes > node->max_length && str_utf8_length(value->u.string.text, bytes) > node->max_length)
		return FAULT(ck, place, "is longer than %zu character%s", node->max_length, plural(node->max_length));
	if (node->min_length > 0 && str_utf8_length(value->u.string.text, bytes) < node->min_length)
		return node->min_length == 1 ? FAULT(ck, place, "must not be empty") : FAULT(ck, place, "is shorter than %zu characters", node->min_length);
	if (node->format != NULL && !node->format->holds(value->u.string.text, bytes))
		return FAULT(ck, place, "is not a valid %s", node->format->name);
	return node->pattern == NULL || check_pattern(ck, node, value, place);
}

/* Decimal fractions are not exact as doubles: 0.0075 is a multiple of 0.0001 all the same. */
static bool is_multiple(const struct value *value, double number, double of)
{
	double quotient = number / of;

	if (value->type == VALUE_INT && of == trunc(of) && of < 0x1p53)
		return value->u.integer % (int64_t)of == 0;
	return isfinite(quotient) && fabs(quotient - nearbyint(quotient)) <= 1e-9 * fmax(1, fabs(quotient)) && (number == 0 || nearbyint(quotient) != 0);
}

static const char *number_text(struct check *ck, double number)
{
	struct buf buf;

	buf_init(&buf, ck->arena, 64);
	value_write_number(&buf, number);
	return buf_text(&buf);
}

static bool check_number(struct check *ck, const struct schema_node *node, const struct value *value, const struct schema_place *place)
{
	double number = value->type == VALUE_INT ? (double)value->u.integer : value->u.number;
	const struct {
		bool broken;
		const struct schema_bound *bound;
		const char *words;
	} rules[] = {
		{number < node->minimum.value, &node->minimum, "must be at least"},
		{number > node->maximum.value, &node->maximum, "must be at most"},
		{number <= node->above.value, &node->above, "must be greater than"},
		{number >= node->below.value, &node->below, "must be less than"},
		{node->multiple.set && !is_multiple(value, number, node->multiple.value), &node->multiple, "must be a multiple of"},
	};

	for (size_t i = 0; i < COUNT_OF(rules); i++)
		if (rules[i].bound->set && rules[i].broken)
			return FAULT(ck, place, "%s %s", rules[i].words, number_text(ck, rules[i].bound->value));
	return true;
}

static bool check_array(struct check *ck, const struct schema_node *node, const struct value *value, const struct schema_place *place)
{
	size_t count = value->u.array.count;
	bool good = true;

	if (count < node->min_items)
		return FAULT(ck, place, "has fewer than %zu item%s", node->min_items, plural(node->min_items));
	if (count > node->max_items)
		return FAULT(ck, place, "has more than %zu item%s", node->max_items, plural(node->max_items));
	for (size_t i = 0; i < count && node->items != NULL && (good || !ck->silent) && !is_over(ck); i++) {
		struct schema_place at = {.parent = place, .index = i};

		good &= check_node(ck, node->items, value->u.array.items[i], &at);
	}
	return good;
}

static bool check_required(struct check *ck, const struct schema_node *node, const struct value *value, const struct schema_place *place)
{
	bool good = true;

	for (size_t i = 0; i < node->property_count; i++) {
		const struct schema_property *property = &node->properties[i];
		struct schema_place at = {.parent = place, .name = property->name, .name_len = property->name_len};

		if (property->required && value_getn(value, property->name, property->name_len) == NULL)
			good = fault(ck, &at, "is required");
	}
	return good;
}

static bool check_object(struct check *ck, const struct schema_node *node, const struct value *value, const struct schema_place *place)
{
	bool good = check_required(ck, node, value, place);

	for (size_t i = 0; i < value->u.object.count && (good || !ck->silent) && !is_over(ck); i++) {
		const struct value_member *member = &value->u.object.members[i];
		const struct schema_property *property = schema_node_property(node, member->key, member->key_len);
		const struct schema_node *next = property != NULL && property->node != NULL ? property->node : node->additional;
		struct schema_place at = {.parent = place, .name = member->key, .name_len = member->key_len};

		if (next != NULL)
			good &= next->never && next == node->additional ? fault(ck, &at, "is not a known member") : check_node(ck, next, member->value, &at);
	}
	return good;
}

static bool try_node(struct check *ck, const struct schema_node *node, const struct value *value)
{
	bool silent = ck->silent, good;

	ck->silent = true;
	good = check_node(ck, node, value, NULL);
	ck->silent = silent;
	return good;
}

static unsigned types_of(const struct schema_node *node)
{
	unsigned types = node->never ? 0 : node->types;

	return node->reference == NULL ? types : types_of(node->reference);
}

/* None fits. Where the value's type rules out all but one, that one was meant. */
static bool explain(struct check *ck, const struct schema_list *list, const struct value *value, const struct schema_place *place)
{
	const struct schema_node *meant = NULL;
	unsigned types = 0, candidates = 0;

	if (ck->silent)
		return false;
	for (size_t i = 0; i < list->count; i++) {
		types |= types_of(list->nodes[i]);
		if ((types_of(list->nodes[i]) & schema_type_of(value)) != 0) {
			meant = list->nodes[i];
			candidates++;
		}
	}
	if (candidates == 0)
		return check_type(ck, types, value, place);
	return candidates == 1 ? check_node(ck, meant, value, place) : fault(ck, place, "matches none of the allowed forms");
}

static bool check_any(struct check *ck, const struct schema_list *list, const struct value *value, const struct schema_place *place)
{
	for (size_t i = 0; i < list->count; i++)
		if (try_node(ck, list->nodes[i], value))
			return true;
	return list->count == 0 || explain(ck, list, value, place);
}

static bool check_one(struct check *ck, const struct schema_list *list, const struct value *value, const struct schema_place *place)
{
	unsigned fits = 0;

	for (size_t i = 0; i < list->count && fits < 2; i++)
		fits += try_node(ck, list->nodes[i], value);
	if (fits > 1)
		return fault(ck, place, "matches more than one of the forms that exclude each other");
	return list->count == 0 || fits == 1 || explain(ck, list, value, place);
}

static bool check_all(struct check *ck, const struct schema_list *list, const struct value *value, const struct schema_place *place)
{
	bool good = true;

	for (size_t i = 0; i < list->count && (good || !ck->silent) && !is_over(ck); i++)
		good &= check_node(ck, list->nodes[i], value, place);
	return good;
}

static bool check_by_type(struct check *ck, const struct schema_node *node, const struct value *value, const struct schema_place *place)
{
	switch (value->type) {
	case VALUE_STRING:
		return check_string(ck, node, value, place);
	case VALUE_INT:
	case VALUE_NUMBER:
		return check_number(ck, node, value, place);
	case VALUE_ARRAY:
		return check_array(ck, node, value, place);
	case VALUE_OBJECT:
		return check_object(ck, node, value, place);
	default:
		return true;
	}
}

static bool check_node(struct check *ck, const struct schema_node *node, const struct value *value, const struct schema_place *place)
{
	bool good;

	if (node->never)
		return fault(ck, place, "is not allowed");
	if (ck->depth >= DEPTH_MAX || ++ck->visits > VISITS_MAX)
		return fault(ck, place, "is nested too deeply");
	ck->depth++;
	good = node->reference == NULL || check_node(ck, node->reference, value, place);
	good = good && check_type(ck, node->types, value, place) && check_options(ck, node, value, place);
	good = good && check_by_type(ck, node, value, place);
	good = good && check_all(ck, &node->all, value, place) && check_any(ck, &node->any, value, place) && check_one(ck, &node->one, value, place);
	ck->depth--;
	return good;
}

bool schema_holds(const struct schema_node *node, struct arena *arena, const struct value *value)
{
	struct schema_faults faults = {.count = 0};
	struct check ck = {.arena = arena, .faults = &faults, .silent = true};

	return check_node(&ck, node, value, NULL);
}

enum rc schema_check(const struct schema *schema, struct arena *arena, const struct value *value, const struct schema_limits *limits,
                     struct schema_faults *faults)
{
	struct check ck = {.arena = arena, .faults = faults};
	enum rc rc;
	bool good;

	faults->count = 0;
	rc = limits == NULL ? RC_OK : schema_cap(schema, arena, value, limits, faults);
	if (rc != RC_OK)
		return rc;
	good = check_node(&ck, schema->root, value, NULL);
	return ck.no_memory ? RC_NOMEM : good ? RC_OK : RC_INVALID;
}
