/*
 * account.h - users and groups of the machine, as settings name them.
 */
#ifndef BASE_ACCOUNT_H
#define BASE_ACCOUNT_H

#include <grp.h>
#include <pwd.h>

/* By name, or by number. NULL where there is none; else valid until the next call. Not for threads. */
const struct passwd *account_user(const char *name);
const struct group *account_group(const char *name);

#endif
