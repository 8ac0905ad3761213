/*
 * secret.h - what keeps keys in the memory of the process that holds them.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/rc.h"

/* From here on this process and the children it forks write no core file, and other processes of their user cannot look into their memory. A change of user or of program may
 * take that back (prctl(2), PR_SET_DUMPABLE): then again. RC_SYS. */
enum rc secret_keep(void) MUST_CHECK;

#endif
