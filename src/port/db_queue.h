/*
 * db_queue.h - who runs whose call on which connection: calls that wait are gathered into batches, without a dispatcher.
 *
 * A thread that calls and finds no other at work on calls of its kind leads: it takes a connection and runs every call of that kind that waits, its own among them. The
 * others wait; a leader that is done hands its connection to the first of them. Sets, of whatever kind, go one after the other: as soon as a set is answered, and while it
 * is still being committed, the next is sent behind it on the same connection, and one of that set's threads leads on. A second connection is taken only when a whole
 * batch waits, or when the first has been at work for DB_PATIENCE_MS: fewer and larger transactions cost less, and a lone call never waits for a batch to fill.
 */
#ifndef PORT_DB_QUEUE_H
#define PORT_DB_QUEUE_H

#include <pthread.h>
#include <semaphore.h>

#include "port/db.h"

#define DB_BATCH_MAX 64u
#define DB_PATIENCE_MS 50

struct db_leader;

/* One call on its way; lives on its thread's stack. The first four are the caller's, `rc` is for run to set. */
struct db_job {
	const struct db_call *call;
	struct arena *arena;
	struct db_row *row;
	enum rc rc;
	bool passing;     /* RC_INVALID, by no fault of the call: it may be asked for again */
	bool taken, done; /* into a batch; and that batch has been run */
	struct db_leader *lead; /* handed over: run the next batch with it */
	sem_t wake;
	unsigned posts; /* that `wake` has got or is about to get: the job is not left before the last has come */
	struct db_job *next;
};

/* A connection's place here. */
struct db_leader {
	/* Runs a batch and sets each job's rc; called without the lock. `sent`: db_queue_next gave it, and its results are still to be taken in. */
	void (*run)(void *user, struct db_job **jobs, unsigned count, bool sent);
	bool (*can_send)(void *user, const struct db_call *call); /* whether db_queue_next may give such a call; called with the lock */
	void *user;
	struct db_leader *next_idle;
	struct db_leader *next_working;
	const struct db_call *kind; /* at work on: calls like this one */
	struct db_job *sent[DB_BATCH_MAX];
	unsigned sent_count;
};

struct db_queue {
	pthread_mutex_t lock;
	unsigned batch;
	struct db_leader *idle;
	struct db_leader *working;   /* leaders at work */
	struct db_job *first, *last; /* waiting to be taken into a batch */
	unsigned waiting;
};

/* `batch` is the most calls of a batch, 1 to DB_BATCH_MAX. */
void db_queue_init(struct db_queue *queue, unsigned batch);
void db_queue_destroy(struct db_queue *queue);

/* Adds a connection, before the first call. */
void db_queue_add(struct db_queue *queue, struct db_leader *leader);

/* For `run`, once its batch is answered and only the commit is left: takes the next, for the same connection to send at once. Another thread takes its results in. Returns
 * their number, and the jobs in the leader's memory; 0 where none waits, or the first that does cannot be sent. */
unsigned db_queue_next(struct db_queue *queue, struct db_leader *leader, struct db_job ***jobs);

/* Returns when the job has been run, by this thread or another. */
void db_queue_run(struct db_queue *queue, struct db_job *job);

#endif
