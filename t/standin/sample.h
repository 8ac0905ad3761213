/*
 * sample.h - a small value that a JSON Schema accepts, as a model bound to one would answer.
 */
#ifndef STANDIN_SAMPLE_H
#define STANDIN_SAMPLE_H

#include <json-c/json.h>

#include "text.h"

/* Appends the value as JSON. */
void sample_print(struct json_object *schema, struct text *out);

#endif
