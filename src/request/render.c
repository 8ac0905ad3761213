/*
 * render.c - the endpoint's template and the input make the messages.
 */
#include "request/request.h"

/* A template without a word is the operator's to mend; one that this input leaves without a word is not. */
static enum rc refuse_empty(struct request *rq)
{
	if (rq->endpoint->blank)
		return request_fail(rq, PROBLEM_ENDPOINT_BROKEN, "the template rendered no message");
	rq->faults.items[rq->faults.count++] = (struct schema_fault){.path = "", .reason = "leaves nothing to ask: what it is made of is blank or missing"};
	return request_fail(rq, PROBLEM_INVALID_INPUT, NULL);
}

enum rc step_render(struct request *rq)
{
	const struct template_data data = {.input = rq->input, .history = rq->history.count > 0 ? &rq->history : NULL};

	switch (endpoint_render(rq->endpoint, rq->arena, &data, &rq->messages)) {
	case RC_OK:
		break;
	case RC_TOOBIG:
		return request_fail(rq, PROBLEM_BODY_TOO_LARGE, "the rendered prompt is too large");
	default:
		return request_fail(rq, PROBLEM_INTERNAL, "rendering failed");
	}
	return rq->messages.count == 0 ? refuse_empty(rq) : RC_OK;
}
