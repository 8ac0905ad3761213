/*
 * config.h - the daemon's settings file, read and checked as a whole before anything is changed.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stddef.h>

#include "base/settings.h"

/* New settings from the file. RC_OK with *out, the caller's: config_free; else one line "file:line: what is wrong" (no line where none is to blame)
 * in `reason`: RC_SYS when it cannot be read, RC_INVALID, RC_NOMEM. */
enum rc config_read(const char *path, struct settings **out, char *reason, size_t size) MUST_CHECK;

/* The first of what request/premises.h finds, as a line of the same form: RC_INVALID then. */
enum rc config_check(const char *path, const struct settings *settings, bool starts, char *reason, size_t size) MUST_CHECK;

void config_free(struct settings *settings);

#endif
