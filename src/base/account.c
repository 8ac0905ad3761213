/*
 * account.c - a number stands for itself.
 */
#include "base/account.h"

#include "base/str.h"

const struct passwd *account_user(const char *name)
{
	int64_t number;

	return str_int(name, 0, UINT32_MAX - 1, &number) == RC_OK ? getpwuid((uid_t)number) : getpwnam(name);
}

const struct group *account_group(const char *name)
{
	int64_t number;

	return str_int(name, 0, UINT32_MAX - 1, &number) == RC_OK ? getgrgid((gid_t)number) : getgrnam(name);
}
