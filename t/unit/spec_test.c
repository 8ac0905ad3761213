/*
 * spec_test.c - the cases of Dotprompt's own specification that speak of messages, from the directory that DOTPROMPT_SPEC names.
 *
 * Each .yaml file there holds suites: a template, perhaps partials and data for all of the suite's tests, and tests with data and the messages
 * they expect. A case goes the way an endpoint goes: as files in a directory, loaded and rendered. Cases about schemas are schema tests' matter.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "port/yaml.h"
#include "prompt/endpoint.h"

#define FILE_MAX (1u << 20)
#define PATH_SIZE 4096

static unsigned cases, failures, left_out;
static char directory[] = "/tmp/pf-spec-XXXXXX";

static void report(bool ok, const char *file, const char *suite, const char *test, const char *detail)
{
	failures += !ok;
	printf("%sok %u - %s: %s: %s\n", ok ? "" : "not ", ++cases, file, suite, test);
	if (detail != NULL)
		printf("# %s\n", detail);
}

static void leave_out(const char *file, const char *suite, const char *test, const char *why)
{
	left_out++;
	printf("# left out: %s: %s: %s: %s\n", file, suite, test, why);
}

static bool write_file(const char *name, const struct value *text)
{
	char path[PATH_SIZE];
	FILE *out;
	bool ok;

	snprintf(path, sizeof path, "%s/%s.prompt", directory, name);
	out = fopen(path, "w");
	if (out == NULL)
		return false;
	ok = fwrite(text->u.string.text, 1, text->u.string.len, out) == text->u.string.len;
	return fclose(out) == 0 && ok;
}

static bool write_partials(const struct value *partials)
{
	char name[256];

	for (size_t i = 0; partials != NULL && i < partials->u.object.count; i++) {
		const struct value_member *member = &partials->u.object.members[i];

		snprintf(name, sizeof name, "_%s", member->key);
		if (member->value->type != VALUE_STRING || !write_file(name, member->value))
			return false;
	}
	return true;
}

static void remove_files(void)
{
	DIR *dir = opendir(directory);
	char path[PATH_SIZE];

	for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
		snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
}

/* Members of `under`, with those of `over` before them. */
static struct value *merge(struct arena *arena, const struct value *under, const struct value *over)
{
	const struct value *both[] = {under, over};
	struct value *merged = value_object(arena);

	for (size_t n = 0; n < COUNT_OF(both); n++) {
		for (size_t i = 0; both[n] != NULL && both[n]->type == VALUE_OBJECT && i < both[n]->u.object.count; i++) {
			const struct value_member *member = &both[n]->u.object.members[i];

			if (value_set(arena, merged, member->key, member->key_len, member->value) != RC_OK)
				return NULL;
		}
	}
	return merged;
}

/* What the expected messages say, in the form of message_write; NULL where they hold more than text. */
static const char *expected_text(struct arena *arena, const struct value *expected)
{
	struct buf buf;

	buf_init(&buf, arena, FILE_MAX);
	buf_putc(&buf, '[');
	for (size_t i = 0; i < expected->u.array.count; i++) {
		const struct value *message = expected->u.array.items[i], *content = value_get(message, "content");
		struct buf text;

		buf_init(&text, arena, FILE_MAX);
		for (size_t j = 0; content != NULL && content->type == VALUE_ARRAY && j < content->u.array.count; j++) {
			if (value_get(content->u.array.items[j], "media") != NULL)
				return NULL;
			buf_puts(&text, value_text(value_get(content->u.array.items[j], "text"), ""));
		}
		buf_printf(&buf, "%s{\"role\":\"%s\",\"content\":", i == 0 ? "" : ",", value_text(value_get(message, "role"), "?"));
		buf_json_string(&buf, buf_text(&text), text.len);
		buf_putc(&buf, '}');
	}
	buf_putc(&buf, ']');
	return buf_text(&buf);
}

