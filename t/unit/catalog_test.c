/*
 * catalog_test.c - endpoints follow their files: changed, added, removed, broken, swapped; with inotify and without, and from many threads.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "prompt/catalog.h"
#include "unit.h"

#define NAME "/tmp/pf-catalog-XXXXXX"

static char root[sizeof NAME];
static struct catalog *catalog;
static unsigned complaint_count, recoveries;
static char last[4096];

/* Paths in the test's own directory, a few at a time. */
static const char *path(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *out = paths[next++ % 8];

	snprintf(out, sizeof paths[0], "%s/%s", root, name);
	return out;
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(path(name), "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_int_ge(fputs(text, out), 0);
	ck_assert_int_eq(fclose(out), 0);
}

static void report(void *user, const char *file, const struct diagnostics *list)
{
	struct arena *arena = arena_new(1u << 20);

	ck_assert_ptr_eq(user, root);
	if (list == NULL) {
		recoveries++;
	} else {
		complaint_count++;
		snprintf(last, sizeof last, "%s", diagnostic_text(arena, list->first));
	}
	ck_assert_ptr_nonnull(file);
	arena_free(arena);
}

static enum rc start(const char *prefix)
{
	struct catalog_settings settings = {.directory = path("pool/"), .prefix = prefix, .report = report, .user = root};

	return catalog_new(&settings, &catalog);
}

static void set_up(void)
{
	strcpy(root, NAME);
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(mkdir(path("pool"), 0755), 0);
	ck_assert_int_eq(mkdir(path("www"), 0755), 0);
	put("pool/a.prompt", "one");
	put("pool/_part.prompt", "part");
	put("pool/notes.txt", "x");
	put("pool/.hidden.prompt", "x");
	ck_assert_int_eq(start("/api/ai"), RC_OK);
}

/* The same with nothing that watches: the C library's function is overlaid. */

static bool blind;

int inotify_init1(int flags)
{
	if (!blind)
		return (int)syscall(SYS_inotify_init1, flags);
	errno = ENOSYS;
	return -1;
}

/* The files of one name fail to open as they do when a process has too many open: overlaid likewise. */

static const char *unopened = "";

int open(const char *file, int flags, ...)
{
	size_t n = strlen(file), name = strlen(unopened);

	if (name == 0 || n < name || !str_eq(file + n - name, unopened))
		return (int)syscall(SYS_openat, AT_FDCWD, file, flags, 0);
	errno = EMFILE;
	return -1;
}

/* Every look at a file's state is counted: the C library's function is overlaid here as well. */

static unsigned looks;

int stat(const char *restrict file, struct stat *restrict st)
{
	looks++;
	return fstatat(AT_FDCWD, file, st, 0);
}

static void set_up_blind(void)
{
	blind = true;
	set_up();
}

static void tear_down(void)
{
	char command[100];

	catalog_free(catalog);
	snprintf(command, sizeof command, "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

static enum rc text_of(const char *url, const char *script, char *out, size_t size)
{
	struct template_data data = {.input = NULL};
	const struct endpoint *endpoint;
	struct arena *arena;
	struct messages messages;
	enum rc rc = catalog_find(catalog, url, script, &endpoint);

	if (rc != RC_OK)
		return rc;
	arena = arena_new(1u << 20);
	rc = endpoint_render(endpoint, arena, &data, &messages);
	if (rc == RC_OK)
		snprintf(out, size, "%s", messages.count == 0 ? "" : messages.items[0].text);
	arena_free(arena);
	catalog_release(catalog, endpoint);
	return rc;
}

/* "one", or the name of what came of it. */
static const char *get(const char *url, const char *script)
{
	static char text[256];
	enum rc rc = text_of(url, script, text, sizeof text);

	return rc == RC_OK ? text : rc_name(rc);
}

static void counts(unsigned serving, unsigned broken)
{
	unsigned s, b;

	catalog_count(catalog, &s, &b);
	ck_assert_uint_eq(s, serving);
	ck_assert_uint_eq(b, broken);
}

START_TEST(finds_by_path)
{
	ck_assert_str_eq(get("/api/ai/a", NULL), "one");
	ck_assert_str_eq(get("/api/ai/a", "/srv/www/api/ai/a"), "one");
	ck_assert_str_eq(get("/api/ai/b", NULL), "not found");
	ck_assert_str_eq(get("/api/ai/", NULL), "not found");
	ck_assert_str_eq(get("/api/ai", NULL), "not found");
	ck_assert_str_eq(get("/api/aia", NULL), "not found");
	ck_assert_str_eq(get("/", NULL), "not found");
	ck_assert_str_eq(get("/api/ai/_part", NULL), "not found");
	ck_assert_str_eq(get("/api/ai/.hidden", NULL), "not found");
	ck_assert_str_eq(get("/api/ai/../pool/a", NULL), "not found");
	ck_assert_str_eq(get("/api/ai/notes.txt", NULL), "not found");
	counts(1, 0);
}
END_TEST

START_TEST(follows_changes)
{
	put("pool/a.prompt", "two");
	ck_assert_str_eq(get("/api/ai/a", NULL), "two");
	put("pool/new.prompt", "three");
	rename(path("pool/new.prompt"), path("pool/a.prompt"));
	ck_assert_str_eq(get("/api/ai/a", NULL), "three");
	ck_assert_str_eq(get("/api/ai/new", NULL), "not found");
	put("pool/b.prompt", "new");
	ck_assert_str_eq(get("/api/ai/b", NULL), "new");
	put("pool/c.prompt", "never asked for");
	counts(3, 0);
	unlink(path("pool/a.prompt"));
	ck_assert_str_eq(get("/api/ai/a", NULL), "not found");
	unlink(path("pool/c.prompt"));
	counts(1, 0);
	put("pool/a.prompt", "back");
	ck_assert_str_eq(get("/api/ai/a", NULL), "back");
	ck_assert_uint_eq(complaint_count, 0);
}
END_TEST

START_TEST(follows_partials)
{
	put("pool/p.prompt", "{{> part}}");
	ck_assert_str_eq(get("/api/ai/p", NULL), "part");
	put("pool/_part.prompt", "other");
	ck_assert_str_eq(get("/api/ai/p", NULL), "other");
	unlink(path("pool/_part.prompt"));
	ck_assert_str_eq(get("/api/ai/p", NULL), "other");
	ck_assert_uint_eq(complaint_count, 1);
	put("pool/_part.prompt", "again");
	ck_assert_str_eq(get("/api/ai/p", NULL), "again");
	ck_assert_uint_eq(recoveries, 1);
}
END_TEST

/* The kernel tells of no change then: the next request tries again. */
START_TEST(tries_again_what_could_not_be_read)
{
	static const char *const files[] = {"/p.prompt", "/_part.prompt"};

	for (unsigned i = 0; i < COUNT_OF(files); i++) {
		put("pool/p.prompt", "{{> part}}");
		unopened = files[i];
		ck_assert_str_eq(get("/api/ai/p", NULL), i == 0 ? "invalid" : "part");
		ck_assert_str_eq(get("/api/ai/p", NULL), i == 0 ? "invalid" : "part");
		ck_assert_uint_eq(complaint_count, i + 1);
		ck_assert_ptr_nonnull(strstr(last, "Too many open files"));
		counts(i == 0 ? 1 : 2, 1);
		unopened = "";
		ck_assert_str_eq(get("/api/ai/p", NULL), "part");
		ck_assert_uint_eq(recoveries, i + 1);
		counts(2, 0);
	}
}
END_TEST

START_TEST(keeps_the_last_good_one)
{
	put("pool/a.prompt", "{{#if}}");
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(get("/api/ai/a", NULL), "one");
	ck_assert_uint_eq(complaint_count, 1);
	ck_assert_ptr_nonnull(strstr(last, "pool/a.prompt:1:"));
	counts(1, 1);
	put("pool/a.prompt", "{{#if}}"); /* saved again as it was */
	ck_assert_str_eq(get("/api/ai/a", NULL), "one");
	ck_assert_uint_eq(complaint_count, 1);
	put("pool/a.prompt", "\n{{#unless}}");
	ck_assert_str_eq(get("/api/ai/a", NULL), "one");
	ck_assert_uint_eq(complaint_count, 2);
	put("pool/a.prompt", "good");
	ck_assert_str_eq(get("/api/ai/a", NULL), "good");
	ck_assert_uint_eq(recoveries, 1);
	counts(1, 0);
	put("pool/b.prompt", "{{#if}}");
	ck_assert_str_eq(get("/api/ai/b", NULL), "invalid");
	counts(1, 1);
}
END_TEST

START_TEST(serves_document_roots)
{
	char script[300];

	put("www/faq.prompt", "faq");
	ck_assert_str_eq(get("/faq.prompt", path("www/faq.prompt")), "faq");
	snprintf(script, sizeof script, "proxy:fcgi://127.0.0.1:9000%s", path("www/faq.prompt"));
	ck_assert_str_eq(get("/faq.prompt", script), "faq");
	snprintf(script, sizeof script, "proxy:fcgi://localhost%s?x=y", path("www/faq.prompt"));
	ck_assert_str_eq(get("/faq.prompt?x=y", script), "faq");
	put("www/faq.prompt", "more");
	ck_assert_str_eq(get("/faq.prompt", path("www/faq.prompt")), "more");
	put("www/_p.prompt", "x");
	put("www/.p.prompt", "x");
	ck_assert_str_eq(get("/_p.prompt", path("www/_p.prompt")), "not found");
	ck_assert_str_eq(get("/.p.prompt", path("www/.p.prompt")), "not found");
	ck_assert_str_eq(get("/none.prompt", path("www/none.prompt")), "not found");
	ck_assert_str_eq(get("/none.prompt", path("none/none.prompt")), "not found");
	ck_assert_str_eq(get("/faq.prompt", path("pool/../www/faq.prompt")), "not found");
	ck_assert_str_eq(get("/faq.prompt", "www/faq.prompt"), "not found");
	ck_assert_str_eq(get("/faq.prompt", "proxy:fcgi:"), "not found");
	ck_assert_str_eq(get("/faq.prompt", ""), "not found");
	counts(2, 0);
	unlink(path("www/faq.prompt"));
	ck_assert_str_eq(get("/faq.prompt", path("www/faq.prompt")), "not found");
	counts(1, 0);
}
END_TEST

START_TEST(follows_swapped_directories)
{
	ck_assert_int_eq(mkdir(path("pool2"), 0755), 0);
	put("pool2/a.prompt", "swapped");
	put("pool2/z.prompt", "z");
	rename(path("pool"), path("pool1"));
	ck_assert_str_eq(get("/api/ai/a", NULL), "not found");
	counts(0, 0);
	rename(path("pool2"), path("pool"));
	ck_assert_str_eq(get("/api/ai/a", NULL), "swapped");
	counts(2, 0);
	put("pool/a.prompt", "and followed");
	ck_assert_str_eq(get("/api/ai/a", NULL), "and followed");
}
END_TEST

START_TEST(follows_linked_directories)
{
	ck_assert_int_eq(mkdir(path("r1"), 0755), 0);
	ck_assert_int_eq(mkdir(path("r2"), 0755), 0);
	put("r1/x.prompt", "release 1");
	put("r2/x.prompt", "release 2");
	ck_assert_int_eq(symlink("r1", path("current")), 0);
	ck_assert_str_eq(get("/x.prompt", path("current/x.prompt")), "release 1");
	ck_assert_str_eq(get("/x.prompt", path("r1/x.prompt")), "release 1"); /* one directory by two names */
	put("r1/x.prompt", "release 1.1");
	ck_assert_str_eq(get("/x.prompt", path("current/x.prompt")), "release 1.1");
	ck_assert_str_eq(get("/x.prompt", path("r1/x.prompt")), "release 1.1");
	ck_assert_int_eq(symlink("r2", path("next")), 0);
	rename(path("next"), path("current"));
	ck_assert_str_eq(get("/x.prompt", path("current/x.prompt")), "release 2");
	put("r1/x.prompt", "release 1.2");
	ck_assert_str_eq(get("/x.prompt", path("r1/x.prompt")), "release 1.2");
}
END_TEST

/* A symbolic link, and a second name: both are written elsewhere, in a directory that nobody watches. */
START_TEST(follows_files_that_are_written_elsewhere)
{
	static int (*const ways[])(const char *, const char *) = {symlink, link};

	put("elsewhere", "there");
	ck_assert_int_eq(ways[_i](path("elsewhere"), path("pool/l.prompt")), 0);
	ck_assert_str_eq(get("/api/ai/l", NULL), "there");
	put("elsewhere", "changed there");
	ck_assert_str_eq(get("/api/ai/l", NULL), "changed there");
}
END_TEST

/* The second name comes when the file is loaded already, and nothing in its directory tells of it. */
START_TEST(follows_files_that_get_a_second_name)
{
	static const char *const names[] = {"pool/a.prompt", "pool/_part.prompt"};

	put("pool/_part.prompt", "part");
	put("pool/p.prompt", "{{> part}}");
	ck_assert_str_eq(get("/api/ai/p", NULL), "part");
	ck_assert_int_eq(link(path(names[_i]), path("elsewhere")), 0);
	put("elsewhere", "changed there");
	ck_assert_str_eq(get(_i == 0 ? "/api/ai/a" : "/api/ai/p", NULL), "changed there");
	put("elsewhere", "changed again");
	ck_assert_str_eq(get(_i == 0 ? "/api/ai/a" : "/api/ai/p", NULL), "changed again");
}
END_TEST

START_TEST(follows_what_is_moved_and_linked_into_a_directory)
{
	put("elsewhere", "moved");
	ck_assert_int_eq(rename(path("elsewhere"), path("pool/a.prompt")), 0);
	ck_assert_str_eq(get("/api/ai/a", NULL), "moved");
	ck_assert_int_eq(link(path("pool/a.prompt"), path("pool/b2.prompt")), 0);
	ck_assert_str_eq(get("/api/ai/b2", NULL), "moved");
	put("pool/b2.prompt", "written by its other name");
	ck_assert_str_eq(get("/api/ai/a", NULL), "written by its other name");
	unlink(path("pool/a.prompt"));
	put("elsewhere", "linked");
	ck_assert_int_eq(link(path("elsewhere"), path("pool/a.prompt")), 0);
	ck_assert_str_eq(get("/api/ai/a", NULL), "linked");
}
END_TEST

/* In a mount namespace of the test's own, where it may have one. */
START_TEST(follows_what_is_mounted_over_a_file)
{
	put("elsewhere", "mounted");
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		fprintf(stderr, "SKIP: what is mounted over a file: no mount namespace may be had here (%s)\n", strerror(errno));
		return;
	}
	ck_assert_str_eq(get("/api/ai/a", NULL), "one");
	ck_assert_int_eq(mount(path("elsewhere"), path("pool/a.prompt"), NULL, MS_BIND, NULL), 0);
	ck_assert_str_eq(get("/api/ai/a", NULL), "mounted");
	put("elsewhere", "written below");
	ck_assert_str_eq(get("/api/ai/a", NULL), "written below");
	ck_assert_int_eq(umount(path("pool/a.prompt")), 0);
	ck_assert_str_eq(get("/api/ai/a", NULL), "one");
}
END_TEST

START_TEST(holds_what_is_in_use)
{
	const struct endpoint *old, *new;

	ck_assert_int_eq(catalog_find(catalog, "/api/ai/a", NULL, &old), RC_OK);
	put("pool/a.prompt", "two");
	ck_assert_int_eq(catalog_find(catalog, "/api/ai/a", NULL, &new), RC_OK);
	ck_assert_ptr_ne(old, new);
	ck_assert_str_ne(old->version, new->version);
	unlink(path("pool/a.prompt"));
	ck_assert_str_eq(get("/api/ai/a", NULL), "not found");
	ck_assert_str_eq(old->name, "a");
	ck_assert_str_eq(new->name, "a");
	catalog_release(catalog, old);
	catalog_release(catalog, new);
}
END_TEST

START_TEST(bounds_the_guests)
{
	char name[32];

	for (int i = 0; i < 1100; i++) {
		snprintf(name, sizeof name, "www/g%d.prompt", i);
		put(name, "guest");
		ck_assert_str_eq(get("/", path(name)), "guest");
	}
	counts(1024 + 1, 0);
	ck_assert_str_eq(get("/", path("www/g0.prompt")), "guest");
	counts(1024 + 1, 0);
}
END_TEST

START_TEST(does_without_a_pool)
{
	struct catalog_settings settings = {.directory = NULL, .prefix = "/api/ai"};
	struct catalog *bare;
	const struct endpoint *endpoint;

	ck_assert_int_eq(catalog_new(&settings, &bare), RC_OK);
	ck_assert_int_eq(catalog_find(bare, "/api/ai/a", NULL, &endpoint), RC_NOTFOUND);
	put("www/x.prompt", "x");
	ck_assert_int_eq(catalog_find(bare, "/x.prompt", path("www/x.prompt"), &endpoint), RC_OK);
	catalog_release(bare, endpoint);
	catalog_free(bare);
	settings.directory = path("none");
	ck_assert_int_eq(catalog_new(&settings, &bare), RC_SYS);
	catalog_free(NULL);
}
END_TEST

/* However many files there are: a request looks at its directory and once at each of its own, and at nothing else. */
START_TEST(looks_at_its_own_once_a_request)
{
	char name[32];

	put("www/_deep.prompt", "deep");
	put("www/g.prompt", "good {{> deep}}");
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "pool/f%u.prompt", i);
		put(name, "many");
		snprintf(name, sizeof name, "/api/ai/f%u", i);
		ck_assert_str_eq(get(name, NULL), "many");
	}
	ck_assert_str_eq(get("/", path("www/g.prompt")), "good deep");
	looks = 0;
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_str_eq(get("/api/ai/f7", NULL), "many");
		ck_assert_str_eq(get("/", path("www/g.prompt")), "good deep");
	}
	ck_assert_uint_eq(looks, 500);
}
END_TEST

