/*
 * yaml.h - YAML text into values, through libyaml (the only file that includes it is yaml.c).
 *
 * The JSON-like core schema of YAML 1.2: plain null/true/false, integers and floats are typed, anything else is a string.
 * Anchors, aliases, tags, repeated keys and several documents are refused: front matter needs none, and they are how YAML hurts.
 */
#ifndef PORT_YAML_H
#define PORT_YAML_H

#include "base/value.h"

#define YAML_DEPTH_MAX 32

struct yaml_error {
	unsigned line, column; /* from 1, within the text given */
	const char *reason;    /* owned by the arena or static */
};

/* Parses one document; an empty one is a VALUE_NULL. Nodes carry line and column (from 1 within the text). RC_INVALID with *error filled,
 * or RC_NOMEM. */
enum rc yaml_parse(struct arena *arena, const char *text, size_t n, struct value **out, struct yaml_error *error) MUST_CHECK;

#endif
