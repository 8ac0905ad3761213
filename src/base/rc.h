/*
 * rc.h - what a function tells the program about how it went.
 *
 * One enum for the whole daemon, so that a result can travel up the floors without being translated at each of them.
 * What the caller of an endpoint is told is another matter: see request/problem.h.
 */
#ifndef BASE_RC_H
#define BASE_RC_H

enum rc {
	RC_OK = 0,      /* done; go on */
	RC_DONE,        /* done, and nothing further is to be done: the request is answered, the list is at its end */
	RC_NOMEM,       /* out of memory, or past an arena's cap */
	RC_TOOBIG,      /* input is larger than its stated cap */
	RC_INVALID,     /* input is malformed, or breaks a rule */
	RC_NOTFOUND,    /* the thing asked for does not exist */
	RC_DENIED,      /* it exists, and may not be had */
	RC_TIMEOUT,     /* the deadline passed */
	RC_GONE,        /* the peer went away: the caller's connection, the database's in the middle of a call */
	RC_UNAVAILABLE, /* a thing we depend on (database, provider) cannot be reached or refuses for now */
	RC_PROTOCOL,    /* a peer broke its protocol: garbage, a cut in the middle */
	RC_SYS,         /* a system call failed; errno says why */
};

/* The name of a result in lower case ("ok", "timeout"), for logs. Static storage. */
const char *rc_name(enum rc rc);

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
