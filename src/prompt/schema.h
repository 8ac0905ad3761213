/*
 * schema.h - what an endpoint takes and gives: Picoschema or JSON Schema, compiled once, checked per request.
 *
 * A keyword that would not be enforced is refused at load: there is no validation that silently does not happen.
 */
#ifndef PROMPT_SCHEMA_H
#define PROMPT_SCHEMA_H

#include "base/value.h"
#include "prompt/diagnostic.h"

struct schema;

/* Compiles front matter's `schema:` (Picoschema, or JSON Schema where it has a JSON Schema `type` or `properties`). `named` is an object of
 * schemas by name, or NULL. The result is const, fit for many threads, and lives in the arena. RC_INVALID with the reasons in `list`, RC_NOMEM. */
enum rc schema_load(struct arena *arena, const struct value *source, const struct value *named, struct schema **out,
                    struct diagnostics *list) MUST_CHECK;

/* The same from JSON Schema alone (what promptctl and the conformance tests use). */
enum rc schema_load_json(struct arena *arena, const struct value *source, struct schema **out, struct diagnostics *list) MUST_CHECK;

/* It as plain JSON Schema. */
const struct value *schema_json(const struct schema *schema);

/* It in the form that OpenAI's strict structured outputs accept (every property required, optional ones nullable, additionalProperties false), or
 * NULL where it cannot be put that way. In the schema's own arena, made at load. */
const struct value *schema_strict(const struct schema *schema);

/* What a provider answered to the strict form, in the schema's own terms: a member that is null for not being there is left out, down the
 * whole tree. The value itself where nothing changes; NULL when out of memory. */
const struct value *schema_from_strict(const struct schema *schema, struct arena *arena, const struct value *value);

/* The object property of that name, or NULL. */
const struct value *schema_property(const struct schema *schema, const char *name);

/* Caps that hold where the schema states none of its own; 0 for no cap. */
struct schema_limits {
	size_t max_string; /* code points of any one string */
	size_t max_items;  /* of any one array */
};

#define SCHEMA_FAULT_MAX 16

struct schema_fault {
	const char *path;   /* JSON Pointer (RFC 6901) to the offending member: "/context/tone"; "" for the whole */
	const char *reason; /* fit for a caller's eyes: "is required", "must be a string", "is longer than 200 characters" */
};

struct schema_faults {
	struct schema_fault items[SCHEMA_FAULT_MAX];
	unsigned count; /* kept; checking ends when it is full */
};

/* Checks a value. RC_INVALID with the faults (strings in the arena), RC_NOMEM. `limits` may be NULL. */
enum rc schema_check(const struct schema *schema, struct arena *arena, const struct value *value, const struct schema_limits *limits,
                     struct schema_faults *faults) MUST_CHECK;

/* A value that passes the schema, made without chance: what the sample provider answers with. NULL when out of memory, or where none is found that
 * passes: a schema may contradict itself. */
const struct value *schema_sample(const struct schema *schema, struct arena *arena);

#endif
