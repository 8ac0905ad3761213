/*
 * usage.h - tokens: as providers report them, and as we estimate them where they do not.
 */
#ifndef PROVIDER_USAGE_H
#define PROVIDER_USAGE_H

#include "provider/provider.h"

/* OpenAI's `usage` object: its counts hold the cached and the reasoning tokens. Servers of its kin (xAI, Gemini) count what was reasoned beside the completion, and
 * bill it as that: what total_tokens holds beyond prompt and completion is completion. A count that is missing, negative or absurdly large, or smaller than its own
 * part, leaves *usage unreported. */
void usage_read_openai(const struct value *object, struct usage *usage);

/* Anthropic's, which come in parts: members of a later object replace those of an earlier one, but for null. Its cache reads and writes stand beside its
 * input_tokens, not within. Until the last object came (a plain answer's, or message_delta's) nothing is reported. */
struct usage_parts {
	int64_t fresh, written, cached; /* 0 where absent, -1 for nonsense */
};

void usage_read_anthropic(const struct value *object, bool last, struct usage_parts *parts, struct usage *usage);

/* The estimate that doc/ledger.md states: one token for each 4 bytes, rounded up. */
int64_t usage_estimate(size_t bytes);

#endif
