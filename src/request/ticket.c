/*
 * ticket.c - the lock key.
 */
#include "request/ticket.h"

static uint64_t fold(uint64_t hash, const char *s)
{
	for (; *s != '\0'; s++)
		hash = (hash ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

int64_t ticket_lock_key(const char *supplier, const char *feature)
{
	return (int64_t)fold(fold(UINT64_C(0xcbf29ce484222325), supplier), feature);
}
