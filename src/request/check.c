/*
 * check.c - a JSON output is parsed and checked against its schema, whatever the provider promised; a text has a word at least.
 *
 * What is wrong with it exactly would be the model's own words: they go back to the model (repair.c), but neither to the caller nor into the log.
 */
#include <string.h>

#include "port/json.h"
#include "request/request.h"

#define ERRORS_MAX 2048u /* bytes; what does not fit is left out, whole lines at a time */

static enum rc break_off(struct request *rq, const char *broken)
{
	rq->broken = broken;
	rq->output = NULL;
	return RC_INVALID;
}

/* In the schema's own terms, and checked: strict structured output gives null for what may be left out. */
static enum rc check_schema(struct request *rq, const struct value *parsed)
{
	const struct schema *schema = rq->endpoint->output;
	struct schema_faults faults = {.count = 0};
	enum rc rc = RC_OK;

	rq->output = schema == NULL ? parsed : schema_from_strict(schema, rq->arena, parsed);
	if (rq->output == NULL)
		return RC_NOMEM;
	if (schema != NULL)
		rc = schema_check(schema, rq->arena, rq->output, NULL, &faults);
	if (rc != RC_INVALID)
		return rc;
	for (unsigned i = 0; i < faults.count; i++) {
		const char *line = arena_printf(rq->arena, "- %s: %s\n", *faults.items[i].path ? faults.items[i].path : "the whole", faults.items[i].reason);

		if (line == NULL)
			return RC_NOMEM;
		if (strlen(line) <= ERRORS_MAX - rq->errors.len)
			buf_puts(&rq->errors, line);
	}
	return break_off(rq, "the model's answer breaks its schema");
}

enum rc check_output(struct request *rq)
{
	struct json_error error;
	struct value *parsed;
	enum rc rc = json_parse(rq->arena, buf_text(&rq->text), rq->text.len, &parsed, &error);

	rq->broken = NULL;
	buf_init(&rq->errors, rq->arena, ERRORS_MAX);
	if (rc == RC_INVALID && rq->result.stop == STOP_LENGTH)
		buf_printf(&rq->errors, "- it was cut at its ceiling of %d tokens: be shorter\n", rq->max_tokens);
	if (rc == RC_INVALID)
		buf_printf(&rq->errors, "- it is not JSON: %s%s\n", json_error_place(rq->arena, &error), error.reason);
	if (rc == RC_INVALID)
		return break_off(rq, "the model's answer is not JSON");
	return rc == RC_OK ? check_schema(rq, parsed) : rc;
}

/* A model that has reasoned its tokens away, or was held back, before its first word: not one that ended with nothing to say. */
static bool is_void(const struct request *rq)
{
	return !rq->admission.cached && rq->text.len == 0 && rq->result.stop != STOP_END;
}

enum rc step_check(struct request *rq)
{
	enum rc rc;

	if (rq->endpoint->format != OUTPUT_JSON)
		return is_void(rq) ? request_fail(rq, PROBLEM_INVALID_GENERATION, "the model's answer has no word") : RC_OK;
	rc = check_output(rq);
	return rc == RC_OK || rc == RC_INVALID ? RC_OK : request_fail(rq, PROBLEM_INTERNAL, "out of memory");
}
