/*
 * schema_compile.c - JSON Schema into nodes: each part once, so that references may lead anywhere, and no reference in a circle.
 */
#include <stdlib.h>
#include <string.h>

#include "prompt/schema_keyword.h"

static enum rc compile_object(struct schema_loader *ld, const struct value *source, struct schema_node *node)
{
	enum rc rc = RC_OK, one;

	for (size_t i = 0; i < source->u.object.count && rc != RC_NOMEM; i++) {
		one = schema_keyword_compile(ld, source, node, &source->u.object.members[i]);
		rc = one == RC_OK ? rc : one;
	}
	if (rc == RC_OK)
		schema_keyword_warn(ld, source, node);
	return rc;
}

enum rc schema_compile_part(struct schema_loader *ld, const struct value *source, struct schema_node **out)
{
	struct schema_node *node;

	for (size_t i = 0; i < ld->known_count; i++) {
		if (ld->known[i].source == source) {
			*out = ld->known[i].node;
			return RC_OK;
		}
	}
	if (ld->known_count == SCHEMA_PARTS_MAX)
		return diagnostics_error(ld->list, source->line, source->column, NULL, "the schema has more than %u parts", SCHEMA_PARTS_MAX);
	if (source->type != VALUE_OBJECT && source->type != VALUE_BOOL)
		return diagnostics_error(ld->list, source->line, source->column, NULL, "a schema must be an object, not %s", value_type_name(source->type));
	node = arena_alloc(ld->arena, sizeof *node);
	if (node == NULL)
		return RC_NOMEM;
	*node = (struct schema_node){.source = source, .types = TYPE_ANY, .max_length = SIZE_MAX, .max_items = SIZE_MAX};
	ld->known[ld->known_count++] = (struct schema_known){.source = source, .node = node};
	*out = node;
	if (source->type == VALUE_BOOL) {
		node->never = !source->u.boolean;
		return RC_OK;
	}
	return compile_object(ld, source, node);
}

static bool loops(struct schema_node *node);

static bool list_loops(const struct schema_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (loops(list->nodes[i]))
			return true;
	return false;
}

/* Whether the node comes back to itself without going a step down into the data: checking would never end. */
static bool loops(struct schema_node *node)
{
	bool found;

	if (node->enclosed || node->searched)
		return node->enclosed;
	node->enclosed = true;
	found = (node->reference != NULL && loops(node->reference)) || list_loops(&node->any) || list_loops(&node->one) || list_loops(&node->all);
	node->enclosed = false;
	node->searched = true;
	return found;
}

static enum rc refuse_loops(struct schema_loader *ld)
{
	for (size_t i = 0; i < ld->known_count; i++) {
		const struct value *source = ld->known[i].source;

		if (loops(ld->known[i].node))
			return diagnostics_error(ld->list, source->line, source->column, NULL, "the schema refers to itself without an object or array between");
	}
	return RC_OK;
}

static enum rc keep_known(struct schema_loader *ld, struct schema *schema)
{
	schema->known = arena_array(ld->arena, ld->known_count, sizeof *schema->known);
	if (schema->known == NULL)
		return RC_NOMEM;
	memcpy(schema->known, ld->known, ld->known_count * sizeof *schema->known);
	schema->known_count = ld->known_count;
	return RC_OK;
}

enum rc schema_compile(struct schema *schema, struct diagnostics *list)
{
	struct schema_loader *ld = calloc(1, sizeof *ld);
	enum rc rc;

	if (ld == NULL)
		return RC_NOMEM;
	ld->arena = schema->arena;
	ld->list = list;
	ld->root = schema->json;
	rc = schema_compile_part(ld, schema->json, &schema->root);
	if (rc == RC_OK)
		rc = refuse_loops(ld);
	if (rc == RC_OK)
		rc = keep_known(ld, schema);
	free(ld);
	return rc;
}

const struct schema_node *schema_compiled(const struct schema *schema, const struct value *source)
{
	for (size_t i = 0; i < schema->known_count; i++)
		if (schema->known[i].source == source)
			return schema->known[i].node;
	return NULL;
}
