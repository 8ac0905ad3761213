/*
 * usage.c - tokens. What a provider reports is money in our ledger, so nonsense is told from a report.
 */
#include "provider/usage.h"

#define TOKENS_MAX INT64_C(100000000) /* of one call: no model takes a hundred million */

/* -1 for nonsense, 0 for absent or null. */
static int64_t read_count(const struct value *object, const char *key)
{
	const struct value *value = value_get(object, key);

	if (value == NULL || value->type == VALUE_NULL)
		return 0;
	if (value->type != VALUE_INT || value->u.integer < 0 || value->u.integer > TOKENS_MAX)
		return -1;
	return value->u.integer;
}

/* A total is never absent, nor null. */
static int64_t read_total(const struct value *object, const char *key)
{
	const struct value *value = value_get(object, key);

	return value == NULL || value->type == VALUE_NULL ? -1 : read_count(object, key);
}

static void settle_on(struct usage *usage, struct usage read)
{
	read.reported = read.prompt > 0 && read.completion >= 0 && read.cached >= 0 && read.reasoning >= 0 && read.cached <= read.prompt &&
	                read.reasoning <= read.completion;
	*usage = read.reported ? read : (struct usage){.reported = false};
}

void usage_read_openai(const struct value *object, struct usage *usage)
{
	struct usage read = {
		.prompt = read_total(object, "prompt_tokens"),
		.completion = read_total(object, "completion_tokens"),
		.cached = read_count(value_get(object, "prompt_tokens_details"), "cached_tokens"),
		.reasoning = read_count(value_get(object, "completion_tokens_details"), "reasoning_tokens"),
	};
	int64_t total = read_count(object, "total_tokens");

	if (read.prompt >= 0 && read.completion >= 0 && total > read.prompt + read.completion)
		read.completion = total - read.prompt;
	settle_on(usage, read);
}

/* null says nothing new. */
static void replace(const struct value *object, const char *key, int64_t *count)
{
	const struct value *value = value_get(object, key);

	if (value != NULL && value->type != VALUE_NULL)
		*count = read_count(object, key);
}

/* Writes to the cache cost a quarter more than fresh input; we never ask for any, so they are counted as input. */
void usage_read_anthropic(const struct value *object, bool last, struct usage_parts *parts, struct usage *usage)
{
	struct usage read;

	replace(object, "input_tokens", &parts->fresh);
	replace(object, "cache_creation_input_tokens", &parts->written);
	replace(object, "cache_read_input_tokens", &parts->cached);
	if (!last)
		return;
	read = (struct usage){.cached = parts->cached, .completion = read_total(object, "output_tokens")};
	read.prompt = parts->fresh < 0 || parts->written < 0 || parts->cached < 0 ? -1 : parts->fresh + parts->written + parts->cached;
	settle_on(usage, read);
}

int64_t usage_estimate(size_t bytes)
{
	return (int64_t)((bytes + 3) / 4);
}
