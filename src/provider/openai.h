/*
 * openai.h - providers that speak OpenAI's Chat Completions: OpenAI itself, and local servers that took its protocol over.
 */
#ifndef PROVIDER_OPENAI_H
#define PROVIDER_OPENAI_H

#include "provider/provider.h"

/* As struct provider's `generate`. base_url ends in the version: "https://api.openai.com/v1". */
enum rc openai_generate(const struct provider_access *access, struct arena *arena, const struct provider_request *request,
                        struct provider_result *result) MUST_CHECK;

/* The same for a server of one's own, whose models have names of their own: no rule about OpenAI's model families applies. */
enum rc openai_generate_local(const struct provider_access *access, struct arena *arena, const struct provider_request *request,
                              struct provider_result *result) MUST_CHECK;

#endif
