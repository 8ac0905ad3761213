/*
 * pipeline.c - the steps of a request, as one table and one loop.
 *
 * To read how a request is served, read the table; each step is the file of its name.
 */
#include "request/pipeline.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "request/refusal.h"
#include "request/request.h"
#include "request/slow_log.h"

struct step {
	const char *name;
	enum rc (*run)(struct request *rq);
};

static const struct step generation[] = {
	{"read", step_read},
	{"authenticate", step_authenticate},
	{"validate", step_validate},
	{"render", step_render},
	{"idempotency", step_idempotency},
	{"admit", step_admit},
	{"generate", step_generate},
	{"fallback", step_fallback},
	{"check", step_check},
	{"repair", step_repair},
	{"respond", step_respond},
};

/* What a caller used: nothing is admitted and nothing settled. */
static const struct step report[] = {{"read", read_head}, {"authenticate", step_authenticate}, {"report", step_report}};

#define STEP_TEXT_MAX 40 /* a comma, the longest name, a colon, a number */
#define CALLERS_MAX 512u /* bytes in the log of what a caller made up: whatever it is, the line has room for the rest */

_Static_assert(COUNT_OF(generation) < REQUEST_STEPS_MAX, "the log has a place for each step and for settle");

enum rc request_fail(struct request *rq, enum problem_code code, const char *detail)
{
	rq->problem = problem_get(code);
	rq->detail = detail;
	return RC_INVALID;
}

enum rc request_refuse(struct request *rq, enum problem_code code)
{
	refusals_count(rq->service->refusals, rq->supplier, rq->endpoint->feature, problem_get(code)->name);
	return request_fail(rq, code, code == PROBLEM_DATABASE ? "the supplier's row is locked" : NULL);
}

/* Returns the time, at which the next step begins. */
static int64_t note_step(struct request *rq, const char *name, int64_t since_us)
{
	int64_t now_us = clock_us();

	rq->steps[rq->step_count].name = name;
	rq->steps[rq->step_count++].us = (int)(now_us - since_us);
	return now_us;
}

/* What is generated is paid for, and answered even where it came with the deadline. */
static void run_steps(struct request *rq, const struct step *steps, size_t count)
{
	int64_t since_us = clock_us();

	for (size_t i = 0; i < count; i++) {
		enum rc rc;

		if (since_us >= rq->deadline_us && !rq->generated) {
			request_fail(rq, PROBLEM_UPSTREAM_TIMEOUT, "the deadline passed");
			return;
		}
		rc = steps[i].run(rq);
		since_us = note_step(rq, steps[i].name, since_us);
		if (rc != RC_OK) {
			if (rc != RC_DONE && rq->problem == NULL && !rq->caller_gone)
				request_fail(rq, PROBLEM_INTERNAL, rc_name(rc));
			return;
		}
	}
}

static void log_steps(struct log_line *line, const struct request *rq)
{
	char text[REQUEST_STEPS_MAX * STEP_TEXT_MAX], *end = text;

	for (unsigned i = 0; i < rq->step_count; i++) {
		if (i > 0)
			*end++ = ',';
		end = stpcpy(end, rq->steps[i].name);
		*end++ = ':';
		end += str_write_int(end, rq->steps[i].us);
	}
	*end = '\0';
	log_str(line, "steps_us", text);
}

static void log_generation(struct log_line *line, const struct request *rq)
{
	if (rq->admission.ticket == NULL)
		return;
	log_str(line, "model", rq->admission.model);
	log_str(line, "fell_back_from", rq->fell_back_from);
	log_str(line, "cached", rq->admission.cached ? "yes" : "no");
	if (rq->admission.cached)
		return;
	log_int(line, "prompt_tokens", rq->used.prompt);
	log_int(line, "completion_tokens", rq->used.completion);
	if (rq->used.prompt + rq->used.completion > 0)
		log_str(line, "usage", rq->estimated ? "estimated" : "reported");
	if (rq->calls > 1)
		log_int(line, "calls", rq->calls);
	if (rq->paused_us > 0)
		log_int(line, "paused_us", rq->paused_us);
	log_int(line, "first_text_us", rq->result.first_text_us);
	if (rq->result.fault != FAULT_NONE)
		log_str(line, "fault", provider_fault_name(rq->result.fault));
	if (rq->result.status != 0)
		log_int(line, "upstream_status", rq->result.status);
}