/* Two processes of a pool, as two catalogs with one shelf: what one saw whole, the other serves. */
START_TEST(shares_the_last_good_one)
{
	struct shelf *shelf = shelf_new();
	struct catalog_settings settings = {.directory = path("pool"), .prefix = "/api/ai", .report = report, .user = root, .shelf = shelf};
	struct catalog *first, *second, *usual = catalog;
	const struct shelf_complaint *complaints;
	struct arena *arena = arena_new(1u << 20);
	unsigned count;

	ck_assert_int_eq(catalog_new(&settings, &first), RC_OK);
	ck_assert_int_eq(catalog_new(&settings, &second), RC_OK);
	put("www/_deep.prompt", "deep");
	put("www/g.prompt", "good {{> deep}}");
	catalog = first;
	ck_assert_str_eq(get("/", path("www/g.prompt")), "good deep");
	put("www/g.prompt", "bad {{nonsense 1}}");
	unlink(path("www/_deep.prompt"));
	catalog = second;
	ck_assert_str_eq(get("/", path("www/g.prompt")), "good deep");
	counts(2, 1);
	catalog = first;
	ck_assert_str_eq(get("/", path("www/g.prompt")), "good deep");
	ck_assert_uint_eq(complaint_count, 1);
	complaints = shelf_complaints(shelf, arena, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(complaints[0].file, path("www/g.prompt"));
	ck_assert_str_eq(complaints[0].at, path("www/g.prompt"));
	ck_assert_uint_eq(complaints[0].line, 1);
	ck_assert_uint_eq(complaints[0].column, 7);
	ck_assert_ptr_nonnull(strstr(complaints[0].message, "unknown helper \"nonsense\""));
	ck_assert(complaints[0].serving);

	put("www/g.prompt", "better"); /* which the second one does not see */
	catalog = first;
	ck_assert_str_eq(get("/", path("www/g.prompt")), "better");
	put("www/g.prompt", "worse {{nonsense 1}}");
	catalog = second;
	ck_assert_str_eq(get("/", path("www/g.prompt")), "better");
	catalog = first;

	put("www/g.prompt", "mended"); /* and found to be so by one that was not asked for it */
	counts(2, 0);
	shelf_complaints(shelf, arena, &count);
	ck_assert_uint_eq(count, 0);
	ck_assert_uint_eq(recoveries, 2);
	put("www/never.prompt", "{{#if");
	ck_assert_str_eq(get("/", path("www/never.prompt")), "invalid");
	ck_assert(!shelf_complaints(shelf, arena, &count)[0].serving);
	unlink(path("www/never.prompt"));
	catalog = second;
	counts(2, 0);
	shelf_complaints(shelf, arena, &count);
	ck_assert_uint_eq(count, 0);

	unlink(path("www/g.prompt")); /* who takes a file away wants it gone: nothing of it comes back */
	ck_assert_str_eq(get("/", path("www/g.prompt")), "not found");
	put("www/g.prompt", "{{#if");
	ck_assert_str_eq(get("/", path("www/g.prompt")), "invalid");
	catalog_free(first);
	catalog_free(second);
	catalog = usual;
	arena_free(arena);
	shelf_free(shelf);
}
END_TEST

START_TEST(holds_guests_to_the_bounds)
{
	static const struct endpoint_bounds bounds = {.models = "openai/gpt-4o-mini", .max_tokens = 100};
	struct catalog_settings settings = {.directory = path("pool"), .prefix = "/api/ai", .bounds = &bounds};
	const char *text = "---\nmodel: openai/gpt-4.1\n---\nx";

	catalog_free(catalog);
	put("pool/b.prompt", text);
	put("www/b.prompt", text);
	put("www/c.prompt", "c");
	ck_assert_int_eq(catalog_new(&settings, &catalog), RC_OK);
	ck_assert_str_eq(get("/api/ai/b", NULL), "x");
	ck_assert_str_eq(get("/b.prompt", path("pool/b.prompt")), "x");
	ck_assert_str_eq(get("/b.prompt", path("www/b.prompt")), "invalid");
	ck_assert_str_eq(get("/c.prompt", path("www/c.prompt")), "c");
}
END_TEST

/* More than there is room for: the oldest versions go, nothing else does. */
START_TEST(the_shelf_is_bounded)
{
	static char big[1u << 20];
	struct shelf *shelf = shelf_new();
	struct endpoint_text text = {.name = "", .bytes = big, .len = sizeof big}, *found;
	struct arena *arena = arena_new(4u << 20);
	struct diagnostics list;
	unsigned count;

	memset(big, 'x', sizeof big);
	for (unsigned i = 0; i < 40; i++)
		shelf_keep(shelf, arena_printf(arena, "/f%u", i), &text, 1);
	ck_assert_int_eq(shelf_find(shelf, arena, "/f0", &found, &count), RC_NOTFOUND);
	ck_assert_int_eq(shelf_find(shelf, arena, "/f39", &found, &count), RC_OK);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(found[0].len, sizeof big);
	text.len = SIZE_MAX / 4;
	shelf_keep(shelf, "/huge", &text, 1);
	ck_assert_int_eq(shelf_find(shelf, arena, "/huge", &found, &count), RC_NOTFOUND);
	diagnostics_init(&list, arena, "x");
	diagnostics_error(&list, 1, 1, "hint", "wrong");
	for (unsigned i = 0; i < 100; i++)
		ck_assert(shelf_complain(shelf, arena_printf(arena, "/f%u", i), &list, false, false));
	ck_assert(!shelf_complain(shelf, "/f99", &list, false, false));
	ck_assert_str_eq(shelf_complaints(shelf, arena, &count)[63].message, "wrong [hint]");
	ck_assert_uint_eq(count, 64);
	diagnostics_init(&list, arena, "x");
	for (unsigned i = 0; i < SHELF_MESSAGE_SIZE; i++)
		memcpy(big + 2 * i, "é", sizeof "é");
	diagnostics_error(&list, 1, 1, NULL, "%s", big);
	ck_assert(shelf_complain(shelf, "/f99", &list, false, false));
	ck_assert_uint_eq(strlen(shelf_complaints(shelf, arena, &count)[63].message), SHELF_MESSAGE_SIZE - 2);
	ck_assert(!shelf_mend(shelf, "/f0"));
	ck_assert(shelf_mend(shelf, "/f99"));
	arena_free(arena);
	shelf_free(shelf);
	shelf_free(NULL);
}
END_TEST

static void keep_for_ever(struct shelf *shelf, const struct endpoint_text *text, int ready)
{
	if (write(ready, "x", 1) != 1)
		_exit(1);
	for (;;)
		shelf_keep(shelf, "/f", text, 1);
}

/* A process that dies at work on the shelf, as it is most of its time here, leaves it usable: what it held may be lost, nobody waits for it. */
START_TEST(survives_who_dies_at_it)
{
	static char big[256u << 10];
	struct shelf *shelf = shelf_new();
	struct endpoint_text text = {.name = "", .bytes = big, .len = sizeof big}, *found;
	struct arena *arena = arena_new(1u << 20);
	unsigned count;
	int ready[2];
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	for (unsigned round = 0; round < 20; round++) {
		pid_t child = fork();

		if (child == 0)
			keep_for_ever(shelf, &text, ready[1]);
		ck_assert_int_eq(read(ready[0], &byte, 1), 1);
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
		text.len = 3;
		shelf_keep(shelf, "/g", &text, 1);
		text.len = sizeof big;
		ck_assert_int_eq(shelf_find(shelf, arena, "/g", &found, &count), RC_OK);
		ck_assert_uint_eq(found[0].len, 3);
	}
	arena_free(arena);
	shelf_free(shelf);
}
END_TEST

/* Many readers while the file changes under them: each sees a whole version, and none an older one than was there before it asked. */

#define READERS 4
#define CHANGES 200

static atomic_int written;
static atomic_bool over;

static void *reader(void *unused)
{
	char text[64];

	(void)unused;
	while (!atomic_load(&over)) {
		int least = atomic_load(&written), seen = 0;

		if (text_of("/api/ai/a", NULL, text, sizeof text) != RC_OK || sscanf(text, "version %d.", &seen) != 1 || seen < least)
			return "wrong";
	}
	return NULL;
}

START_TEST(serves_threads)
{
	pthread_t threads[READERS];
	char text[64];
	void *wrong;

	put("pool/a.prompt", "version 0.");
	for (int i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, reader, NULL), 0);
	for (int i = 1; i <= CHANGES; i++) {
		snprintf(text, sizeof text, "version %d.", i);
		put("pool/next", text);
		rename(path("pool/next"), path("pool/a.prompt"));
		atomic_store(&written, i);
	}
	atomic_store(&over, true);
	for (int i = 0; i < READERS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
		ck_assert_ptr_null(wrong);
	}
}
END_TEST

