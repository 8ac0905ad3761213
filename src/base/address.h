/*
 * address.h - addresses as settings say them: where a server listens ("/path/to/socket", "host:port", "[::1]:port" or ":port", which is loopback), and who may
 * connect to it ("192.0.2.1, ::1").
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <netinet/in.h>

#include "base/rc.h"

#define ADDRESS_HOST_SIZE 256
#define ADDRESS_LIST_MAX 64

/* Takes what is no path apart; *port points into the text, 0 to 65535 in digits. RC_INVALID for any other form. */
enum rc address_split(const char *address, char host[ADDRESS_HOST_SIZE], const char **port) MUST_CHECK;

/* What is wrong with an address that web servers are to find, or NULL. Port 0 is none: the kernel would choose one. */
const char *address_fault(const char *address);

/* Reads addresses separated by commas or blanks. RC_INVALID for what is none, RC_TOOBIG for more than ADDRESS_LIST_MAX. */
enum rc address_list(const char *list, struct in6_addr out[ADDRESS_LIST_MAX], unsigned *count) MUST_CHECK;

/* What is wrong with such a list, or NULL. */
const char *address_list_fault(const char *list);

/* As IPv6 knows it: ::ffff:192.0.2.1. The lists hold IPv4 so. */
void address_map_ipv4(struct in_addr from, struct in6_addr *to);

#endif