static void log_callers(struct log_line *line, const char *key, const char *value)
{
	char begin[CALLERS_MAX + 1];

	if (value == NULL)
		return;
	snprintf(begin, sizeof begin, "%s", value);
	log_str(line, key, begin);
}

void request_log_course(struct log_line *line, const struct request *rq)
{
	static const char *const modes[] = {[ANSWER_JSON] = "json", [ANSWER_TEXT] = "text", [ANSWER_SSE] = "sse"};

	log_str(line, "endpoint", rq->endpoint == NULL ? NULL : rq->endpoint->name);
	log_str(line, "supplier", rq->supplier);
	log_int(line, "status", rq->head_sent && rq->problem == NULL ? 200 : rq->problem != NULL ? rq->problem->status : 0);
	log_str(line, "code", rq->problem == NULL ? NULL : rq->problem->name);
	log_str(line, "detail", rq->detail);
	log_str(line, "mode", modes[rq->mode]);
	log_str(line, "caller", rq->caller_gone ? "left" : NULL);
	log_str(line, "replayed", rq->replayed ? "yes" : NULL);
	log_generation(line, rq);
	log_int(line, "us", clock_us() - rq->started_us);
	log_steps(line, rq);
}

static void log_request(const struct request *rq)
{
	struct log_line line;

	log_begin(&line, LOG_INFO_, "request");
	log_str(&line, "id", rq->id);
	log_callers(&line, "method", rq->method);
	log_callers(&line, "path", rq->path);
	request_log_course(&line, rq);
	log_send(&line);
}

static void serve(struct request *rq)
{
	int64_t since_us;

	if (report_wanted(rq))
		run_steps(rq, report, COUNT_OF(report));
	else
		run_steps(rq, generation, COUNT_OF(generation));
	if (rq->problem != NULL)
		respond_problem(rq);
	since_us = clock_us();
	idempotency_keep(rq);
	settle_reservation(rq);
	idempotency_release(rq);
	if (rq->admission.ticket != NULL)
		note_step(rq, "settle", since_us);
	if (fcgi_finish(rq->fcgi) != RC_OK)
		rq->caller_gone = true;
	if (rq->problem != NULL)
		atomic_fetch_add(&rq->service->refused, rq->admission.ticket == NULL && !rq->replayed);
	log_request(rq);
	slow_log_end(rq);
	if (rq->endpoint != NULL) /* last: where its file has changed meanwhile, it is gone with this */
		catalog_release(rq->service->catalog, rq->endpoint);
}

void pipeline_serve(struct service *service, struct fcgi *fcgi)
{
	struct request rq = {.service = service, .fcgi = fcgi, .started_us = clock_us(), .arena = arena_new(REQUEST_ARENA_MAX)};

	atomic_fetch_add(&service->requests, 1);
	atomic_fetch_add(&service->active, 1);
	rq.beat_us = rq.started_us;
	rq.deadline_us = rq.started_us + service->settings->request_terminate_timeout * 1000;
	if (rq.arena != NULL && token_request_id(rq.id) == RC_OK) {
		buf_init(&rq.text, rq.arena, PROVIDER_TEXT_MAX);
		serve(&rq);
	} else {
		log_msg(LOG_ERROR_, "request", "no memory or no randomness to begin with");
		fcgi_finish(fcgi);
	}
	arena_free(rq.arena);
	atomic_fetch_sub(&service->active, 1);
}
