/*
 * read.c - whole files and standard input, capped.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "ctl/ctl.h"

static enum rc drain(int fd, struct buf *buf)
{
	char piece[65536];
	ssize_t n;

	while ((n = read(fd, piece, sizeof piece)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return RC_SYS;
		if (buf_add(buf, piece, (size_t)n) != RC_OK)
			return buf->rc;
	}
	return RC_OK;
}

static enum rc complain(const char *path, enum rc rc, size_t max)
{
	const char *name = str_eq(path, "-") ? "standard input" : path;

	if (rc == RC_SYS)
		ctl_cannot("%s: %s", name, strerror(errno));
	else if (rc == RC_TOOBIG)
		ctl_cannot("%s: is larger than %zu bytes", name, max);
	else
		ctl_cannot("%s: %s", name, rc_name(rc));
	return rc;
}

enum rc ctl_read(struct ctl *ctl, const char *path, size_t max, const char **text, size_t *len)
{
	int fd = str_eq(path, "-") ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	struct buf buf;
	enum rc rc;

	if (fd < 0)
		return complain(path, RC_SYS, max);
	buf_init(&buf, ctl->arena, max);
	rc = drain(fd, &buf);
	close(fd);
	if (rc != RC_OK)
		return complain(path, rc, max);
	*text = buf_text(&buf);
	*len = buf.len;
	return RC_OK;
}
