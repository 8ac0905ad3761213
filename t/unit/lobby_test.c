/*
 * lobby_test.c - which of the idle threads is called: none while enough wait, then the one that sat down last; all of them at the end. Nobody else gets up.
 */
#include "daemon/lobby.h"

#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "unit.h"

#define SITTERS 8
#define ROUNDS 20000

struct sitter {
	pthread_t id;
	struct lobby_seat seat;
	atomic_int state; /* 0 on its way in or sitting, 1 called, 2 sent away */
	unsigned turns;
};

static struct lobby lobby;
static struct sitter sitters[SITTERS];
static struct lobby_seat unused;
static atomic_uint inside;

static void fill(void)
{
	ck_assert_int_eq(lobby_open(&lobby), RC_OK);
	for (int i = 0; i < LOBBY_MOST; i++)
		ck_assert(lobby_enter(&lobby, &unused));
}

static void *enter_once(void *p)
{
	struct sitter *sitter = p;

	atomic_store(&sitter->state, lobby_enter(&lobby, &sitter->seat) ? 1 : 2);
	return NULL;
}

static struct lobby_seat *top(void)
{
	struct lobby_seat *seat;

	pthread_mutex_lock(&lobby.lock);
	seat = lobby.top;
	pthread_mutex_unlock(&lobby.lock);
	return seat;
}

static void sit_down(struct sitter *sitter)
{
	ck_assert_int_eq(lobby_seat_open(&sitter->seat), RC_OK);
	ck_assert_int_eq(pthread_create(&sitter->id, NULL, enter_once, sitter), 0);
	while (top() != &sitter->seat)
		poll(NULL, 0, 1);
}

START_TEST(the_last_is_called_first)
{
	fill();
	for (int i = 0; i < SITTERS; i++)
		sit_down(&sitters[i]);
	for (int i = LOBBY_MOST; i > LOBBY_LEAST; i--)
		lobby_leave(&lobby);
	ck_assert_ptr_eq(top(), &sitters[SITTERS - 1].seat);
	for (int i = SITTERS - 1; i >= 2; i--) {
		lobby_leave(&lobby);
		pthread_join(sitters[i].id, NULL);
		ck_assert_int_eq(atomic_load(&sitters[i].state), 1);
		ck_assert_ptr_eq(top(), &sitters[i - 1].seat);
	}
	lobby_close(&lobby);
	for (int i = 0; i < 2; i++) {
		pthread_join(sitters[i].id, NULL);
		ck_assert_int_eq(atomic_load(&sitters[i].state), 2);
	}
	ck_assert(!lobby_enter(&lobby, &unused));
	for (int i = 0; i < SITTERS; i++)
		lobby_seat_free(&sitters[i].seat);
	lobby_free(&lobby);
}
END_TEST

START_TEST(nobody_sits_down_in_a_closed_lobby)
{
	fill();
	lobby_close(&lobby);
	ck_assert(!lobby_enter(&lobby, &unused));
	lobby_free(&lobby);
}
END_TEST

static atomic_int signals;

static void count_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signals, 1);
}

/* A thread that got up would hear no second one. */
START_TEST(who_sits_does_not_get_up_for_a_signal)
{
	struct sigaction count = {.sa_handler = count_signal};

	ck_assert_int_eq(sigaction(SIGUSR1, &count, NULL), 0);
	fill();
	sit_down(&sitters[0]);
	for (int i = 1; i <= 100; i++) {
		ck_assert_int_eq(pthread_kill(sitters[0].id, SIGUSR1), 0);
		while (atomic_load(&signals) < i)
			poll(NULL, 0, 1);
	}
	ck_assert_int_eq(atomic_load(&sitters[0].state), 0);
	lobby_close(&lobby);
	pthread_join(sitters[0].id, NULL);
	ck_assert_int_eq(atomic_load(&sitters[0].state), 2);
	lobby_seat_free(&sitters[0].seat);
	lobby_free(&lobby);
}
END_TEST

static void *enter_often(void *p)
{
	struct sitter *sitter = p;

	while (sitter->turns < ROUNDS && lobby_enter(&lobby, &sitter->seat)) {
		if (atomic_fetch_add(&inside, 1) >= LOBBY_MOST)
			abort();
		sitter->turns++;
		atomic_fetch_sub(&inside, 1);
		lobby_leave(&lobby);
	}
	return NULL;
}

START_TEST(nobody_is_forgotten)
{
	ck_assert_int_eq(lobby_open(&lobby), RC_OK);
	for (int i = 0; i < LOBBY_MOST - LOBBY_LEAST + 1; i++)
		ck_assert(lobby_enter(&lobby, &unused)); /* so that only a few places are left to fight for */
	for (int i = 0; i < SITTERS; i++) {
		ck_assert_int_eq(lobby_seat_open(&sitters[i].seat), RC_OK);
		ck_assert_int_eq(pthread_create(&sitters[i].id, NULL, enter_often, &sitters[i]), 0);
	}
	for (int i = 0; i < LOBBY_MOST - LOBBY_LEAST + 1; i++)
		lobby_leave(&lobby);
	poll(NULL, 0, 50);
	lobby_close(&lobby);
	for (int i = 0; i < SITTERS; i++) {
		pthread_join(sitters[i].id, NULL);
		lobby_seat_free(&sitters[i].seat);
	}
	ck_assert_ptr_null(top());
	lobby_free(&lobby);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lobby");
	TCase *tests = tcase_create("lobby");

	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, the_last_is_called_first);
	tcase_add_test(tests, nobody_sits_down_in_a_closed_lobby);
	tcase_add_test(tests, who_sits_does_not_get_up_for_a_signal);
	tcase_add_test(tests, nobody_is_forgotten);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
