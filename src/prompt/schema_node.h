/*
 * schema_node.h - a compiled schema, as the files schema_*.c share it: nobody else includes this.
 *
 * Each JSON Schema object becomes one node; references are pointers, so the nodes form a graph that may have cycles through data
 * (a list of lists), never in place (a reference to itself: refused at load).
 */
#ifndef PROMPT_SCHEMA_NODE_H
#define PROMPT_SCHEMA_NODE_H

#include "port/regex.h"
#include "prompt/schema.h"

/* JSON Schema's types, as bits. A value of 1.0 is an integer too. */
enum schema_type {
	TYPE_NULL = 1 << 0,
	TYPE_BOOLEAN = 1 << 1,
	TYPE_INTEGER = 1 << 2,
	TYPE_NUMBER = 1 << 3, /* takes integers as well */
	TYPE_STRING = 1 << 4,
	TYPE_ARRAY = 1 << 5,
	TYPE_OBJECT = 1 << 6,
};

#define TYPE_ANY 0x7Fu

struct schema_format {
	const char *name;
	bool (*holds)(const char *text, size_t n);
	const char *sample; /* a value that holds */
	bool strict;        /* OpenAI's strict mode knows it */
};

struct schema_property {
	const char *name;
	size_t name_len;
	struct schema_node *node; /* NULL where it is only named in `required` */
	bool required;
};

struct schema_list {
	struct schema_node **nodes;
	size_t count;
};

struct schema_bound {
	double value;
	bool set;
};

struct schema_node {
	const struct value *source; /* what it was compiled from */
	bool never;                 /* the schema `false` */
	bool enclosed;              /* mark of the search for cycles in place */
	bool searched;
	unsigned types;             /* of enum schema_type; TYPE_ANY where nothing is said */
	const struct value *constant;
	const struct value *options; /* of enum, an array */
	size_t min_length, max_length, min_items, max_items; /* maxima SIZE_MAX where nothing is said */
	const struct regex *pattern;
	const char *pattern_text;
	const struct schema_format *format;
	struct schema_bound minimum, maximum, above, below; /* the latter two exclusive */
	struct schema_bound multiple;
	struct schema_node *items;
	struct schema_property *properties;
	size_t property_count;
	struct schema_node *additional; /* NULL: anything */
	struct schema_node *reference;
	struct schema_list any, one, all;
};

struct schema {
	struct arena *arena;
	const struct value *json;
	const struct value *strict;
	struct schema_node *root;
	struct schema_known *known; /* all parts */
	size_t known_count;
};

/* A part of the JSON Schema, and what it was compiled to. */
struct schema_known {
	const struct value *source;
	struct schema_node *node;
};

/* Picoschema into JSON Schema; what is JSON Schema already comes back as it is, with `type: object` added where only `properties` was given. */
enum rc picoschema_convert(struct arena *arena, const struct value *source, const struct value *named, const struct value **out,
                           struct diagnostics *list) MUST_CHECK;

/* JSON Schema into nodes: fills in root and known from json. */
enum rc schema_compile(struct schema *schema, struct diagnostics *list) MUST_CHECK;

/* The node of a part, or NULL. */
const struct schema_node *schema_compiled(const struct schema *schema, const struct value *source);

/* Whether a value passes one node, without words. */
bool schema_holds(const struct schema_node *node, struct arena *arena, const struct value *value);

/* Whether null passes, as far as that can be told from the schema. */
bool schema_takes_null(const struct schema_node *node);

/* A text that matches a simple pattern (literals, classes, groups, counts), or NULL: the caller verifies it. */
const char *schema_pattern_sample(struct arena *arena, const char *pattern);

/* What the JSON Pointer behind a "#" leads to. RC_NOTFOUND, RC_NOMEM. */
enum rc schema_resolve(struct arena *arena, const struct value *root, const char *pointer, const struct value **out) MUST_CHECK;

/* The bits of a type's name, 0 for none. "a string" and the like for one bit. */
unsigned schema_type_bit(const char *name);
unsigned schema_type_of(const struct value *value);
const char *schema_type_phrase(unsigned bit);

/* NULL where there is no such format. The table's names are in schema_format.c. */
const struct schema_format *schema_format_get(const char *name);

/* Checks the caps of `limits` alone. RC_INVALID with faults, RC_NOMEM. */
enum rc schema_cap(const struct schema *schema, struct arena *arena, const struct value *value, const struct schema_limits *limits,
                   struct schema_faults *faults) MUST_CHECK;

/* A place in the value that is being checked, up to its root; turned into a JSON Pointer only when a fault is found there. */
struct schema_place {
	const struct schema_place *parent;
	const char *name; /* of the member; NULL for an item */
	size_t name_len, index;
};

/* Adds a fault, unless the list is full. RC_NOMEM. */
enum rc schema_fault_add(struct schema_faults *faults, struct arena *arena, const struct schema_place *place, const char *reason) MUST_CHECK;

/* The property's entry, or NULL. */
const struct schema_property *schema_node_property(const struct schema_node *node, const char *name, size_t name_len);

/* Makes `schema->strict`, NULL where it cannot be. RC_NOMEM. */
enum rc schema_make_strict(struct schema *schema) MUST_CHECK;

#endif
