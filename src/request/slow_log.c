/*
 * slow_log.c - one line for a request that was slow, which tells where its time went.
 *
 * It is written at the request's end, not while it runs: what a request waits for is bounded by its deadline and the time-outs, and at its end the line has all of them.
 */
#include "request/slow_log.h"

#include "base/clock.h"
#include "base/log.h"

static int slow_fd = -1;

void slow_log_open(int fd)
{
	slow_fd = fd;
}

static int64_t limit_us(const struct request *rq)
{
	return rq->service->settings->request_slowlog_timeout * 1000;
}

/* How long its caller has been waiting for what comes next. */
static int64_t waiting_us(const struct request *rq, int64_t now_us)
{
	return now_us - (rq->wait.since_us != 0 ? rq->wait.since_us : rq->started_us);
}

void slow_log_text(struct request *rq)
{
	int64_t now_us, us;

	if (limit_us(rq) == 0 || rq->mode == ANSWER_JSON)
		return;
	now_us = clock_us();
	us = waiting_us(rq, now_us);
	if (us > rq->wait.longest_us)
		rq->wait.longest_us = us;
	rq->wait.since_us = now_us;
}

/* The same as in the log, without what its caller made up, and what only an entry tells. */
static void write_entry(const struct request *rq, int64_t wait_us)
{
	struct log_line line;

	log_begin(&line, LOG_WARN_, "slow");
	log_str(&line, "id", rq->id);
	log_int(&line, "wait_us", wait_us);
	log_int(&line, "sending_us", fcgi_sending_us(rq->fcgi));
	if (rq->wait.same_answer_us > 0)
		log_int(&line, "same_answer_us", rq->wait.same_answer_us);
	if (rq->wait.database_us > 0)
		log_int(&line, "database_us", rq->wait.database_us);
	if (rq->admission.ticket == NULL) /* else it is told with what became of it */
		log_str(&line, "model", rq->admission.model != NULL ? rq->admission.model : rq->model);
	request_log_course(&line, rq);
	log_send_to(&line, slow_fd);
}

void slow_log_end(const struct request *rq)
{
	int64_t last_us;

	if (limit_us(rq) == 0 || slow_fd < 0)
		return;
	last_us = waiting_us(rq, clock_us());
	if (last_us < rq->wait.longest_us)
		last_us = rq->wait.longest_us;
	if (last_us > limit_us(rq))
		write_entry(rq, last_us);
}
