/*
 * endpoint_bounds.h - what a pool lets the .prompt files of document roots do: they can ask for less than that, never for more.
 *
 * Whoever may write into a web root is not always who pays for the pool. The files of the pool's own directory are the operator's, and are held to nothing here.
 */
#ifndef PROMPT_ENDPOINT_BOUNDS_H
#define PROMPT_ENDPOINT_BOUNDS_H

#include "base/settings.h"

struct endpoint_bounds {
	const char *models;    /* patterns apart by blanks or commas: "openai/gpt-4o-mini anthropic/claude-*"; "" for any */
	const char *otherwise; /* the model of files that name none: it is always allowed; NULL for none */
	int max_tokens;        /* ceiling on maxOutputTokens; 0 for none */
	struct rate rate;      /* of every endpoint, unless its own is tighter */
};

/* As the pool's settings have it; their strings are shared. */
struct endpoint_bounds endpoint_bounds_of(const struct settings *settings);

/* Whether a file may name the model, first or as a fallback. */
bool endpoint_bounds_allow(const struct endpoint_bounds *bounds, const char *model);

#endif
