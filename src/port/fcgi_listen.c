/*
 * fcgi_listen.c - the listening socket: a socket file or a TCP port.
 *
 * libfcgi's own FCGX_OpenSocket takes the socket file away from a server that still lives, listens on every interface and ends the process on an
 * error.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "port/fcgi.h"

static void close_keeping_errno(int fd)
{
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
}

/* RC_UNAVAILABLE where somebody answers, RC_DONE where nobody does. */
static enum rc ask_living(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	enum rc rc;

	if (fd < 0)
		return RC_SYS;
	if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN || errno == EINPROGRESS)
		rc = RC_UNAVAILABLE;
	else
		rc = errno == ECONNREFUSED || errno == ENOENT ? RC_DONE : RC_SYS;
	close_keeping_errno(fd);
	return rc;
}

static enum rc clear_path(const struct sockaddr_un *address)
{
	struct stat there;
	enum rc rc;

	if (lstat(address->sun_path, &there) != 0)
		return errno == ENOENT ? RC_OK : RC_SYS;
	if (!S_ISSOCK(there.st_mode))
		return RC_INVALID;
	rc = ask_living(address);
	if (rc != RC_DONE)
		return rc;
	return unlink(address->sun_path) == 0 || errno == ENOENT ? RC_OK : RC_SYS;
}

static enum rc bind_and_listen(int fd, const struct sockaddr *address, socklen_t size, int backlog)
{
	if (bind(fd, address, size) == 0 && listen(fd, backlog) == 0)
		return RC_OK;
	return errno == EADDRINUSE ? RC_UNAVAILABLE : RC_SYS;
}

/* Holds the directory's lock, so that of two servers starting at once neither takes the other's new file for a stale one. */
static int lock_directory(const char *path)
{
	char *copy = strdup(path);
	int fd = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	free(copy);
	if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static enum rc listen_unix(const char *path, int backlog, int *out)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, lock;
	enum rc rc;

	if (strlen(path) >= sizeof address.sun_path)
		return RC_INVALID;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return RC_SYS;
	lock = lock_directory(path);
	rc = clear_path(&address);
	if (rc == RC_OK && fchmod(fd, 0600) != 0) /* on Linux, the mode that bind gives to the file: it is never open to others, whatever the umask */
		rc = RC_SYS;
	if (rc == RC_OK)
		rc = bind_and_listen(fd, (const struct sockaddr *)&address, sizeof address, backlog);
	close_keeping_errno(lock);
	if (rc != RC_OK) {
		close_keeping_errno(fd);
		return rc;
	}
	*out = fd;
	return RC_OK;
}

static enum rc open_tcp(const struct addrinfo *where, int backlog, int *out)
{
	int yes = 1, fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	enum rc rc = RC_SYS;

	if (fd < 0)
		return RC_SYS;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0)
		rc = bind_and_listen(fd, where->ai_addr, where->ai_addrlen, backlog);
	if (rc != RC_OK) {
		close_keeping_errno(fd);
		return rc;
	}
	*out = fd;
	return RC_OK;
}

static enum rc listen_tcp(const char *address, int backlog, int *out)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
	char host[ADDRESS_HOST_SIZE];
	const char *port;
	enum rc rc = address_split(address, host, &port);

	if (rc != RC_OK)
		return rc;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return RC_NOTFOUND;
	rc = open_tcp(found, backlog, out);
	freeaddrinfo(found);
	return rc;
}

enum rc fcgi_listen(const char *address, int backlog, int *fd)
{
	return address[0] == '/' ? listen_unix(address, backlog, fd) : listen_tcp(address, backlog, fd);
}
