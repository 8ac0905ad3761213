/*
 * logfile.h - where log lines go: the error_log file, or standard error.
 */
#ifndef DAEMON_LOGFILE_H
#define DAEMON_LOGFILE_H

#include "base/settings.h"
#include "daemon/privilege.h"

/* Opens settings->error_log to append to ("" for standard error) and sets the level. A plain file is given to the children's user, who must be able to
 * open it again; a link or a device stays whose it is. RC_SYS, and then lines go where they went before. */
enum rc logfile_open(const struct settings *settings, const struct identity *identity) MUST_CHECK;

/* Opens the file of that name anew, after it was moved away (log rotation). Lines go on to the old file where that fails. */
void logfile_reopen(void);

/* From now on the file takes standard output and error as well; without a file they go nowhere. For a daemon in the background. */
void logfile_take_stderr(void);

#endif
