/*
 * regex.c - patterns through PCRE2, with limits on what one match may cost.
 *
 * Patterns come from the operator, subjects from callers: the limits keep a careless pattern from being a way to stop the service.
 * Matching is interpreted, not JIT: JIT ignores the heap limit and needs writable and executable memory, which hardened services deny.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "port/regex.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN_MAX 4096u    /* bytes of a pattern */
#define MATCH_LIMIT 200000u  /* steps of backtracking: some milliseconds */
#define HEAP_LIMIT_KIB 4096u /* of one match's backtracking memory */

struct regex {
	pcre2_code *code;
	pcre2_match_context *limits;
};

static void release(void *object)
{
	struct regex *regex = object;

	pcre2_match_context_free(regex->limits);
	pcre2_code_free(regex->code);
}

static enum rc explain(struct arena *arena, int code, size_t offset, const char **reason)
{
	unsigned char text[160] = "";

	pcre2_get_error_message(code, text, sizeof text);
	*reason = arena_printf(arena, "%s at offset %zu", (const char *)text, offset);
	return *reason == NULL ? RC_NOMEM : RC_INVALID;
}

/* The syntax of ECMA-262 where PCRE2 can be told of it: \uhhhh, \u{h} and [] are meant as there, and "$" only at the very end. \d \w \b are ASCII
 * in both; UCP stays off for that. What would reach outside of the subject or call out is off. */
static pcre2_code *compile(const char *pattern, int *code, size_t *offset)
{
	const uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_ALT_BSUX | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF |
	                         PCRE2_DOLLAR_ENDONLY;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	pcre2_code *compiled = NULL;

	*code = PCRE2_ERROR_NOMEMORY;
	if (context == NULL)
		return NULL;
	pcre2_set_max_pattern_length(context, PATTERN_MAX);
	pcre2_set_parens_nest_limit(context, 50);
	pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
	pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
	compiled = pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern), options, code, offset, context);
	pcre2_compile_context_free(context);
	return compiled;
}

enum rc regex_compile(struct arena *arena, const char *pattern, struct regex **out, const char **reason)
{
	struct regex *regex = arena_alloc(arena, sizeof *regex);
	size_t offset = 0;
	int code;

	if (regex == NULL)
		return RC_NOMEM;
	regex->code = compile(pattern, &code, &offset);
	if (regex->code == NULL)
		return code == PCRE2_ERROR_NOMEMORY ? RC_NOMEM : explain(arena, code, offset, reason);
	regex->limits = pcre2_match_context_create(NULL);
	if (regex->limits != NULL) {
		pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
		pcre2_set_depth_limit(regex->limits, MATCH_LIMIT);
		pcre2_set_heap_limit(regex->limits, HEAP_LIMIT_KIB);
	}
	*out = regex;
	if (arena_defer(arena, release, regex) != RC_OK)
		return RC_NOMEM;
	return regex->limits == NULL ? RC_NOMEM : RC_OK;
}

enum rc regex_match(const struct regex *regex, const char *text, size_t n)
{
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	int found;

	if (data == NULL)
		return RC_NOMEM;
	found = pcre2_match(regex->code, (PCRE2_SPTR)text, n, 0, PCRE2_NO_UTF_CHECK, data, regex->limits);
	pcre2_match_data_free(data);
	switch (found) {
	case PCRE2_ERROR_NOMATCH:
		return RC_NOTFOUND;
	case PCRE2_ERROR_NOMEMORY:
		return RC_NOMEM;
	case PCRE2_ERROR_MATCHLIMIT:
	case PCRE2_ERROR_DEPTHLIMIT:
	case PCRE2_ERROR_HEAPLIMIT:
		return RC_TOOBIG;
	default:
		return found >= 0 ? RC_OK : RC_NOTFOUND;
	}
}
