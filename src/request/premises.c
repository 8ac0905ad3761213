/*
 * premises.c - one look at each thing that settings name, by whoever runs it: what the workers' user may read is seen when they start.
 */
#include "request/premises.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/account.h"
#include "base/address.h"
#include "port/db_conninfo.h"
#include "port/http.h"
#include "port/tls.h"
#include "provider/provider.h"
#include "request/key_file.h"

struct look {
	const struct settings *settings;
	premises_say *say;
	void *user;
};

PRINTF_LIKE(3, 4) static void fault(const struct look *look, const char *name, const char *format, ...)
{
	char what[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof what, format, ap);
	va_end(ap);
	look->say(look->user, name, what);
}

static void look_at_user(const struct look *look, const char *name, const char *user)
{
	if (*user && account_user(user) == NULL)
		fault(look, name, "there is no user \"%s\"", user);
}

static void look_at_group(const struct look *look, const char *name, const char *group)
{
	if (*group && account_group(group) == NULL)
		fault(look, name, "there is no group \"%s\"", group);
}

static void look_at_accounts(const struct look *look)
{
	const struct settings *s = look->settings;

	look_at_user(look, "user", s->user);
	look_at_group(look, "group", s->group);
	look_at_user(look, "listen.owner", s->listen_owner);
	look_at_group(look, "listen.group", s->listen_group);
}

/* The folder that a file is to be made in. */
static bool has_folder(const struct look *look, const char *name, const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[4096];
	struct stat st;

	if (slash == NULL)
		return true;
	snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (stat(folder, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return true;
		errno = ENOTDIR;
	}
	fault(look, name, "%s: %s: %s", path, folder, strerror(errno));
	return false;
}

static void look_at_place(const struct look *look, const char *name, const char *path)
{
	struct stat st;

	if (has_folder(look, name, path) && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		fault(look, name, "%s: %s", path, strerror(EISDIR));
}

static void look_at_port(const struct look *look, const char *address)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found;
	char host[ADDRESS_HOST_SIZE];
	const char *port;

	if (address_split(address, host, &port) != RC_OK)
		return; /* refused by its form */
	if (getaddrinfo(host, port, &hints, &found) == 0)
		freeaddrinfo(found);
	else
		fault(look, "listen", "%s: unknown host", address);
}

static void look_at_listen(const struct look *look)
{
	const char *address = look->settings->listen;
	struct stat st;

	if (*address == '\0')
		return; /* for who starts on a socket */
	if (*address != '/')
		look_at_port(look, address);
	else if (has_folder(look, "listen", address) && lstat(address, &st) == 0 && !S_ISSOCK(st.st_mode))
		fault(look, "listen", "%s: a file that is no socket is there", address);
}

/* RC_OK for what can be read and is of its kind. */
static enum rc look_at_file(const struct look *look, const char *name, const char *path, bool directory, struct stat *st)
{
	if (access(path, R_OK) == 0 && stat(path, st) == 0) {
		if (S_ISDIR(st->st_mode) == directory)
			return RC_OK;
		errno = directory ? ENOTDIR : EISDIR;
	}
	fault(look, name, "%s: %s", path, strerror(errno));
	return RC_NOTFOUND;
}

/* A pipe would be read empty by the look. */
static bool is_to_be_read(const struct look *look, const char *name, const char *path)
{
	struct stat st;

	return *path && look_at_file(look, name, path, false, &st) == RC_OK && S_ISREG(st.st_mode);
}

static void look_at_key(const struct look *look, const char *name, const char *path)
{
	char key[KEY_FILE_MAX];
	const char *why;

	if (is_to_be_read(look, name, path) && key_file_read(path, key, &why) != RC_OK)
		fault(look, name, "%s: %s", path, why);
	explicit_bzero(key, sizeof key);
}

static void look_at_certificates(const struct look *look)
{
	const char *path = look->settings->tls_ca_file;
	struct tls_store *store;

	if (!is_to_be_read(look, "tls_ca_file", path) || (store = tls_store_new(path)) == NULL)
		return;
	if (tls_store_read(store) != RC_OK)
		fault(look, "tls_ca_file", "%s: there is no certificate in it that can be read (PEM)", path);
	tls_store_free(store);
}

static void look_at_url(const struct look *look, const char *name, const char *url)
{
	if (*url && !http_url_valid(url))
		fault(look, name, "must be a URL with http:// or https:// and a host");
	else if (strpbrk(url, "?#") != NULL)
		fault(look, name, "may have no ? or #: the path of each call is written behind it");
}

static void look_at_providers(const struct look *look)
{
	const struct settings *s = look->settings;
	size_t n = strcspn(s->default_model, "/");
	char name[64];

	snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), s->default_model);
	if (n >= sizeof name || provider_find(name) == NULL)
		fault(look, "default_model", "there is no provider \"%s\"", name);
	look_at_url(look, "openai.base_url", s->openai_base_url);
	look_at_key(look, "openai.api_key_file", s->openai_api_key_file);
	look_at_url(look, "anthropic.base_url", s->anthropic_base_url);
	look_at_key(look, "anthropic.api_key_file", s->anthropic_api_key_file);
	look_at_url(look, "local.base_url", s->local_base_url);
	look_at_certificates(look);
}

void premises_check(const struct settings *settings, bool starts, premises_say *say, void *user)
{
	const struct look look = {settings, say, user};
	struct stat st;

	look_at_place(&look, "error_log", settings->error_log);
	look_at_place(&look, "slowlog", settings->slowlog);
	look_at_accounts(&look);
	if (starts) {
		look_at_place(&look, "pid", settings->pid);
		look_at_listen(&look);
	}
	if (*settings->endpoints)
		(void)!look_at_file(&look, "endpoints", settings->endpoints, true, &st);
	if (!db_conninfo_valid(settings->database))
		fault(&look, "database", "is no connection string: a value with a space needs quotes");
	look_at_providers(&look);
}
