/*
 * session.c - the database as commands use it: a session of their own, and every failure said in one line.
 */
#include <string.h>

#include "base/str.h"
#include "ctl/ctl.h"

bool ctl_has_password(const char *conninfo)
{
	const char *at, *host = strstr(conninfo, "://");

	for (at = strstr(conninfo, "password"); at != NULL; at = strstr(at + 1, "password"))
		if (at[8 + strspn(at + 8, " \t")] == '=')
			return true;
	if (host == NULL)
		return false;
	host += 3;
	at = host + strcspn(host, "@/?");
	return *at == '@' && memchr(host, ':', (size_t)(at - host)) != NULL;
}

struct db_session *ctl_connect(struct ctl *ctl)
{
	struct db_session *session = NULL;
	char reason[512] = "";
	enum rc rc;

	rc = db_open(ctl->database, &session, reason, sizeof reason);
	if (rc == RC_OK)
		return session;
	ctl_cannot("the database cannot be reached: %s", *reason ? reason : rc_name(rc));
	return NULL;
}

/* The server's sentence without its severity. */
const char *ctl_reason(const struct db_session *session)
{
	const char *reason = db_reason(session);

	return str_starts(reason, "ERROR:") ? reason + 6 + strspn(reason + 6, " ") : reason;
}

bool ctl_query(struct ctl *ctl, struct db_session *session, const char *sql, const char *const *params, unsigned count, struct db_table *table)
{
	enum rc rc = db_query(session, ctl->arena, sql, params, count, table);

	if (rc == RC_OK)
		return true;
	if (rc == RC_NOMEM)
		ctl_cannot("out of memory");
	else
		ctl_cannot("%s", ctl_reason(session));
	return false;
}

bool ctl_ask(struct ctl *ctl, const char *sql, const char *const *params, unsigned count, struct db_table *table)
{
	struct db_session *session = ctl_connect(ctl);
	bool done;

	if (session == NULL)
		return false;
	done = ctl_query(ctl, session, sql, params, count, table);
	db_close(session);
	return done;
}
