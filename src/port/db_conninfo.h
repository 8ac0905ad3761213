/*
 * db_conninfo.h - connection strings, as libpq reads them.
 */
#ifndef PORT_DB_CONNINFO_H
#define PORT_DB_CONNINFO_H

#include <stdbool.h>

/* Whether libpq can read it, in either form; nothing is connected to. Why not is not told: libpq's words quote the string, and so may quote a password. */
bool db_conninfo_valid(const char *conninfo);

#endif
