/*
 * db_queue.c - gathering calls into batches.
 */
#include "port/db_queue.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

void db_queue_init(struct db_queue *queue, unsigned batch)
{
	*queue = (struct db_queue){.batch = batch < 1 ? 1 : batch > DB_BATCH_MAX ? DB_BATCH_MAX : batch};
	pthread_mutex_init(&queue->lock, NULL);
}

void db_queue_destroy(struct db_queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
}

void db_queue_add(struct db_queue *queue, struct db_leader *leader)
{
	leader->next_idle = queue->idle;
	queue->idle = leader;
}

static int by_lock(const void *a, const void *b)
{
	int64_t ka = (*(struct db_job *const *)a)->call->lock_key, kb = (*(struct db_job *const *)b)->call->lock_key;

	return ka < kb ? -1 : ka > kb;
}

static void enqueue(struct db_queue *queue, struct db_job *job)
{
	if (queue->last == NULL)
		queue->first = job;
	else
		queue->last->next = job;
	queue->last = job;
	queue->waiting++;
}

/* Reads do not wait in a transaction behind locks; calls of one set go together, and with nothing else. */
static bool same_kind(const struct db_call *a, const struct db_call *b)
{
	return a->commits == b->commits && (a->item != NULL) == (b->item != NULL) && (a->item == NULL || a->sql == b->sql);
}

/* Whether one call waits while the other is being run: sets of whatever kind go one after the other. Two at once are each smaller, and in each other's way. */
static bool excludes(const struct db_call *a, const struct db_call *b)
{
	return same_kind(a, b) || (a->item != NULL && b->item != NULL);
}

/* Whether one more leader would be of use beside those at work. */
static bool worth_another(const struct db_queue *queue, const struct db_call *call)
{
	if (queue->waiting >= queue->batch)
		return true;
	for (const struct db_leader *leader = queue->working; leader != NULL; leader = leader->next_working)
		if (excludes(leader->kind, call))
			return false;
	return true;
}

/* From when a job has it until it is laid aside, though that job's thread may still have to wake: who comes meanwhile waits. */
static void begin_work(struct db_queue *queue, struct db_leader *leader, const struct db_call *kind)
{
	leader->kind = kind;
	leader->next_working = queue->working;
	queue->working = leader;
}

static void end_work(struct db_queue *queue, const struct db_leader *leader)
{
	struct db_leader **link = &queue->working;

	while (*link != leader)
		link = &(*link)->next_working;
	*link = leader->next_working;
}

static struct db_leader *take_idle(struct db_queue *queue, const struct db_call *kind)
{
	struct db_leader *leader = queue->idle;

	if (leader == NULL)
		return NULL;
	queue->idle = leader->next_idle;
	begin_work(queue, leader, kind);
	return leader;
}

/* Gives a leader's place to the first waiting thread that has none, and returns its job for the caller to wake; or lays it aside, and returns NULL. */
static struct db_job *hand_over(struct db_queue *queue, struct db_leader *leader)
{
	end_work(queue, leader);
	for (struct db_job *job = queue->first; job != NULL; job = job->next) {
		if (job->lead == NULL && worth_another(queue, job->call)) {
			begin_work(queue, leader, job->call);
			job->lead = leader;
			job->posts++;
			return job;
		}
	}
	leader->next_idle = queue->idle;
	queue->idle = leader;
	return NULL;
}

/* Takes waiting jobs of a kind off the queue, in order of what they lock. A taken job that had been handed a place gives it back. */
static unsigned take_batch(struct db_queue *queue, const struct db_call *kind, struct db_job *jobs[DB_BATCH_MAX])
{
	struct db_leader *spare[DB_BATCH_MAX];
	struct db_job **link = &queue->first, *kept = NULL;
	unsigned count = 0, spares = 0;

	while (*link != NULL) {
		struct db_job *job = *link;

		if (count < queue->batch && same_kind(job->call, kind)) {
			*link = job->next;
			if (job->lead != NULL)
				spare[spares++] = job->lead;
			job->lead = NULL;
			job->taken = true;
			queue->waiting--;
			jobs[count++] = job;
		} else {
			kept = job;
			link = &job->next;
		}
	}
	queue->last = kept;
	while (spares > 0) {
		struct db_job *next = hand_over(queue, spare[--spares]);

		if (next != NULL)
			sem_post(&next->wake);
	}
	qsort(jobs, count, sizeof *jobs, by_lock);
	return count;
}

