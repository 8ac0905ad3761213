/*
 * background.h - the daemon away from its terminal, and the file that tells its process id.
 */
#ifndef DAEMON_BACKGROUND_H
#define DAEMON_BACKGROUND_H

#include "base/rc.h"

/* Goes on in a new session in the background. The process that was started waits until background_report tells how the start went, and ends with
 * that status. *report is for background_report. RC_SYS. */
enum rc background_enter(int *report) MUST_CHECK;

/* Ends the waiting process with this exit status, 0 to 255, once it has printed the text on standard error. */
void background_report(int *report, int status, const char *text);

/* Writes this process's id to the file; "" does nothing. RC_SYS. */
enum rc background_pid_write(const char *path) MUST_CHECK;

/* Removes the file if it still tells this process's id. */
void background_pid_remove(const char *path);

#endif
