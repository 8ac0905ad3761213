/*
 * repair.c - a JSON output that is broken is asked for once more, with its errors named.
 *
 * The second call lies within the reservation and the deadline of the first, and what both used is charged. Nobody has seen the broken one: an answer in JSON
 * is never streamed. Where a repair would not fit, or cannot help, the answer is invalid_generation at once.
 */
#include "base/clock.h"
#include "request/request.h"

/* What an answer's token is in bytes, as a rule. A longer answer is not sent back: the reservation would not cover it. */
#define TOKEN_BYTES 4u
#define WORDS_MAX 4096u /* the words around the errors, and the errors */

size_t repair_bytes_max(const struct request *rq)
{
	return rq->endpoint->format == OUTPUT_JSON ? (size_t)rq->max_tokens * TOKEN_BYTES + WORDS_MAX : 0;
}

/* What stands in the way of a second call; NULL where nothing does. A cached answer has no reservation, a refusal would be one again, and what took long once
 * takes long twice. */
static const char *obstacle(const struct request *rq)
{
	int64_t now = clock_us();

	if (rq->admission.cached)
		return "it is from the cache";
	if (rq->result.stop == STOP_FILTER)
		return "it was a refusal";
	if (rq->text.len > (size_t)rq->max_tokens * TOKEN_BYTES || rq->used.completion > rq->max_tokens)
		return "the reservation would not cover a repair";
	if (rq->deadline_us - now < now - rq->called_us)
		return "no time is left for a repair";
	return NULL;
}

static enum rc fail(struct request *rq, const char *why)
{
	return request_fail(rq, PROBLEM_INVALID_GENERATION, why == NULL ? rq->broken : arena_printf(rq->arena, "%s; %s", rq->broken, why));
}

static bool write_words(struct request *rq, struct buf *words)
{
	buf_init(words, rq->arena, WORDS_MAX);
	buf_puts(words, "Your answer cannot be used, because of these errors:\n");
	buf_add(words, buf_text(&rq->errors), rq->errors.len);
	buf_puts(words, "Answer again with the whole corrected JSON and nothing else.");
	return words->rc == RC_OK;
}

static void add(struct messages *messages, enum message_role role, const char *text, size_t len)
{
	messages->items[messages->count++] = (struct message){.role = role, .text = text, .len = len};
	messages->bytes += len;
}

/* The messages of the first call, its answer, and what is wrong with it. */
static enum rc compose(struct request *rq, struct messages *out)
{
	const struct messages *given = &rq->messages;
	const char *answer = arena_strndup(rq->arena, buf_text(&rq->text), rq->text.len);
	struct buf words;

	*out = (struct messages){.items = arena_array(rq->arena, given->count + 2, sizeof *out->items)};
	if (answer == NULL || out->items == NULL || !write_words(rq, &words))
		return RC_NOMEM;
	for (size_t i = 0; i < given->count; i++)
		add(out, given->items[i].role, given->items[i].text, given->items[i].len);
	if (rq->text.len > 0)
		add(out, ROLE_MODEL, answer, rq->text.len);
	add(out, ROLE_USER, buf_text(&words), words.len);
	return RC_OK;
}

enum rc step_repair(struct request *rq)
{
	struct messages messages;
	const char *why;
	enum rc rc;

	if (rq->broken == NULL)
		return RC_OK;
	why = obstacle(rq);
	if (why != NULL)
		return fail(rq, why);
	if (compose(rq, &messages) != RC_OK)
		return request_fail(rq, PROBLEM_INTERNAL, "out of memory");
	buf_clear(&rq->text);
	rc = generate_call(rq, &messages, rq->deadline_us);
	if (rc != RC_OK)
		return fail(rq, arena_printf(rq->arena, "the repair failed: %s", provider_fault_name(rq->result.fault)));
	rc = check_output(rq);
	if (rc == RC_INVALID)
		return fail(rq, "a repair did not help");
	return rc == RC_OK ? RC_OK : request_fail(rq, PROBLEM_INTERNAL, "out of memory");
}
