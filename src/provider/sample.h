/*
 * sample.h - the provider that answers without a network, so that everything else can be tried before there is a key.
 */
#ifndef PROVIDER_SAMPLE_H
#define PROVIDER_SAMPLE_H

#include "provider/provider.h"

/* As struct provider's `generate`. The same request has the same answer: a value true to the output schema, or a text that says what it is. */
enum rc sample_generate(const struct provider_access *access, struct arena *arena, const struct provider_request *request,
                        struct provider_result *result) MUST_CHECK;

#endif
