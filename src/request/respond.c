/*
 * respond.c - everything that is written to a caller: answers, streams, heartbeats, problems.
 *
 * Bytes of a stream are flushed when no more are at hand. The last bytes of an answer stay in the buffer until the request is finished, which is after its settlement: who has
 * read an answer to its end can read its row.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "request/cost.h"
#include "request/request.h"

#define HEAD_MAX 4096u
#define FRAME_MAX (4u << 20)

/* Fifths of the setting between two heartbeats. Apache learns from the first write after a caller's leaving that he left, and tells us at the second: two must fit
 * into the time that is promised. */
#define HEARTBEATS_WITHIN 2

static enum rc note_gone(struct request *rq, enum rc rc)
{
	if (rc == RC_GONE)
		rq->caller_gone = true;
	return rc;
}

/* The first to be written begins with the head: until it could be made nothing has gone out, and a problem can still be told in its own form. */
static enum rc write_out(struct request *rq, const struct buf *bytes)
{
	if (bytes->rc != RC_OK)
		return bytes->rc;
	rq->head_sent = true;
	return note_gone(rq, fcgi_write(rq->fcgi, buf_text(bytes), bytes->len));
}

static void add_rate(struct request *rq, struct buf *head)
{
	const struct admission *a = &rq->admission;

	if (a->rate_limit == NULL || a->rate_remaining == NULL || a->rate_reset == NULL)
		return;
	buf_printf(head, "RateLimit-Policy: \"%s\";q=%s;w=%d\r\n", rq->endpoint->name, a->rate_limit, rq->endpoint->rate.period_s);
	buf_printf(head, "RateLimit: \"%s\";r=%s;t=%s\r\n", rq->endpoint->name, a->rate_remaining, a->rate_reset);
}

static void add_head(struct request *rq, struct buf *head, int status, const char *type)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {{200, "OK"},
		       {400, "Bad Request"},
		       {401, "Unauthorized"},
		       {403, "Forbidden"},
		       {404, "Not Found"},
		       {405, "Method Not Allowed"},
		       {409, "Conflict"},
		       {413, "Content Too Large"},
		       {422, "Unprocessable Content"},
		       {429, "Too Many Requests"},
		       {502, "Bad Gateway"},
		       {503, "Service Unavailable"},
		       {504, "Gateway Timeout"}};
	const char *reason = "Error";

	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (reasons[i].status == status)
			reason = reasons[i].reason;
	buf_puts(head, "Status: ");
	buf_int(head, status);
	buf_strings(head, " ", reason, "\r\nContent-Type: ", type, "\r\nX-Request-Id: ", rq->id, "\r\n", NULL);
	buf_puts(head, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
	if (rq->endpoint != NULL)
		add_rate(rq, head);
	if (rq->admission.model != NULL)
		buf_strings(head, "X-Model: ", rq->admission.model, "\r\n", NULL);
	if (rq->replayed)
		buf_puts(head, "Idempotency-Replayed: true\r\n");
}

static void add_length(struct buf *head, size_t n)
{
	buf_puts(head, "Content-Length: ");
	buf_int(head, (int64_t)n);
	buf_puts(head, "\r\n\r\n");
}

/* The head of a stream goes out with its first bytes, which may be a heartbeat before anything is admitted: then it has no rate yet, and the model that is to be asked.
 * X-Accel-Buffering keeps nginx from collecting them. */
static void add_stream_head(struct request *rq, struct buf *out)
{
	if (rq->head_sent)
		return;
	if (rq->admission.model == NULL)
		rq->admission.model = rq->model;
	atomic_fetch_add(&rq->service->streams, 1);
	add_head(rq, out, 200, rq->mode == ANSWER_SSE ? "text/event-stream; charset=utf-8" : "text/plain; charset=utf-8");
	buf_puts(out, "X-Accel-Buffering: no\r\n\r\n");
}

/* Where the next bytes of a stream are put together; the same memory each time. */
static struct buf *begin_frame(struct request *rq)
{
	if (rq->frame.arena == NULL)
		buf_init(&rq->frame, rq->arena, FRAME_MAX);
	buf_clear(&rq->frame);
	add_stream_head(rq, &rq->frame);
	return &rq->frame;
}

