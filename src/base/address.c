/*
 * address.c - addresses by their form alone: nothing is resolved, and no file looked at.
 */
#include "base/address.h"

#include <arpa/inet.h>
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
		return strcmp(host, "*") == 0 ? "* is no host: all addresses of this machine are [::]:port, those of IPv4 0.0.0.0:port" : NULL;
	return "must be /path/to/socket, host:port, [::1]:port or :port, with a port from 1 to 65535";
}

void address_map_ipv4(struct in_addr from, struct in6_addr *to)
{
	memset(to, 0, sizeof *to);
	to->s6_addr[10] = to->s6_addr[11] = 0xff;
	memcpy(to->s6_addr + 12, &from, sizeof from);
}

static enum rc read_one(const char *text, size_t n, struct in6_addr *out)
{
	char one[INET6_ADDRSTRLEN];
	struct in_addr ipv4;

	if (n >= sizeof one)
		return RC_INVALID;
	memcpy(one, text, n);
	one[n] = '\0';
	if (inet_pton(AF_INET6, one, out) == 1)
		return RC_OK;
	if (inet_pton(AF_INET, one, &ipv4) != 1)
		return RC_INVALID;
	address_map_ipv4(ipv4, out);
	return RC_OK;
}

enum rc address_list(const char *list, struct in6_addr out[ADDRESS_LIST_MAX], unsigned *count)
{
	static const char between[] = ", \t";
	enum rc rc = RC_OK;

	*count = 0;
	for (list += strspn(list, between); rc == RC_OK && *list != '\0'; list += strspn(list, between)) {
		size_t n = strcspn(list, between);

		rc = *count == ADDRESS_LIST_MAX ? RC_TOOBIG : read_one(list, n, &out[*count]);
		*count += rc == RC_OK;
		list += n;
	}
	return rc;
}

const char *address_list_fault(const char *list)
{
	struct in6_addr out[ADDRESS_LIST_MAX];
	unsigned count;

	switch (address_list(list, out, &count)) {
	case RC_OK:
		return NULL;
	case RC_TOOBIG:
		return "must be 64 addresses at most";
	default:
		return "must be addresses such as 192.0.2.1 or ::1, separated by commas";
	}
}
