/*
 * generate.c - the call to the provider; text goes out while it comes in.
 */
#include <stdatomic.h>

#include "provider/usage.h"
#include "request/request.h"

/* Fifths of the setting between two heartbeats. Apache learns from the first write after a caller's leaving that he left, and tells us at the second: two must fit
 * into the time that is promised. */
#define HEARTBEATS_WITHIN 2

static enum rc take_text(void *user, const char *text, size_t n)
{
	struct request *rq = user;
	enum rc rc = buf_add(&rq->text, text, n);

	if (rc != RC_OK || rq->mode == ANSWER_JSON)
		return rc;
	return respond_piece(rq, text, n);
}

static enum rc take_tick(void *user)
{
	return respond_heartbeat(user);
}

static struct provider_request compose(struct request *rq)
{
	const struct endpoint *endpoint = rq->endpoint;
	const struct settings *settings = rq->service->settings;
	bool streams = rq->mode != ANSWER_JSON;

	return (struct provider_request){
		.model = rq->model,
		.messages = &rq->messages,
		.temperature = endpoint->temperature,
		.top_p = endpoint->top_p,
		.max_tokens = rq->max_tokens,
		.stop = endpoint->stop,
		.output = endpoint->format == OUTPUT_JSON ? endpoint->output : NULL,
		.json = endpoint->format == OUTPUT_JSON,
		.stream = streams,
		.request_id = rq->id,
		.deadline_us = rq->deadline_us,
		/* A plain answer comes in one piece at its end: until then silence is normal. */
		.idle_ms = streams ? (int)settings->upstream_idle_timeout : 0,
		/* A plain call whose caller left is paid for already: it runs on, and its answer goes into the cache. */
		.watch_fd = streams ? fcgi_fd(rq->fcgi) : -1,
		.tick_ms = rq->mode == ANSWER_SSE ? (int)(settings->heartbeat * HEARTBEATS_WITHIN / 5) : 0,
		.on_text = take_text,
		.on_tick = rq->mode == ANSWER_SSE ? take_tick : NULL,
		.user = rq,
	};
}

/* Where the provider reported no usage, before anybody is told of any. A provider that answered with an error's status bills nothing; one that was silent or broke off may have used the prompt and what it sent. */
static void estimate_usage(struct request *rq)
{
	struct usage *usage = &rq->result.usage;
	bool error_status = rq->result.status != 0 && rq->result.status != 200;

	if (usage->reported)
		return;
	*usage = (struct usage){0};
	if (!rq->result.sent || error_status)
		return;
	usage->prompt = rq->admission.prompt_estimate;
	usage->completion = usage_estimate(rq->result.text_bytes);
}

/* A hit is passed on as if it had just been generated. */
static enum rc pass_cached(struct request *rq)
{
	rq->generated = true;
	if (rq->mode == ANSWER_JSON || rq->text.len == 0)
		return RC_OK;
	if (respond_piece(rq, rq->text.data, rq->text.len) == RC_OK)
		return RC_OK;
	rq->caller_gone = true;
	return RC_GONE;
}

enum rc step_generate(struct request *rq)
{
	struct provider_request request;
	enum rc rc;

	if (rq->admission.cached)
		return pass_cached(rq);
	request = compose(rq);
	if (rq->mode != ANSWER_JSON)
		atomic_fetch_add(&rq->service->streams, 1);
	rc = rq->access->provider->generate(rq->access, rq->arena, &request, &rq->result);
	if (rq->mode != ANSWER_JSON)
		atomic_fetch_sub(&rq->service->streams, 1);
	estimate_usage(rq);
	if (rc == RC_OK) {
		rq->generated = true;
		return RC_OK;
	}
	if (rq->result.fault == FAULT_CALLER) {
		rq->caller_gone = true;
		return RC_GONE;
	}
	if (rq->result.retry_after_s > 0 && rq->result.fault == FAULT_BUSY)
		rq->retry_after_s = rq->result.retry_after_s;
	return request_fail(rq, problem_of_fault(rq->result.fault), rq->result.detail);
}
