/*
 * lint.c - promptctl lint: loads .prompt files as the daemon would and prints what it says of them, like a compiler.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "ctl/ctl.h"

#define DEPTH_MAX 16
#define FILE_ARENA_MAX ((size_t)64 << 20)

static void print(const struct diagnostics *list)
{
	for (const struct diagnostic *entry = list->first; entry != NULL; entry = entry->next) {
		const char *text = diagnostic_text(list->arena, entry);

		fprintf(stderr, "%s\n", text != NULL ? text : entry->message);
	}
}

static enum rc lint_file(const char *path, struct lint_count *count)
{
	struct arena *arena = arena_new(FILE_ARENA_MAX);
	struct endpoint *endpoint = NULL;
	struct diagnostics list;
	enum rc rc;

	if (arena == NULL)
		return RC_NOMEM;
	diagnostics_init(&list, arena, path);
	rc = endpoint_load(path, count->bounds, &endpoint, &list);
	if (rc == RC_OK && count->on_endpoint != NULL)
		count->on_endpoint(count->user, path, endpoint);
	endpoint_free(endpoint);
	print(&list);
	if (rc != RC_OK && list.errors == 0)
		fprintf(stderr, "%s: error: cannot be loaded: %s\n", path, rc_name(rc));
	count->files++;
	count->errors += rc != RC_OK && list.errors == 0 ? 1 : list.errors;
	count->warnings += list.warnings;
	arena_free(arena);
	return RC_OK;
}

bool ctl_is_prompt(const char *name)
{
	size_t n = strlen(name);

	return n > 7 && str_eq(name + n - 7, ".prompt");
}

/* It is read with the files that use it. */
static bool is_partial(const char *name)
{
	return name[0] == '_' && ctl_is_prompt(name);
}

/* Hidden entries are nobody's endpoints. */
static int wanted(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && !is_partial(entry->d_name);
}

static enum rc lint_directory(struct arena *arena, const char *path, struct lint_count *count, unsigned depth);

static enum rc lint_entry(struct arena *arena, const char *directory, const char *name, struct lint_count *count, unsigned depth)
{
	const char *slash = directory[strlen(directory) - 1] == '/' ? "" : "/";
	char *path = arena_printf(arena, "%s%s%s", directory, slash, name);
	struct stat st;

	if (path == NULL)
		return RC_NOMEM;
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return lint_directory(arena, path, count, depth + 1);
	return ctl_is_prompt(name) ? lint_file(path, count) : RC_OK;
}

/* One that cannot be read keeps nobody from reading the others. */
static enum rc lint_directory(struct arena *arena, const char *path, struct lint_count *count, unsigned depth)
{
	struct dirent **entries;
	int n = depth > DEPTH_MAX ? 0 : scandir(path, &entries, wanted, alphasort);
	enum rc rc = RC_OK, each;

	if (n < 0) {
		ctl_cannot("%s: %s", path, strerror(errno));
		return RC_SYS;
	}
	if (depth > DEPTH_MAX)
		return RC_OK;
	for (int i = 0; i < n; i++) {
		each = lint_entry(arena, path, entries[i]->d_name, count, depth);
		rc = each != RC_OK ? each : rc;
		free(entries[i]);
	}
	free(entries);
	return rc;
}

enum rc lint_path(struct arena *arena, const char *path, struct lint_count *count)
{
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (stat(path, &st) < 0) {
		ctl_cannot("%s: %s", path, strerror(errno));
		return RC_SYS;
	}
	if (S_ISDIR(st.st_mode))
		return lint_directory(arena, path, count, 0);
	if (!is_partial(slash == NULL ? path : slash + 1))
		return lint_file(path, count);
	fprintf(stderr, "%s: note: a partial is read with the files that use it\n", path); /* as of *.prompt */
	return RC_OK;
}

struct endpoint *ctl_endpoint(struct ctl *ctl, const char *file)
{
	struct endpoint *endpoint = NULL;
	struct diagnostics list;
	enum rc rc;

	diagnostics_init(&list, ctl->arena, file);
	rc = endpoint_load(file, NULL, &endpoint, &list);
	for (const struct diagnostic *entry = list.first; entry != NULL; entry = entry->next)
		if (!entry->warning)
			fprintf(stderr, "%s\n", diagnostic_text(ctl->arena, entry));
	if (rc == RC_OK)
		return endpoint;
	if (list.errors == 0)
		ctl_cannot("%s: cannot be loaded: %s", file, rc_name(rc));
	ctl->status = rc == RC_INVALID ? CTL_NO : CTL_CANNOT;
	return NULL;
}

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

static enum ctl_status lint(struct ctl *ctl, const struct endpoint_bounds *bounds)
{
	struct lint_count count = {.bounds = bounds};
	enum rc rc = RC_OK, each;

	for (unsigned i = 0; i < ctl->operand_count; i++) {
		each = lint_path(ctl->arena, ctl->operands[i], &count);
		rc = each != RC_OK ? each : rc;
	}
	printf("%u file%s: %u error%s, %u warning%s\n", count.files, plural(count.files), count.errors, plural(count.errors), count.warnings,
	       plural(count.warnings));
	if (rc != RC_OK)
		return CTL_CANNOT;
	return count.errors == 0 ? CTL_DONE : CTL_NO;
}

enum ctl_status lint_run(struct ctl *ctl)
{
	const char *config = NULL;
	const struct ctl_option options[] = {
		{"config", "FILE", "a pool's settings: hold the files to what it lets a document root do", &config, NULL}};
	struct endpoint_bounds bounds;
	struct settings settings;
	enum ctl_status status;

	if (!ctl_options(ctl, options, COUNT_OF(options), 1, (unsigned)-1))
		return ctl->status;
	if (config == NULL)
		return lint(ctl, NULL);
	settings_init(&settings);
	status = ctl_settings(config, &settings);
	bounds = endpoint_bounds_of(&settings);
	if (status == CTL_DONE)
		status = lint(ctl, &bounds);
	settings_free(&settings);
	return status;
}