static void add_all(TCase *tc)
{
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, finds_by_path);
	tcase_add_test(tc, follows_changes);
	tcase_add_test(tc, follows_partials);
	tcase_add_test(tc, tries_again_what_could_not_be_read);
	tcase_add_test(tc, keeps_the_last_good_one);
	tcase_add_test(tc, serves_document_roots);
	tcase_add_test(tc, follows_swapped_directories);
	tcase_add_test(tc, follows_linked_directories);
	tcase_add_loop_test(tc, follows_files_that_are_written_elsewhere, 0, 2);
	tcase_add_loop_test(tc, follows_files_that_get_a_second_name, 0, 2);
	tcase_add_test(tc, follows_what_is_moved_and_linked_into_a_directory);
	tcase_add_test(tc, follows_what_is_mounted_over_a_file);
	tcase_add_test(tc, holds_what_is_in_use);
	tcase_add_test(tc, bounds_the_guests);
	tcase_add_test(tc, does_without_a_pool);
	tcase_add_test(tc, shares_the_last_good_one);
	tcase_add_test(tc, holds_guests_to_the_bounds);
	tcase_add_test(tc, the_shelf_is_bounded);
	tcase_add_test(tc, serves_threads);
}

int main(void)
{
	Suite *suite = suite_create("catalog");
	TCase *watched = tcase_create("watched"), *unwatched = tcase_create("blind");

	tcase_add_checked_fixture(watched, set_up, tear_down);
	tcase_add_checked_fixture(unwatched, set_up_blind, tear_down);
	add_all(watched);
	tcase_add_test(watched, looks_at_its_own_once_a_request);
	tcase_add_test(watched, survives_who_dies_at_it);
	add_all(unwatched);
	suite_add_tcase(suite, watched);
	suite_add_tcase(suite, unwatched);
	return unit_run(suite);
}
