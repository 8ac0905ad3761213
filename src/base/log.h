/*
 * log.h - structured lines: one event, one line, one write.
 *
 *   2026-11-23T12:30:28.123Z info request id=req_7Hc… status=200 ms=812 msg="…"
 *
 * A value with spaces, quotes or control characters is quoted and escaped, so that nothing a caller sends can forge a line.
 * Lines are cut at LOG_LINE_MAX. Secrets never go in: whoever logs is answerable for that.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };

#define LOG_LINE_MAX 4096

struct log_line {
	enum log_level level;
	size_t len;
	char text[LOG_LINE_MAX];
};

/* Lines of at least `least` go to `fd` from now on (2 and info until it is called). Not thread-safe against writers other than
 * through the atomicity of a single write; the fd may be replaced with dup2 for reopening. */
void log_open(int fd, enum log_level least);

/* "debug", "info" (also "notice"), "warning", "error"; RC_INVALID else. */
enum rc log_level_parse(const char *name, enum log_level *level) MUST_CHECK;

/* Builds a line field by field, then sends it. Values are escaped as needed; a NULL value leaves the field out. */
void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_str(struct log_line *line, const char *key, const char *value);
void log_int(struct log_line *line, const char *key, int64_t value);
void log_send(struct log_line *line);

/* Sends it there and nowhere else, whatever its level. */
void log_send_to(struct log_line *line, int fd);

/* One line with a msg field. */
void log_msg(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