enum rc respond_piece(struct request *rq, const char *text, size_t n)
{
	struct buf *out = begin_frame(rq);

	if (rq->mode == ANSWER_SSE) {
		buf_puts(out, "data: {\"text\":");
		buf_json_string(out, text, n);
		buf_puts(out, "}\n\n");
	} else {
		buf_add(out, text, n);
	}
	return write_out(rq, out);
}

enum rc respond_flush(struct request *rq)
{
	return note_gone(rq, fcgi_flush(rq->fcgi));
}

int respond_heartbeat_ms(const struct request *rq)
{
	return rq->mode == ANSWER_SSE ? (int)(rq->service->settings->heartbeat * HEARTBEATS_WITHIN / 5) : 0;
}

enum rc respond_heartbeat(struct request *rq)
{
	struct buf *out = begin_frame(rq);
	enum rc rc;

	rq->beat_us = clock_us();
	buf_puts(out, ": heartbeat\n\n");
	rc = write_out(rq, out);
	return rc == RC_OK ? respond_flush(rq) : rc;
}

int respond_company_ms(const struct request *rq, int most)
{
	int every_ms = respond_heartbeat_ms(rq);

	return every_ms == 0 || rq->caller_gone ? most : clock_left_ms(rq->beat_us + every_ms * INT64_C(1000), most);
}

enum rc respond_company(struct request *rq)
{
	return respond_company_ms(rq, 1) == 0 ? respond_heartbeat(rq) : RC_OK;
}

const char *respond_usage(struct request *rq)
{
	const struct usage *usage = &rq->used;
	char cents[COST_TEXT_SIZE] = "0";
	struct buf text;

	if (rq->usage != NULL)
		return rq->usage;
	if ((!rq->admission.cached &&
	     cost_cents(usage, rq->admission.price_input, rq->admission.price_cached, rq->admission.price_output, cents) != RC_OK) ||
	    cost_add(cents, rq->earlier_cents) != RC_OK)
		log_msg(LOG_ERROR_, "cost", "no exact cost for request %s", rq->id);
	buf_init(&text, rq->arena, HEAD_MAX);
	buf_puts(&text, "\"usage\":{\"tokensUsed\":");
	buf_int(&text, rq->earlier_tokens + (rq->admission.cached ? 0 : usage->prompt + usage->completion));
	if (buf_strings(&text, ",\"costCents\":", cents, ",\"fromCache\":", rq->admission.cached ? "true}" : "false}", NULL) == RC_OK)
		rq->usage = text.data;
	return rq->usage;
}

static void add_usage(struct request *rq, struct buf *out)
{
	const char *usage = respond_usage(rq);

	if (usage == NULL)
		out->rc = RC_NOMEM;
	else
		buf_puts(out, usage);
}

static void add_json_answer(struct request *rq, struct buf *out)
{
	buf_putc(out, '{');
	buf_json_string(out, rq->endpoint->answer, strlen(rq->endpoint->answer));
	buf_putc(out, ':');
	if (rq->output != NULL)
		value_write(out, rq->output, 0);
	else
		buf_json_string(out, buf_text(&rq->text), rq->text.len);
	buf_putc(out, ',');
	add_usage(rq, out);
	buf_puts(out, "}\n");
}

enum rc respond_body(struct request *rq, const char *json, size_t n)
{
	struct buf head;
	enum rc rc;

	rq->body_sent = json;
	buf_init(&head, rq->arena, HEAD_MAX);
	add_head(rq, &head, 200, "application/json; charset=utf-8");
	add_length(&head, n);
	rc = write_out(rq, &head);
	return rc == RC_OK ? note_gone(rq, fcgi_write(rq->fcgi, json, n)) : rc;
}

static enum rc respond_json(struct request *rq)
{
	struct buf body;

	buf_init(&body, rq->arena, FRAME_MAX);
	add_json_answer(rq, &body);
	if (body.rc != RC_OK)
		return request_fail(rq, PROBLEM_INTERNAL, "the answer does not fit");
	return respond_body(rq, body.data, body.len);
}

