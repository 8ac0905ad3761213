/*
 * generate.c - the call to the provider; text goes out while it comes in.
 */
#include "base/clock.h"
#include "provider/usage.h"
#include "request/request.h"
#include "request/slow_log.h"

/* A plain call whose caller left is paid for already: it runs on, and its answer goes into the cache. So does a stream with an idempotency key: whoever sends one comes
 * back for the answer. */
static bool runs_on(const struct request *rq)
{
	return rq->mode == ANSWER_JSON || rq->idempotency.claimed;
}

int generate_watch_fd(const struct request *rq)
{
	return runs_on(rq) ? -1 : fcgi_fd(rq->fcgi);
}

/* A caller who left ends the call, or what is written to him. */
static enum rc written(const struct request *rq, enum rc rc)
{
	return rc == RC_GONE && runs_on(rq) ? RC_OK : rc;
}

static enum rc take_text(void *user, const char *text, size_t n)
{
	struct request *rq = user;
	enum rc rc = buf_add(&rq->text, text, n);

	slow_log_text(rq);
	if (rc != RC_OK || rq->mode == ANSWER_JSON || rq->caller_gone)
		return rc;
	return written(rq, respond_piece(rq, text, n));
}

static enum rc take_rest(void *user)
{
	struct request *rq = user;

	return rq->caller_gone ? RC_OK : written(rq, respond_flush(rq));
}

static enum rc take_tick(void *user)
{
	struct request *rq = user;

	return rq->caller_gone ? RC_OK : written(rq, respond_heartbeat(rq));
}

enum rc generate_company(struct request *rq)
{
	return written(rq, respond_company(rq));
}

static struct provider_request compose(struct request *rq, const struct messages *messages, int64_t deadline_us)
{
	const struct endpoint *endpoint = rq->endpoint;
	const struct settings *settings = rq->service->settings;
	bool streams = rq->mode != ANSWER_JSON;

	return (struct provider_request){
		.model = rq->model,
		.messages = messages,
		.temperature = endpoint->temperature,
		.top_p = endpoint->top_p,
		.max_tokens = rq->max_tokens,
		.stop = endpoint->stop,
		.output = endpoint->format == OUTPUT_JSON ? endpoint->output : NULL,
		.json = endpoint->format == OUTPUT_JSON,
		.stream = streams,
		.request_id = rq->id,
		.deadline_us = deadline_us,
		/* A plain answer comes in one piece at its end: until then silence is normal. */
		.idle_ms = streams ? (int)settings->upstream_idle_timeout : 0,
		.watch_fd = generate_watch_fd(rq),
		.tick_ms = respond_heartbeat_ms(rq),
		.on_text = take_text,
		.on_rest = streams ? take_rest : NULL,
		.on_tick = rq->mode == ANSWER_SSE ? take_tick : NULL,
		.user = rq,
	};
}

/* A hit is passed on as if it had just been generated. */
static enum rc pass_cached(struct request *rq)
{
	rq->generated = true;
	if (rq->mode == ANSWER_JSON || rq->text.len == 0)
		return RC_OK;
	if (respond_piece(rq, rq->text.data, rq->text.len) == RC_OK && respond_flush(rq) == RC_OK)
		return RC_OK;
	rq->caller_gone = true;
	return RC_GONE;
}

/* A call that broke off with text and no token for it was not counted to where it broke. A provider that answered with an error's status bills nothing; one that was
 * silent or broke off may have used the prompt and what it sent. */
static struct usage usage_of(const struct provider_result *result, const struct messages *messages)
{
	if (result->usage.reported && (result->fault == FAULT_NONE || result->usage.completion > 0 || result->text_bytes == 0))
		return result->usage;
	if (!result->sent || (result->status != 0 && result->status != 200))
		return (struct usage){0};
	return (struct usage){.prompt = usage_estimate(messages->bytes), .completion = usage_estimate(result->text_bytes)};
}

static void add_usage(struct request *rq, const struct messages *messages)
{
	const struct usage used = usage_of(&rq->result, messages);

	rq->used.prompt += used.prompt;
	rq->used.cached += used.cached;
	rq->used.completion += used.completion;
	rq->used.reasoning += used.reasoning;
	rq->estimated = rq->estimated || (!used.reported && used.prompt + used.completion > 0);
	rq->calls++;
}

/* A call's memory goes with it, but for the text: so many calls as a request may make would not fit into the request's. */
static enum rc call_once(struct request *rq, const struct messages *messages, int64_t deadline_us)
{
	const struct provider_request request = compose(rq, messages, deadline_us);
	struct arena *arena = arena_new(REQUEST_ARENA_MAX);
	enum rc rc = RC_NOMEM;

	rq->called_us = clock_us();
	rq->result = (struct provider_result){.fault = FAULT_OURS, .detail = "out of memory"};
	if (arena != NULL)
		rc = rq->access->provider->generate(rq->access, arena, &request, &rq->result);
	add_usage(rq, messages);
	arena_free(arena);
	return rc;
}

static enum rc left(struct request *rq)
{
	rq->caller_gone = true;
	rq->result.fault = FAULT_CALLER;
	return RC_GONE;
}

enum rc generate_call(struct request *rq, const struct messages *messages, int64_t deadline_us)
{
	for (unsigned tries = 0;; tries++) {
		enum rc rc = call_once(rq, messages, deadline_us), pause;

		if (rc == RC_OK)
			return RC_OK;
		pause = retry_pause(rq, tries, deadline_us);
		if (pause != RC_OK)
			return pause == RC_GONE ? left(rq) : rc;
	}
}

static enum rc fail(struct request *rq)
{
	const struct provider_result *result = &rq->result;

	if (result->fault == FAULT_CALLER)
		return left(rq);
	if (result->retry_after_s > 0 && (result->fault == FAULT_BUSY || result->fault == FAULT_UNAVAILABLE))
		rq->retry_after_s = result->retry_after_s;
	request_fail(rq, problem_of_fault(result->fault), result->detail);
	return RC_UNAVAILABLE;
}

/* A plain call may be silent until it has its answer, so a provider that hangs would leave no time for another: each model gets its share. */
static int64_t share_of_time(const struct request *rq)
{
	int64_t now_us = clock_us();

	if (rq->mode != ANSWER_JSON)
		return rq->deadline_us;
	return now_us + (rq->deadline_us - now_us) / (1 + (int64_t)admit_models_left(rq));
}

enum rc generate_answer(struct request *rq)
{
	if (rq->admission.cached)
		return pass_cached(rq);
	if (generate_call(rq, &rq->messages, share_of_time(rq)) != RC_OK)
		return fail(rq);
	rq->generated = true;
	return RC_OK;
}

enum rc step_generate(struct request *rq)
{
	enum rc rc = generate_answer(rq);

	return rc == RC_UNAVAILABLE ? RC_OK : rc;
}
