/*
 * accept.c - Accept: types with their weights. A range such as text/any asks for nothing in particular, and is passed over.
 */
#include "request/accept.h"

#include <string.h>
#include <strings.h>

#define WHOLE 1000 /* a weight of 1: it has three decimals at most */

/* RFC 9110, 12.4.2. What is no weight is left out of account. */
static int read_weight(const char *text)
{
	int weight = 0;

	if (*text != '0')
		return WHOLE;
	if (text[1] != '.')
		return 0;
	text += 2;
	for (int unit = WHOLE / 10; unit > 0 && *text >= '0' && *text <= '9'; unit /= 10)
		weight += (*text++ - '0') * unit;
	return weight;
}

/* Of one type's parameters, which end at a comma. */
static int find_weight(const char *parameters)
{
	for (const char *at = parameters; *at != '\0' && *at != ','; at += strcspn(at, ";,")) {
		at += strspn(at, "; \t");
		if (strncasecmp(at, "q=", 2) == 0)
			return read_weight(at + 2);
	}
	return WHOLE;
}

/* 0 where the type is not named. */
static int weight_of(const char *header, const char *type)
{
	size_t n = strlen(type);
	int most = 0;

	for (const char *at = header; *at != '\0'; at += strcspn(at, ",")) {
		at += strspn(at, ", \t");
		if (strncasecmp(at, type, n) == 0 && strchr(",; \t", at[n]) != NULL) {
			int weight = find_weight(at + n);

			most = weight > most ? weight : most;
		}
	}
	return most;
}

bool accept_asks_for(const char *header, const char *type, const char *other)
{
	int weight = header == NULL ? 0 : weight_of(header, type);

	return weight > 0 && weight >= weight_of(header, other);
}
