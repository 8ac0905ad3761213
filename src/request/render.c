/*
 * render.c - the endpoint's template and the input make the messages.
 */
#include "request/request.h"

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
	if (rq->messages.count == 0)
		return request_fail(rq, PROBLEM_ENDPOINT_BROKEN, "the template rendered no message");
	return RC_OK;
}
