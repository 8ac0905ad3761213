/*
 * regex.h - patterns, through PCRE2 (the only file that includes it is regex.c).
 */
#ifndef PORT_REGEX_H
#define PORT_REGEX_H

#include <stdbool.h>

#include "base/arena.h"

struct regex;

/* Compiles a JSON Schema `pattern` (ECMA-262 flavour as far as PCRE2 has it; UTF, not anchored). The result is const, may be used by many
 * threads, and goes with the arena. RC_INVALID with *reason (arena's) on a bad pattern. */
enum rc regex_compile(struct arena *arena, const char *pattern, struct regex **out, const char **reason) MUST_CHECK;

/* RC_OK matches, RC_NOTFOUND does not, RC_TOOBIG ran into the match limit (hostile input: count it as no match), RC_NOMEM. */
enum rc regex_match(const struct regex *regex, const char *text, size_t n) MUST_CHECK;

#endif
