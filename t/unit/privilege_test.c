/* Who the children run as, and what that must not take back. */
#include <check.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/secret.h"
#include "daemon/privilege.h"
#include "unit.h"

static void be_open(void)
{
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 1);
}

static void assert_closed(void)
{
	struct rlimit core;

	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &core), 0);
	ck_assert(core.rlim_cur == 0 && core.rlim_max == 0);
}

START_TEST(secrets_are_kept)
{
	be_open();
	ck_assert_int_eq(secret_keep(), RC_OK);
	assert_closed();
}
END_TEST

/* The kernel makes a process that changes its user what fs.suid_dumpable says: 0 here or anything elsewhere, which the test cannot choose. */
START_TEST(they_are_kept_after_the_change_of_user)
{
	struct identity nobody = {.drops = geteuid() == 0, .uid = 65534, .gid = 65534};

	ck_assert_int_eq(secret_keep(), RC_OK);
	be_open();
	ck_assert_int_eq(privilege_drop(&nobody), RC_OK);
	assert_closed();
	if (nobody.drops)
		ck_assert(getuid() == 65534 && geteuid() == 65534 && getgid() == 65534);
}
END_TEST

/* By its name, which may have groups of its own, or by its number alone. */
START_TEST(no_group_of_roots_is_kept)
{
	struct identity nobody = {.drops = true, .uid = 65534, .gid = 65534};
	const gid_t roots[] = {0, 4242};
	gid_t left[64];
	int count;

	if (geteuid() != 0)
		return; /* root alone has any to lose */
	if (_i == 1)
		strcpy(nobody.user, "nobody");
	ck_assert_int_eq(setgroups(COUNT_OF(roots), roots), 0);
	ck_assert_int_eq(privilege_drop(&nobody), RC_OK);
	count = getgroups(COUNT_OF(left), left);
	ck_assert_int_ge(count, 1);
	for (int i = 0; i < count; i++)
		ck_assert(left[i] != 0 && left[i] != 4242);
}
END_TEST

START_TEST(they_are_kept_where_nobody_changes)
{
	struct identity same = {.uid = geteuid(), .gid = getegid()};

	ck_assert_int_eq(secret_keep(), RC_OK);
	be_open();
	ck_assert_int_eq(privilege_drop(&same), RC_OK);
	assert_closed();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("privilege");
	TCase *tests = tcase_create("privilege");

	tcase_add_test(tests, secrets_are_kept);
	tcase_add_test(tests, they_are_kept_after_the_change_of_user);
	tcase_add_test(tests, they_are_kept_where_nobody_changes);
	tcase_add_loop_test(tests, no_group_of_roots_is_kept, 0, 2);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
