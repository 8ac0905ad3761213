/*
 * answers.c - a few condition variables, chosen by digest.
 */
#include "request/answers.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SHELVES 64u

struct answers {
	pthread_mutex_t lock;
	struct shelf {
		pthread_cond_t ended;
		unsigned waiting;
	} shelves[SHELVES];
};

enum rc answers_new(struct answers **out)
{
	struct answers *answers = calloc(1, sizeof *answers);
	pthread_condattr_t monotonic;

	if (answers == NULL)
		return RC_NOMEM;
	pthread_mutex_init(&answers->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	for (unsigned i = 0; i < SHELVES; i++)
		pthread_cond_init(&answers->shelves[i].ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = answers;
	return RC_OK;
}

void answers_free(struct answers *answers)
{
	if (answers == NULL)
		return;
	for (unsigned i = 0; i < SHELVES; i++)
		pthread_cond_destroy(&answers->shelves[i].ended);
	pthread_mutex_destroy(&answers->lock);
	free(answers);
}

static struct shelf *shelf_of(struct answers *answers, const char *digest)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < 4 && digest[i] != '\0'; i++)
		sum = sum * 31 + (unsigned char)digest[i];
	return &answers->shelves[sum % SHELVES];
}

void answers_wait(struct answers *answers, const char *digest, int ms)
{
	struct shelf *shelf = shelf_of(answers, digest);
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&answers->lock);
	shelf->waiting++;
	pthread_cond_timedwait(&shelf->ended, &answers->lock, &until);
	shelf->waiting--;
	pthread_mutex_unlock(&answers->lock);
}

void answers_ended(struct answers *answers, const char *digest)
{
	struct shelf *shelf = shelf_of(answers, digest);

	pthread_mutex_lock(&answers->lock);
	if (shelf->waiting > 0)
		pthread_cond_broadcast(&shelf->ended);
	pthread_mutex_unlock(&answers->lock);
}
