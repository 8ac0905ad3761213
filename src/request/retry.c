/*
 * retry.c - whether a call that failed is made again, and when.
 *
 * Only what cost nothing is: a provider that refused for now, or was never reached. So all tries lie within the reservation of the first, and nobody pays for more than the
 * answer. A call that broke off or was silent may have been worked on, and is charged for: it is the endpoint's fallback that goes on from there.
 */
#include <limits.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/peer.h"
#include "request/request.h"

#define FIRST_MS 250       /* before the first retry at most; before each further one twice as much */
#define ASKED_MOST_S 10    /* a provider that asks for a longer pause is not waited for */

static bool may_help(const struct provider_result *result)
{
	return result->fault == FAULT_BUSY || result->fault == FAULT_UNAVAILABLE || result->fault == FAULT_UNREACHABLE;
}

/* What the provider asks for, and half of ours to all of it, so that those who were refused together do not come again together. */
static int64_t length_ms(const struct provider_result *result, unsigned tries)
{
	int64_t ours_ms = (int64_t)FIRST_MS << tries;

	return result->retry_after_s * INT64_C(1000) + ours_ms / 2 + clock_us() % (ours_ms / 2 + 1);
}

/* A caller of events hears from us meanwhile. */
static enum rc pause_until(struct request *rq, int64_t until_us)
{
	enum rc rc = RC_OK;
	int ms;

	while (rc == RC_OK && (ms = clock_left_ms(until_us, INT_MAX)) > 0) {
		rc = peer_pause(generate_watch_fd(rq), respond_company_ms(rq, ms));
		if (rc == RC_OK)
			rc = generate_company(rq);
	}
	return rc;
}

enum rc retry_pause(struct request *rq, unsigned tries, int64_t deadline_us)
{
	const struct provider_result *result = &rq->result;
	int64_t since_us = clock_us(), until_us = since_us + length_ms(result, tries) * 1000;
	enum rc rc;

	if (!may_help(result) || tries >= rq->service->settings->upstream_retries || result->retry_after_s > ASKED_MOST_S || until_us >= deadline_us)
		return RC_DONE;
	atomic_fetch_add(&rq->service->retries, 1);
	rc = pause_until(rq, until_us);
	rq->paused_us += clock_us() - since_us;
	return rc == RC_GONE ? RC_GONE : RC_OK;
}
