/*
 * schema_keyword.h - between the keywords' file and the one that puts nodes together. Nobody else includes this.
 */
#ifndef PROMPT_SCHEMA_KEYWORD_H
#define PROMPT_SCHEMA_KEYWORD_H

#include "prompt/schema_node.h"

#define SCHEMA_PARTS_MAX 1000u

struct schema_loader {
	struct arena *arena;
	struct diagnostics *list;
	const struct value *root;
	struct schema_known known[SCHEMA_PARTS_MAX]; /* each part is compiled once, so that references may form cycles */
	size_t known_count;
};

/* The node of a part of the schema, made where it is the first time. RC_INVALID with the reason in the list, RC_NOMEM. */
enum rc schema_compile_part(struct schema_loader *ld, const struct value *source, struct schema_node **out) MUST_CHECK;

/* One keyword of `owner` into its node; one that is not supported is an error. */
enum rc schema_keyword_compile(struct schema_loader *ld, const struct value *owner, struct schema_node *node,
                                const struct value_member *member) MUST_CHECK;

/* Warns of what can never act, and of what nothing can pass: legal, but surely not meant. */
void schema_keyword_warn(struct schema_loader *ld, const struct value *owner, const struct schema_node *node);

#endif
