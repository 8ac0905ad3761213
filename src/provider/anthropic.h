/*
 * anthropic.h - the provider that speaks Anthropic's Messages API, version 2023-06-01.
 */
#ifndef PROVIDER_ANTHROPIC_H
#define PROVIDER_ANTHROPIC_H

#include "provider/provider.h"

/* As struct provider's `generate`. base_url ends before the version: "https://api.anthropic.com". */
enum rc anthropic_generate(const struct provider_access *access, struct arena *arena, const struct provider_request *request,
                           struct provider_result *result) MUST_CHECK;

#endif
