/*
 * accept.h - what a caller's Accept header asks for (RFC 9110, 12.5.1).
 */
#ifndef REQUEST_ACCEPT_H
#define REQUEST_ACCEPT_H

#include <stdbool.h>

/* Whether the header (NULL: there is none) asks for a type by its name, its weight neither 0 nor below that of another one, where it names that too. */
bool accept_asks_for(const char *header, const char *type, const char *other);

#endif
