/*
 * configtest.c - promptctl configtest and settings: whether a daemon started with this file would come up and serve every endpoint.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"

struct target {
	const struct settings *settings;
	const char *file;
	unsigned errors;
};

static bool check_readable(struct target *target, const char *name, const char *file, bool directory)
{
	struct stat st;

	if (*file == '\0')
		return true;
	if (access(file, R_OK) == 0 && stat(file, &st) == 0) {
		if (S_ISDIR(st.st_mode) == directory)
			return true;
		errno = directory ? ENOTDIR : EISDIR;
	}
	fprintf(stderr, "%s: %s: %s: %s\n", target->file, name, file, strerror(errno));
	target->errors++;
	return false;
}

static void check_files(struct target *target)
{
	const struct settings *settings = target->settings;

	check_readable(target, "openai.api_key_file", settings->openai_api_key_file, false);
	check_readable(target, "anthropic.api_key_file", settings->anthropic_api_key_file, false);
	check_readable(target, "tls_ca_file", settings->tls_ca_file, false);
}

static enum ctl_status check(struct ctl *ctl, struct target *target)
{
	const char *endpoints = target->settings->endpoints;
	struct lint_count count = {0};

	check_files(target);
	if (check_readable(target, "endpoints", endpoints, true) && *endpoints && lint_path(ctl->arena, endpoints, &count) != RC_OK)
		target->errors++;
	if (target->errors + count.errors > 0)
		return CTL_NO;
	printf("%s: good: pool %s, %u endpoint%s\n", target->file, target->settings->pool, count.files, count.files == 1 ? "" : "s");
	return CTL_DONE;
}

enum ctl_status configtest_run(struct ctl *ctl)
{
	const char *file = ctl_settings_file;
	const struct ctl_option options[] = {{"config", "FILE", "the settings file, where it is not the installed one", &file, NULL}};
	struct settings settings;
	struct target target = {.settings = &settings};
	enum ctl_status status;

	if (!ctl_options(ctl, options, COUNT_OF(options), 0, 0))
		return ctl->status;
	target.file = file;
	settings_init(&settings);
	status = ctl_settings(file, &settings);
	if (status == CTL_DONE)
		status = check(ctl, &target);
	settings_free(&settings);
	return status;
}

enum ctl_status settings_run(struct ctl *ctl)
{
	bool sample = false, manual = false;
	const struct ctl_option options[] = {
		{"sample", NULL, "as a settings file, each one commented out at its default (the default form)", NULL, &sample},
		{"manual", NULL, "as the manual page's list", NULL, &manual},
	};

	if (!ctl_options(ctl, options, COUNT_OF(options), 0, 0))
		return ctl->status;
	if (sample && manual)
		return ctl_misused(ctl, "--sample and --manual exclude each other");
	if (manual)
		settings_print_manual(stdout);
	else
		settings_print_sample(stdout);
	return CTL_DONE;
}
