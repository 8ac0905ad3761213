/*
 * address.c - addresses by their form alone: nothing is resolved, and no file looked at.
 */
#include "base/address.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum rc address_split(const char *address, char host[ADDRESS_HOST_SIZE], const char **port)
{
	const char *colon = strrchr(address, ':');
	size_t n;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9' || strspn(colon + 1, "0123456789") != strlen(colon + 1) || atol(colon + 1) > 65535)
		return RC_INVALID;
	n = (size_t)(colon - address);
	if (n >= 2 && address[0] == '[' && address[n - 1] == ']') {
		address++;
		n -= 2;
	} else if (memchr(address, ':', n) != NULL) {
		return RC_INVALID; /* a bare IPv6 address: where does its port begin? */
	}
	if (n >= ADDRESS_HOST_SIZE)
		return RC_INVALID;
	memcpy(host, address, n);
	host[n] = '\0';
	if (n == 0)
		strcpy(host, "127.0.0.1");
	*port = colon + 1;
	return RC_OK;
}

const char *address_fault(const char *address)
{
	struct sockaddr_un file;
	char host[ADDRESS_HOST_SIZE];
	const char *port;

	if (address[0] == '/')
		return strlen(address) < sizeof file.sun_path ? NULL : "the path is too long for a socket";
	if (address_split(address, host, &port) == RC_OK && atol(port) > 0)
		return NULL;
	return "must be /path/to/socket, host:port, [::1]:port or :port, with a port from 1 to 65535";
}
