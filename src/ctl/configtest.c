/*
 * configtest.c - promptctl configtest and settings: whether a daemon started with this file would come up and serve every endpoint.
 */
#include "base/str.h"
#include "ctl/ctl.h"
#include "request/premises.h"

struct target {
	const struct settings *settings;
	const char *file;
	unsigned errors;
	bool no_endpoints; /* to lint */
};

static void say(void *user, const char *name, const char *what)
{
	struct target *target = user;
	unsigned line = settings_line(target->settings, name);

	if (line > 0)
		fprintf(stderr, "%s:%u: %s: %s\n", target->file, line, name, what);
	else
		fprintf(stderr, "%s: %s: %s\n", target->file, name, what);
	target->errors++;
	target->no_endpoints |= str_eq(name, "endpoints");
}

static enum ctl_status check(struct ctl *ctl, struct target *target)
{
	const char *endpoints = target->settings->endpoints;
	struct lint_count count = {0};

	premises_check(target->settings, true, say, target);
	if (*endpoints && !target->no_endpoints && lint_path(ctl->arena, endpoints, &count) != RC_OK)
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