enum rc step_respond(struct request *rq)
{
	struct buf out;

	if (rq->mode == ANSWER_JSON)
		return respond_json(rq);
	buf_init(&out, rq->arena, HEAD_MAX);
	add_stream_head(rq, &out);
	if (rq->mode == ANSWER_SSE) {
		buf_puts(&out, "event: done\ndata: {");
		add_usage(rq, &out);
		buf_puts(&out, "}\n\n");
	}
	return write_out(rq, &out);
}

enum rc respond_again(struct request *rq, const char *content)
{
	size_t n = content == NULL ? 0 : strlen(content);
	enum rc rc = RC_OK;

	if (rq->mode == ANSWER_JSON)
		return rq->problem != NULL ? RC_INVALID : respond_body(rq, content, n);
	if (n > 0)
		rc = respond_piece(rq, content, n);
	if (rc != RC_OK || rq->problem != NULL)
		return rc != RC_OK ? rc : RC_INVALID;
	return step_respond(rq);
}

static void add_details(struct request *rq, struct buf *out)
{
	if (rq->faults.count == 0)
		return;
	buf_puts(out, ",\"details\":[");
	for (unsigned i = 0; i < rq->faults.count; i++) {
		const struct schema_fault *fault = &rq->faults.items[i];
		const char *reason = fault->reason == NULL ? "" : fault->reason;

		buf_puts(out, i == 0 ? "{\"path\":" : ",{\"path\":");
		buf_json_string(out, fault->path, strlen(fault->path));
		buf_puts(out, ",\"reason\":");
		buf_json_string(out, reason, strlen(reason));
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

static void add_problem(struct request *rq, struct buf *out)
{
	const struct problem *problem = rq->problem;

	buf_puts(out, "{\"error\":");
	buf_json_string(out, problem->message, strlen(problem->message));
	buf_printf(out, ",\"code\":\"%s\",\"requestId\":\"%s\"", problem->name, rq->id);
	if (problem->code == PROBLEM_INVALID_INPUT || problem->code == PROBLEM_INVALID_JSON)
		add_details(rq, out);
	buf_putc(out, '}');
}

/* Bytes have gone out under a 200: the problem is told in the stream itself. */
static void end_stream(struct request *rq, struct buf *out)
{
	if (rq->mode == ANSWER_SSE) {
		buf_puts(out, "event: error\ndata: ");
		add_problem(rq, out);
		buf_puts(out, "\n\n");
	} else if (rq->mode == ANSWER_TEXT) {
		buf_printf(out, "\n\n[%s: %s Request %s]\n", rq->problem->name, rq->problem->message, rq->id);
	}
}

static void answer_problem(struct request *rq, struct buf *out)
{
	const struct problem *problem = rq->problem;
	int retry_after_s = rq->retry_after_s > 0 ? rq->retry_after_s : problem->retry_after_s;
	struct buf body;

	buf_init(&body, rq->arena, 1u << 20);
	add_problem(rq, &body);
	buf_putc(&body, '\n');
	add_head(rq, out, problem->status, "application/json; charset=utf-8");
	if (retry_after_s > 0 && !rq->replayed) /* waiting would bring the same again */
		buf_printf(out, "Retry-After: %d\r\n", retry_after_s);
	if (problem->code == PROBLEM_UNAUTHENTICATED)
		buf_puts(out, "WWW-Authenticate: Bearer\r\n");
	if (rq->allow != NULL)
		buf_printf(out, "Allow: %s\r\n", rq->allow);
	add_length(out, body.len);
	buf_add(out, buf_text(&body), body.len);
}

void respond_problem(struct request *rq)
{
	struct buf out;

	if (rq->caller_gone)
		return;
	buf_init(&out, rq->arena, (1u << 20) + HEAD_MAX);
	if (rq->head_sent)
		end_stream(rq, &out);
	else
		answer_problem(rq, &out);
	if (write_out(rq, &out) != RC_OK)
		rq->caller_gone = true;
}
