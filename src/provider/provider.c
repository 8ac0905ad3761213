/*
 * provider.c - all providers, one row each.
 */
#include "provider/provider.h"

#include "base/str.h"
#include "provider/anthropic.h"
#include "provider/openai.h"
#include "provider/sample.h"

static const struct provider providers[] = {
	{"openai", openai_generate},
	{"anthropic", anthropic_generate},
	{"local", openai_generate_local},
	{"sample", sample_generate},
};

const struct provider *provider_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(providers); i++)
		if (str_eq(providers[i].name, name))
			return &providers[i];
	return NULL;
}

const char *provider_fault_name(enum provider_fault fault)
{
	static const char *const names[] = {
		[FAULT_NONE] = "none",       [FAULT_KEY] = "key",         [FAULT_BUSY] = "busy",     [FAULT_UNAVAILABLE] = "unavailable", [FAULT_UPSTREAM] = "upstream", [FAULT_REQUEST] = "request",
		[FAULT_UNREACHABLE] = "unreachable", [FAULT_TIMEOUT] = "timeout", [FAULT_BROKEN] = "broken", [FAULT_CALLER] = "caller",     [FAULT_OURS] = "ours",
	};

	return (unsigned)fault < COUNT_OF(names) ? names[fault] : "unknown";
}