unsigned db_queue_next(struct db_queue *queue, struct db_leader *leader, struct db_job ***jobs)
{
	struct db_job *job;
	unsigned count = 0;

	pthread_mutex_lock(&queue->lock);
	job = queue->first;
	while (job != NULL && job->lead != NULL)
		job = job->next;
	if (job != NULL && leader->can_send(leader->user, job->call))
		count = take_batch(queue, job->call, leader->sent);
	leader->sent_count = count;
	pthread_mutex_unlock(&queue->lock);
	*jobs = leader->sent;
	return count;
}

/* The batch that `own`'s thread is to run: one that has been sent, whose results it takes in, or one of its own kind, which it may be in. */
static unsigned choose_batch(struct db_queue *queue, struct db_leader *leader, const struct db_job *own, struct db_job *jobs[DB_BATCH_MAX])
{
	unsigned count = leader->sent_count;

	if (count == 0)
		return take_batch(queue, own->call, jobs);
	memcpy(jobs, leader->sent, count * sizeof *jobs);
	leader->sent_count = 0;
	return count;
}

/* What comes after a batch: the results of the next, which has been sent, or any other. Returns the job whose thread sees to it, for the caller to wake, or NULL. */
static struct db_job *hand_on(struct db_queue *queue, struct db_leader *leader)
{
	struct db_job *heir = leader->sent[0];

	if (leader->sent_count == 0)
		return hand_over(queue, leader);
	leader->kind = heir->call;
	heir->lead = leader;
	heir->posts++;
	return heir;
}

/* Called, and returns, with the lock held: runs a batch, then hands the place on. Nobody is woken under the lock: a woken thread takes the processor at once, and would go
 * back to sleep for the lock. */
static void lead(struct db_queue *queue, struct db_leader *leader, const struct db_job *own)
{
	struct db_job *jobs[DB_BATCH_MAX], *next;
	bool sent = leader->sent_count > 0;
	unsigned count = choose_batch(queue, leader, own, jobs);

	pthread_mutex_unlock(&queue->lock);
	leader->run(leader->user, jobs, count, sent);
	pthread_mutex_lock(&queue->lock);
	for (unsigned i = 0; i < count; i++) {
		jobs[i]->done = true;
		jobs[i]->posts += jobs[i] != own;
	}
	next = hand_on(queue, leader);
	pthread_mutex_unlock(&queue->lock);
	if (next != NULL)
		sem_post(&next->wake);
	for (unsigned i = 0; i < count; i++)
		if (jobs[i] != own)
			sem_post(&jobs[i]->wake);
	pthread_mutex_lock(&queue->lock);
}

/* Waits to be done or handed a place; patience over, takes one that lies idle: whoever leads may be held up by a lock. */
static void wait_turn(struct db_queue *queue, struct db_job *job, unsigned *received)
{
	struct timespec until;
	bool woken;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += DB_PATIENCE_MS * 1000000L; /* less than a second */
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_unlock(&queue->lock);
	woken = sem_clockwait(&job->wake, CLOCK_MONOTONIC, &until) == 0;
	pthread_mutex_lock(&queue->lock);
	*received += woken;
	if (!woken && !job->done && !job->taken && job->lead == NULL)
		job->lead = take_idle(queue, job->call);
}

void db_queue_run(struct db_queue *queue, struct db_job *job)
{
	unsigned received = 0;

	sem_init(&job->wake, 0, 0);
	pthread_mutex_lock(&queue->lock);
	enqueue(queue, job);
	if (worth_another(queue, job->call) || !job->call->commits)
		job->lead = take_idle(queue, job->call);
	while (!job->done) {
		struct db_leader *leader = job->lead;

		job->lead = NULL;
		if (leader != NULL)
			lead(queue, leader, job);
		else
			wait_turn(queue, job, &received);
	}
	pthread_mutex_unlock(&queue->lock);
	while (received < job->posts)
		received += sem_wait(&job->wake) == 0;
	sem_destroy(&job->wake);
}
