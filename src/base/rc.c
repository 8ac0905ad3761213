/*
 * rc.c - names of results.
 */
#include "base/rc.h"

const char *rc_name(enum rc rc)
{
	static const char *const names[] = {
		[RC_OK] = "ok",           [RC_DONE] = "done",       [RC_NOMEM] = "no memory", [RC_TOOBIG] = "too big",
		[RC_INVALID] = "invalid", [RC_NOTFOUND] = "not found", [RC_DENIED] = "denied", [RC_TIMEOUT] = "timeout",
		[RC_GONE] = "gone",       [RC_UNAVAILABLE] = "unavailable", [RC_PROTOCOL] = "protocol", [RC_SYS] = "system",
	};

	return (unsigned)rc < COUNT_OF(names) ? names[rc] : "unknown";
}