static const char *render(struct arena *arena, const struct value *data, const struct value *standard)
{
	char path[PATH_SIZE];
	const struct value *turns = value_get(data, "messages");
	struct template_data given = {.context = value_get(data, "context")};
	struct messages history = {.items = NULL}, messages;
	struct endpoint *endpoint;
	struct diagnostics list;
	const char *reason = "out of memory";
	struct buf buf;
	enum rc rc;

	diagnostics_init(&list, arena, path);
	snprintf(path, sizeof path, "%s/case.prompt", directory);
	if (endpoint_load(path, NULL, &endpoint, &list) != RC_OK)
		return list.first == NULL ? "it does not load" : diagnostic_text(arena, list.first);
	buf_init(&buf, arena, FILE_MAX);
	rc = turns == NULL ? RC_OK : message_read(arena, turns, &history, &reason);
	if (rc == RC_OK) {
		given.input = endpoint_input(endpoint, arena, merge(arena, standard, value_get(data, "input")));
		given.history = &history;
		rc = endpoint_render(endpoint, arena, &given, &messages);
		reason = rc_name(rc);
	}
	if (rc == RC_OK)
		rc = message_write(&buf, &messages, false);
	endpoint_free(endpoint);
	return rc == RC_OK ? buf_text(&buf) : reason;
}

static void run_case(struct arena *arena, const char *file, const struct value *suite, const struct value *test)
{
	const char *name = value_text(value_get(suite, "name"), "?"), *desc = value_text(value_get(test, "desc"), "?"), *wanted, *got;
	const struct value *expected = value_get(value_get(test, "expect"), "messages"), *template = value_get(suite, "template");
	const struct value *data = merge(arena, value_get(suite, "data"), value_get(test, "data"));

	if (expected == NULL || expected->type != VALUE_ARRAY || template == NULL || template->type != VALUE_STRING)
		return;
	wanted = expected_text(arena, expected);
	if (wanted == NULL || value_get(suite, "schemas") != NULL) {
		leave_out(file, name, desc, wanted == NULL ? "messages here are text, no media" : "it is about schemas by name");
		return;
	}
	if (!write_partials(value_get(suite, "partials")) || !write_partials(value_get(suite, "resolverPartials")) || !write_file("case", template)) {
		report(false, file, name, desc, "cannot write its files");
		return;
	}
	got = render(arena, data, value_get(value_get(value_get(test, "options"), "input"), "default"));
	remove_files();
	if (str_eq(wanted, got))
		report(true, file, name, desc, NULL);
	else
		report(false, file, name, desc, arena_printf(arena, "expected %s\n# got      %s", wanted, got));
}

static void run_suites(struct arena *arena, const char *file, const struct value *suites)
{
	for (size_t i = 0; suites->type == VALUE_ARRAY && i < suites->u.array.count; i++) {
		const struct value *tests = value_get(suites->u.array.items[i], "tests");

		for (size_t j = 0; tests != NULL && tests->type == VALUE_ARRAY && j < tests->u.array.count; j++)
			run_case(arena, file, suites->u.array.items[i], tests->u.array.items[j]);
	}
}

static void run_file(const char *path, const char *name)
{
	struct arena *arena = arena_new(256u << 20);
	char *text = arena_alloc(arena, FILE_MAX);
	FILE *in = fopen(path, "r");
	struct yaml_error error = {.reason = "cannot be read"};
	struct value *suites;
	size_t n;

	if (in != NULL && text != NULL) {
		n = fread(text, 1, FILE_MAX, in);
		if (yaml_parse(arena, text, n, &suites, &error) == RC_OK)
			run_suites(arena, name, suites);
		else
			report(false, name, "the file", error.reason, NULL);
	}
	if (in != NULL)
		fclose(in);
	arena_free(arena);
}

/* `name` is the path within the specification, "" at its top. */
static void run_directory(const char *path, const char *name)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		const char *entry = entries[i]->d_name, *dot = strrchr(entry, '.');
		char inner[PATH_SIZE], label[PATH_SIZE];
		struct stat st;

		snprintf(inner, sizeof inner, "%s/%s", path, entry);
		snprintf(label, sizeof label, "%s%s%s", name, *name == '\0' ? "" : "/", entry);
		if (entry[0] != '.' && stat(inner, &st) == 0 && S_ISDIR(st.st_mode))
			run_directory(inner, label);
		else if (str_eq(dot, ".yaml") || str_eq(dot, ".yml"))
			run_file(inner, label);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

int main(void)
{
	const char *spec = getenv("DOTPROMPT_SPEC");

	if (spec == NULL || *spec == '\0') {
		puts("1..0 # SKIP DOTPROMPT_SPEC is not set: it names the directory of Dotprompt's specification");
		return 0;
	}
	if (mkdtemp(directory) == NULL) {
		puts("Bail out! no temporary directory");
		return 1;
	}
	run_directory(spec, "");
	rmdir(directory);
	if (cases == 0)
		report(false, spec, "the directory", "has no case with messages", NULL);
	printf("1..%u\n# %u cases, %u failed, %u left out\n", cases, cases, failures, left_out);
	return failures == 0 ? 0 : 1;
}
