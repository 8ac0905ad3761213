/*
 * secret.c - no core files, nobody who traces.
 */
#include "base/secret.h"

#include <sys/prctl.h>
#include <sys/resource.h>

/* Both: a limit of nought says nothing to a program that the kernel pipes cores to (core(5)). */
enum rc secret_keep(void)
{
	struct rlimit none = {0, 0};

	return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0 ? RC_OK : RC_SYS;
}
