/*
 * key_file.h - a provider's key in a file of its own.
 */
#ifndef REQUEST_KEY_FILE_H
#define REQUEST_KEY_FILE_H

#include "base/rc.h"

#define KEY_FILE_MAX 4096

/* The first line, without blanks around it. RC_SYS where it cannot be read, RC_INVALID where it is no key; *why says so in words (static, or strerror's). */
enum rc key_file_read(const char *path, char key[KEY_FILE_MAX], const char **why) MUST_CHECK;

#endif
