/*
 * config.c - the settings file as commands read it: all that is wrong with it in one go.
 */
#include "ctl/ctl.h"
#include "port/ini.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

const char ctl_settings_file[] = SYSCONFDIR "/prompt-fpm/prompt-fpm.conf";

struct target {
	struct settings *settings;
	const char *file;
	unsigned errors;
};

/* Goes on behind an error, so that one run shows them all. */
static const char *take(void *user, const char *section, const char *name, const char *value, unsigned line)
{
	struct target *target = user;
	const char *wrong = settings_set(target->settings, section, name, value, line);

	if (wrong != NULL) {
		fprintf(stderr, "%s:%u: %s: %s\n", target->file, line, name, wrong);
		target->errors++;
	}
	return NULL;
}

enum ctl_status ctl_settings(const char *file, struct settings *settings)
{
	struct target target = {.settings = settings, .file = file};
	struct ini_error error;
	enum rc rc = ini_read(file, take, &target, &error);
	const char *wrong;

	if (rc == RC_INVALID) {
		fprintf(stderr, "%s:%u: %s\n", file, error.line, error.reason);
		return CTL_NO;
	}
	if (rc != RC_OK) {
		fprintf(stderr, "%s: %s\n", file, rc == RC_SYS ? error.reason : rc_name(rc));
		return CTL_CANNOT;
	}
	if (target.errors > 0)
		return CTL_NO;
	wrong = settings_check(settings);
	if (wrong == NULL)
		return CTL_DONE;
	fprintf(stderr, "%s: %s\n", file, wrong);
	return CTL_NO;
}
