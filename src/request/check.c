/*
 * check.c - a JSON output is parsed and checked against its schema, whatever the provider promised.
 */
#include "port/json.h"
#include "request/request.h"

/* In the schema's own terms, and checked: strict structured output gives null for what may be left out. */
static enum rc check_schema(struct request *rq, const struct value **output)
{
	struct schema_faults faults = {.count = 0};

	if (rq->endpoint->output == NULL)
		return RC_OK;
	*output = schema_from_strict(rq->endpoint->output, rq->arena, *output);
	return *output == NULL ? RC_NOMEM : schema_check(rq->endpoint->output, rq->arena, *output, NULL, &faults);
}

/* What is wrong with it exactly would be the model's own words: they go neither to the caller nor into the log. */
enum rc step_check(struct request *rq)
{
	struct value *parsed;
	enum rc rc;

	if (rq->endpoint->format != OUTPUT_JSON)
		return RC_OK;
	rc = json_parse(rq->arena, buf_text(&rq->text), rq->text.len, &parsed, NULL);
	if (rc == RC_INVALID)
		return request_fail(rq, PROBLEM_INVALID_GENERATION, "the model's answer is not JSON");
	rq->output = parsed;
	if (rc == RC_OK)
		rc = check_schema(rq, &rq->output);
	if (rc == RC_INVALID)
		return request_fail(rq, PROBLEM_INVALID_GENERATION, "the model's answer breaks its schema");
	return rc == RC_OK ? RC_OK : request_fail(rq, PROBLEM_INTERNAL, "out of memory");
}
