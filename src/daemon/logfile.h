/*
 * logfile.h - where log lines go: the error_log file, or standard error; and the entries of slow requests: the slowlog file, or nowhere.
 */
#ifndef DAEMON_LOGFILE_H
#define DAEMON_LOGFILE_H

#include "base/settings.h"
#include "daemon/privilege.h"

/* Opens settings->error_log ("" for standard error) and settings->slowlog ("" for none) to append to, and sets the level. A plain file is given to the children's user, who must be
 * able to open it again; a link or a device stays whose it is. RC_SYS with the reason, and then lines go where they went before; entries may go to the new file already. */
enum rc logfile_open(const struct settings *settings, const struct identity *identity, char *reason, size_t size) MUST_CHECK;

/* Opens the files of those names anew, after they were moved away (log rotation). Lines go on to the old file where that fails. */
void logfile_reopen(void);

/* From now on the file takes standard output and error as well; without a file they go nowhere. For a daemon in the background. */
void logfile_take_stderr(void);

#endif
