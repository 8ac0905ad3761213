/*
 * janitor_test.c - the master's end of the janitor: when it is started again, that it ends when it is asked to or left alone and not by what ends the others,
 * and what its end says. The database is one that nobody can reach.
 */
#include "daemon/janitor.h"

#include <check.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/child.h"
#include "unit.h"

static struct settings settings = {
	.database = "host=/nowhere", .database_connect_timeout = 1000, .database_statement_timeout = 1000, .database_retry = 1, .janitor_interval = 3600000};
static const struct roster roster = {.directory = -1};
static const struct identity identity;
static struct janitor janitor;

/* As the master has them, before it has children. */
static void set_up(void)
{
	sigset_t signals;

	child_signals(&signals);
	ck_assert_int_eq(sigprocmask(SIG_SETMASK, &signals, NULL), 0);
	ck_assert_int_eq(janitor_open(&janitor, &roster), RC_OK);
}

static void start(void)
{
	janitor_start(&janitor, &settings, &identity, NULL, 0);
}

static int ended(void)
{
	int status = -1;

	ck_assert_int_gt(janitor.pid, 0);
	ck_assert_int_eq(waitpid(janitor.pid, &status, 0), janitor.pid);
	janitor_ended(&janitor, status);
	ck_assert_int_eq(janitor.pid, 0);
	return status;
}

/* Ends as one that has lived for next to nothing, however long this test is held up. */
static int64_t die_young(void)
{
	int64_t now = clock_us();

	janitor.started = now + 60000000;
	janitor_ended(&janitor, SIGKILL);
	return janitor.due - now;
}

/* Short lives in a row are followed by longer and longer pauses; asked for, an end is no reason for one. */
START_TEST(pauses_where_it_keeps_ending)
{
	die_young();
	die_young();
	ck_assert_int_ge(die_young(), 200000);
	janitor.due = INT64_MAX;
	start();
	ck_assert_int_eq(janitor.pid, 0);

	janitor.restarting = true;
	janitor_ended(&janitor, 0);
	ck_assert_int_le(janitor.due, clock_us());
	ck_assert_int_ge(die_young(), 400000);
}
END_TEST

START_TEST(counts_its_life_from_its_start)
{
	int64_t before = clock_us();

	start();
	ck_assert_int_ge(janitor.started, before);
	ck_assert_int_le(janitor.started, clock_us());
	janitor_dismiss(&janitor);
	ck_assert_int_eq(ended(), 0);
}
END_TEST

START_TEST(ends_when_it_is_dismissed)
{
	start();
	for (int i = 0; i < 2; i++) { /* once more: there is one already */
		pid_t pid = janitor.pid;

		start();
		ck_assert_int_eq(janitor.pid, pid);
	}
	ck_assert_int_eq(kill(janitor.pid, SIGTERM), 0);
	ck_assert_int_eq(kill(janitor.pid, SIGINT), 0);
	ck_assert_int_eq(kill(janitor.pid, SIGQUIT), 0);
	janitor_dismiss(&janitor);
	ck_assert_int_eq(ended(), 0);
	ck_assert_uint_eq(janitor.quick_ends, 0);
	start();
	ck_assert_int_eq(janitor.pid, 0);
}
END_TEST

/* Names told before it lives, and while it does. */
START_TEST(says_what_it_leaves)
{
	janitor_tell(&janitor, "host:1:2");
	start();
	janitor_tell(&janitor, "host:3:4");
	janitor_dismiss(&janitor);
	ck_assert_int_eq(WEXITSTATUS(ended()), CHILD_UNFINISHED);
}
END_TEST

/* It has not ended for good: names go on to the next one. */
START_TEST(is_started_anew)
{
	start();
	janitor_restart(&janitor);
	ck_assert(janitor.restarting);
	ck_assert_int_eq(ended(), 0);
	ck_assert(!janitor.restarting);
	ck_assert_uint_eq(janitor.quick_ends, 0);
	janitor_restart(&janitor);
	ck_assert(!janitor.restarting); /* none is there to be asked */
	start();
	janitor_tell(&janitor, "host:1:2");
	janitor_dismiss(&janitor);
	ck_assert_int_eq(WEXITSTATUS(ended()), CHILD_UNFINISHED);
}
END_TEST

static int log_end;

static void read_log(void)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	log_open(fds[1], LOG_INFO_);
	log_end = fds[0];
}

/* Reads the log until it says this. */
static void await_line(const char *words)
{
	static char text[65536];
	static size_t n;

	while (strstr(text, words) == NULL) {
		ssize_t got = read(log_end, text + n, sizeof text - 1 - n);

		ck_assert_msg(got > 0, "%s", text);
		n += (size_t)got;
	}
}

/* It takes what it has room for, and the rest when it has room again. */
START_TEST(is_told_of_many)
{
	char name[32];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "host:%d:%d", i, i);
		janitor_tell(&janitor, name);
	}
	read_log();
	start();
	janitor_restart(&janitor);
	ck_assert_int_eq(WEXITSTATUS(ended()), CHILD_UNFINISHED);
	await_line("\"256 dead workers' requests are left");
	start();
	janitor_restart(&janitor);
	ck_assert_int_eq(WEXITSTATUS(ended()), CHILD_UNFINISHED);
	await_line("\"44 dead workers' requests are left");
	start();
	janitor_dismiss(&janitor);
	ck_assert_int_eq(ended(), 0);
}
END_TEST

/* Three hundred names on the roster, of a process that has ended. */
static void fill_roster(const struct roster *full)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		char name[32];

		for (int i = 0; i < 300; i++) {
			snprintf(name, sizeof name, "host:%d:%d", i, i);
			roster_enter(full, name);
		}
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(finds_more_on_the_roster_than_it_has_room_for)
{
	char directory[] = "/tmp/pf-janitor-XXXXXX", pid_file[64], command[64];
	struct roster full;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(pid_file, sizeof pid_file, "%s/pid", directory);
	roster_open(&full, pid_file);
	fill_roster(&full);
	janitor.roster = &full;
	read_log();
	start();
	await_line("cannot connect");
	janitor_dismiss(&janitor);
	await_line("256 dead workers' requests are left");
	ck_assert_int_eq(WEXITSTATUS(ended()), CHILD_UNFINISHED);
	snprintf(command, sizeof command, "rm -r %s", directory);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("janitor");
	TCase *tests = tcase_create("janitor");

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, pauses_where_it_keeps_ending);
	tcase_add_test(tests, counts_its_life_from_its_start);
	tcase_add_test(tests, ends_when_it_is_dismissed);
	tcase_add_test(tests, says_what_it_leaves);
	tcase_add_test(tests, is_started_anew);
	tcase_add_test(tests, is_told_of_many);
	tcase_add_test(tests, finds_more_on_the_roster_than_it_has_room_for);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
