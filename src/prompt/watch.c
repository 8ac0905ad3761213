/*
 * watch.c - inotify.
 */
#include "prompt/watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

/* A file counts as written when its writer closes it: not half-way. */
#define INTEREST (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

int watch_open(void)
{
	return inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

void watch_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* On a network's file system inotify tells of this machine's changes alone. */
static bool is_remote(const char *directory)
{
	static const uint32_t magics[] = {0x6969 /* NFS */,     0x517B /* SMB */,        0xFF534D42 /* CIFS */, 0xFE534D42 /* SMB2 */, 0x65735546 /* FUSE */,
	                                  0x01021997 /* 9P */, 0x00C36400 /* Ceph */, 0x5346414F /* AFS */,  0x47504653 /* GPFS */, 0x0BD00BD0 /* Lustre */,
	                                  0x786F4256 /* VirtualBox */};
	struct statfs fs;

	if (statfs(directory, &fs) != 0)
		return false;
	for (size_t i = 0; i < COUNT_OF(magics); i++)
		if ((uint32_t)fs.f_type == magics[i])
			return true;
	return false;
}

int watch_add(int fd, const char *directory)
{
	if (fd < 0 || is_remote(directory))
		return -1;
	return inotify_add_watch(fd, directory, INTEREST | IN_ONLYDIR);
}

void watch_remove(int fd, int id)
{
	if (fd >= 0 && id >= 0)
		inotify_rm_watch(fd, id);
}

static enum watch_kind kind_of(const struct inotify_event *event)
{
	if ((event->mask & IN_Q_OVERFLOW) != 0)
		return WATCH_OVERRUN;
	return (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0 ? WATCH_LOST : WATCH_FILE;
}

void watch_read(int fd, void (*changed)(void *user, enum watch_kind kind, int id, const char *name), void *user)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while (fd >= 0 && ((n = read(fd, events, sizeof events)) > 0 || (n < 0 && errno == EINTR))) {
		for (char *at = events; n > 0 && at < events + n;) {
			const struct inotify_event *event = (const struct inotify_event *)(const void *)at;

			changed(user, kind_of(event), event->wd, event->len > 0 ? event->name : "");
			at += sizeof *event + event->len;
		}
	}
}
