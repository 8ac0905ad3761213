/*
 * address.h - where a server listens, as a setting says it: "/path/to/socket", "host:port", "[::1]:port" or ":port" (loopback).
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/rc.h"

#define ADDRESS_HOST_SIZE 256

/* Takes what is no path apart; *port points into the text, 0 to 65535 in digits. RC_INVALID for any other form. */
enum rc address_split(const char *address, char host[ADDRESS_HOST_SIZE], const char **port) MUST_CHECK;

/* What is wrong with an address that web servers are to find, or NULL. Port 0 is none: the kernel would choose one. */
const char *address_fault(const char *address);

#endif
