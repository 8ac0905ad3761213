/*
 * config.c - the daemon's settings file.
 */
#include "daemon/config.h"

#include <stdio.h>
#include <stdlib.h>

#include "port/ini.h"
#include "request/premises.h"

/* ini_read adds the line and the name. */
static const char *enter(void *user, const char *section, const char *name, const char *value, unsigned line)
{
	return settings_set(user, section, name, value, line);
}

static enum rc read_into(const char *path, struct settings *settings, char *reason, size_t size)
{
	struct ini_error error = {0};
	enum rc rc = ini_read(path, enter, settings, &error);
	const char *wrong;

	if (rc != RC_OK && error.line > 0) {
		snprintf(reason, size, "%s:%u: %s", path, error.line, error.reason);
		return rc;
	}
	if (rc != RC_OK) {
		snprintf(reason, size, "%s: %s", path, *error.reason ? error.reason : rc_name(rc));
		return rc;
	}
	wrong = settings_check(settings);
	if (wrong == NULL)
		return RC_OK;
	snprintf(reason, size, "%s: %s", path, wrong);
	return RC_INVALID;
}

enum rc config_read(const char *path, struct settings **out, char *reason, size_t size)
{
	struct settings *settings = malloc(sizeof *settings);
	enum rc rc;

	if (settings == NULL) {
		snprintf(reason, size, "%s: %s", path, rc_name(RC_NOMEM));
		return RC_NOMEM;
	}
	settings_init(settings);
	rc = read_into(path, settings, reason, size);
	if (rc != RC_OK) {
		config_free(settings);
		return rc;
	}
	*out = settings;
	return RC_OK;
}

struct finding {
	const char *path;
	const struct settings *settings;
	char *reason;
	size_t size;
	enum rc rc;
};

static void keep_first(void *user, const char *name, const char *what)
{
	struct finding *finding = user;
	unsigned line = settings_line(finding->settings, name);

	if (finding->rc != RC_OK)
		return;
	finding->rc = RC_INVALID;
	if (line > 0)
		snprintf(finding->reason, finding->size, "%s:%u: %s: %s", finding->path, line, name, what);
	else
		snprintf(finding->reason, finding->size, "%s: %s: %s", finding->path, name, what);
}

enum rc config_check(const char *path, const struct settings *settings, bool starts, char *reason, size_t size)
{
	struct finding finding = {path, settings, reason, size, RC_OK};

	premises_check(settings, starts, keep_first, &finding);
	return finding.rc;
}

void config_free(struct settings *settings)
{
	if (settings == NULL)
		return;
	settings_free(settings);
	free(settings);
}
