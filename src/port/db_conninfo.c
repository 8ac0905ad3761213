/*
 * db_conninfo.c - libpq's parser of connection strings.
 */
#include "port/db_conninfo.h"

#include "port/db_wire.h"

bool db_conninfo_valid(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	bool valid = options != NULL;

	PQconninfoFree(options);
	return valid;
}
