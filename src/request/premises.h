/*
 * premises.h - what the settings presuppose: accounts, folders, files, URLs and names that have to be there or to be understood.
 *
 * The daemon asks before it starts, and promptctl configtest before anybody starts it, so that both say the same. Nothing is made, changed or connected to.
 */
#ifndef REQUEST_PREMISES_H
#define REQUEST_PREMISES_H

#include "base/settings.h"

/* One thing that is wrong: with which setting, and what. Valid during the call. No key, password or connection string is in it. */
typedef void premises_say(void *user, const char *name, const char *what);

/* Says all that the daemon could not start or work with. `starts`: it is to make its socket and its pid file, too, which a reload does not, nor who was
 * started on a socket. */
void premises_check(const struct settings *settings, bool starts, premises_say *say, void *user);

#endif
