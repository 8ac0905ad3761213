/*
 * anthropic_schema.h - an output schema in the form that Anthropic's structured outputs take.
 */
#ifndef PROVIDER_ANTHROPIC_SCHEMA_H
#define PROVIDER_ANTHROPIC_SCHEMA_H

#include "prompt/schema.h"

/* It as the schema of output_config.format; NULL where it has no such form (or memory is out): then JSON is asked for in words. */
const struct value *anthropic_schema(struct arena *arena, const struct schema *schema);

#endif
