/*
 * sample.c - answers made here. A stream comes word by word at the pace of a model, so that what stands before it can be seen at work.
 */
#include "provider/sample.h"

#include <string.h>

#include "base/clock.h"
#include "base/peer.h"
#include "base/str.h"
#include "provider/call.h"
#include "provider/usage.h"

#define PIECE_MAX 24u     /* bytes */
#define PIECE_PAUSE_MS 20

static const char sample_text[] =
	"Subject: A sample answer\n"
	"\n"
	"Hello {couple_name},\n"
	"\n"
	"this text is a sample: prompt-fpm wrote it itself, because no provider of models is set up yet. Everything else about it is real: the "
	"endpoint, the caller's key, the limits, the ledger and, if you asked for one, the stream.\n"
	"\n"
	"Set OPENAI_API_KEY (or OPENAI_BASE_URL, for a server that speaks the same protocol) and start again: the very same call then goes to a model, "
	"and what it answers stands here.\n"
	"\n"
	"Warm regards,\n"
	"prompt-fpm\n";

static enum rc write_answer(struct buf *answer, const struct call *call)
{
	const struct provider_request *request = call->request;
	const struct value *value;

	if (request->output == NULL)
		return buf_puts(answer, request->json ? "{\"sample\":true,\"text\":\"No provider of models is set up yet.\"}" : sample_text);
	value = schema_sample(request->output, call->arena);
	return value == NULL ? RC_NOMEM : value_write(answer, value, 0);
}

/* A text longer than what was asked for is cut where the estimate of its tokens says; JSON is not, as it would be none then. */
static size_t cut(const struct provider_request *request, const struct buf *answer, enum stop_reason *stop)
{
	size_t most = request->max_tokens <= 0 ? answer->len : (size_t)request->max_tokens * 4;

	*stop = STOP_END;
	if (request->json || request->output != NULL || answer->len <= most)
		return answer->len;
	*stop = STOP_LENGTH;
	return str_utf8_whole(buf_text(answer), most);
}

/* A word and the space behind it; a longer one in parts. */
static size_t piece(const char *text, size_t n)
{
	const char *space = memchr(text, ' ', n);
	size_t len = space == NULL ? n : (size_t)(space - text) + 1;

	return len <= PIECE_MAX ? len : str_utf8_whole(text, PIECE_MAX);
}

static enum rc pause_between(struct call *call, int64_t *ticked_us)
{
	const struct provider_request *request = call->request;
	int64_t now;
	enum rc rc;

	if (peer_pause(request->watch_fd, clock_left_ms(request->deadline_us, PIECE_PAUSE_MS)) != RC_OK)
		return call_fail(call, FAULT_CALLER, RC_GONE, "caller left");
	now = clock_us();
	if (now >= request->deadline_us)
		return call_fail(call, FAULT_TIMEOUT, RC_TIMEOUT, "deadline");
	if (request->on_tick == NULL || request->tick_ms <= 0 || now - *ticked_us < request->tick_ms * INT64_C(1000))
		return RC_OK;
	*ticked_us = now;
	rc = request->on_tick(request->user);
	return rc == RC_OK ? RC_OK : call_fail(call, rc == RC_GONE ? FAULT_CALLER : FAULT_OURS, rc, "stopped on our side");
}

static enum rc stream(struct call *call, const char *text, size_t n)
{
	int64_t ticked_us = call->started_us;
	enum rc rc = RC_OK;

	for (size_t len; rc == RC_OK && n > 0; text += len, n -= len) {
		len = piece(text, n);
		rc = pause_between(call, &ticked_us);
		if (rc == RC_OK)
			rc = call_deliver(call, text, len);
		if (rc == RC_OK)
			rc = call_rest(call);
	}
	return rc;
}

enum rc sample_generate(const struct provider_access *access, struct arena *arena, const struct provider_request *request,
                        struct provider_result *result)
{
	struct call call;
	struct buf answer;
	size_t n;
	enum rc rc;

	call_begin(&call, access, arena, request, result);
	buf_init(&answer, arena, PROVIDER_TEXT_MAX);
	if (write_answer(&answer, &call) != RC_OK)
		return call_fail(&call, FAULT_OURS, RC_NOMEM, "out of memory");
	n = cut(request, &answer, &result->stop);
	result->sent = true;
	result->status = 200;
	rc = request->stream ? stream(&call, buf_text(&answer), n) : call_deliver(&call, buf_text(&answer), n);
	result->usage = (struct usage){
		.prompt = usage_estimate(request->messages->bytes),
		.completion = usage_estimate(result->text_bytes),
		.reported = true,
	};
	if (rc != RC_OK)
		result->stop = STOP_NONE;
	return rc;
}
