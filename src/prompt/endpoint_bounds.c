/*
 * endpoint_bounds.c - matching models against the pool's list.
 */
#include "prompt/endpoint_bounds.h"

#include <string.h>

#include "base/str.h"

#define BETWEEN ", \t"

struct endpoint_bounds endpoint_bounds_of(const struct settings *settings)
{
	return (struct endpoint_bounds){
		.models = settings->drop_in_models,
		.otherwise = settings->default_model,
		.max_tokens = (int)settings->drop_in_max_output_tokens,
		.rate = settings->drop_in_rate,
	};
}

/* A star at a pattern's end stands for any ending. */
static bool matches(const char *pattern, size_t n, const char *model)
{
	if (n > 0 && pattern[n - 1] == '*')
		return strncmp(pattern, model, n - 1) == 0;
	return strlen(model) == n && memcmp(pattern, model, n) == 0;
}

bool endpoint_bounds_allow(const struct endpoint_bounds *bounds, const char *model)
{
	const char *at = bounds->models + strspn(bounds->models, BETWEEN);
	bool any = *at == '\0';

	while (*at != '\0') {
		size_t n = strcspn(at, BETWEEN);

		if (matches(at, n, model))
			return true;
		at += n;
		at += strspn(at, BETWEEN);
	}
	return any || str_eq(bounds->otherwise, model);
}
