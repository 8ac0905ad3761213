/*
 * ini.h - settings files, through inih (the only file that includes it is ini.c).
 */
#ifndef PORT_INI_H
#define PORT_INI_H

#include "base/rc.h"

/* Called for each [section] (name and value are NULL then) and each "name = value", in order. Returns NULL, or what is wrong with it (valid until the next call). */
typedef const char *ini_entry(void *user, const char *section, const char *name, const char *value, unsigned line);

struct ini_error {
	unsigned line;   /* 0 where the file could not be read */
	char reason[256];
};

/* Reads a file of [sections], "name = value" lines and ; comments. "${NAME}" in a value is replaced from the environment (empty where unset), as
 * PHP-FPM does. RC_SYS when it cannot be read, RC_INVALID at the first bad line or the first reason that `entry` gives. */
enum rc ini_read(const char *path, ini_entry *entry, void *user, struct ini_error *error) MUST_CHECK;

#endif
