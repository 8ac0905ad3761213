/*
 * request.h - the one structure that the steps of the pipeline pass along, and what each step promises.
 *
 * A step reads what earlier steps left here and leaves its own; steps never call each other. All pointers belong to the request's arena, the endpoint or
 * the service.
 */
#ifndef REQUEST_REQUEST_H
#define REQUEST_REQUEST_H

#include "base/log.h"
#include "port/fcgi.h"
#include "port/token.h"
#include "request/cost.h"
#include "request/problem.h"
#include "request/service.h"

#define REQUEST_ARENA_MAX (48u << 20)
#define REQUEST_STEPS_MAX 16

enum answer_mode {
	ANSWER_JSON, /* one JSON object at the end */
	ANSWER_TEXT, /* text/plain, piece by piece */
	ANSWER_SSE,  /* server-sent events, piece by piece */
};

/* What fpm.admit said. */
struct admission {
	const char *ticket; /* of the ledger's row; NULL where there is none (yet) */
	bool settled;       /* the row has ended before the request: another model is asked */
	bool cached;        /* the row is a cache hit: there is nothing to settle */
	const char *model;  /* as the ledger names it */
	const char *price_input, *price_cached, *price_output; /* USD a token, exact decimals */
	const char *rate_limit, *rate_remaining, *rate_reset;  /* NULL where the endpoint has no rate */
	char digest[TOKEN_DIGEST_SIZE]; /* of all that shapes the answer; "" where it is not to be cached */
};

struct request {
	struct service *service;
	struct fcgi *fcgi;
	struct arena *arena;
	char id[TOKEN_REQUEST_SIZE];
	int64_t started_us, deadline_us;
	int64_t beat_us; /* when a caller of events last heard from us that we are there; from the start until he has */

	/* read */
	const char *method, *path;
	const struct endpoint *endpoint;
	const char *body;
	size_t body_len;

	/* authenticate */
	char key_hash[TOKEN_DIGEST_SIZE];
	const struct caller *caller;
	const char *supplier; /* uuid */

	/* validate */
	const struct value *input;
	struct messages history;
	enum answer_mode mode;

	/* render */
	struct messages messages;

	/* idempotency */
	struct {
		char digest[TOKEN_DIGEST_SIZE]; /* of path and key */
		bool claimed;                   /* this request makes the call for its key */
		bool kept;                      /* and its answer is there for whoever repeats it */
	} idempotency;
	bool replayed; /* this is the answer to an earlier request: id, admission.model, usage and problem are that one's */

	/* admit */
	unsigned models_tried; /* of the endpoint's own and its fallbacks, in this order */
	const struct provider_access *access;
	const char *model; /* as the provider names it */
	int max_tokens;
	struct admission admission;

	/* generate */
	struct provider_result result; /* of the last call to the provider */
	bool generated;  /* a call came to its end without a fault */
	struct buf text; /* all of its text so far */
	unsigned calls; /* of this row's */
	int64_t called_us;  /* when the last call began */
	int64_t paused_us;  /* between two tries, of all models together */
	struct usage used;  /* of all calls together, by the stated estimate where one reported nothing; `reported` says nothing here */
	bool estimated;     /* some of it is an estimate, and not of nothing */

	/* fallback: what was asked for in vain, and has a row of its own */
	const char *fell_back_from; /* models and how they failed: "gpt-4o-mini:busy,claude-haiku-4-5:timeout"; NULL: none did */
	int64_t earlier_tokens;
	char earlier_cents[COST_TEXT_SIZE];

	/* check, repair */
	const struct value *output; /* of a JSON endpoint, parsed and checked */
	const char *broken;         /* what is wrong with the text, for the log: nothing of the model's words; NULL: nothing is */
	struct buf errors;          /* the same for the model, each error a line */

	/* respond */
	struct buf frame; /* of a stream, the last that was written */
	bool head_sent;
	bool caller_gone;
	const char *body_sent; /* of a JSON answer */
	const char *usage;     /* the member `usage` of the answer; NULL until it is needed */

	/* where it ended */
	const struct problem *problem; /* NULL: none */
	int retry_after_s;             /* overrides the catalogue's */
	struct schema_faults faults;   /* with PROBLEM_INVALID_INPUT */
	const char *detail;            /* our words for the log; never sent */
	const char *allow;             /* with PROBLEM_METHOD */

	/* for the slow log, which alone writes the first two */
	struct {
		int64_t since_us;       /* when text of a stream came last; 0: none has yet */
		int64_t longest_us;     /* for the next of it, until then */
		int64_t same_answer_us; /* in admit or fallback, for the same answer that another request was making */
		int64_t database_us;    /* in fallback, for the database */
	} wait;

	struct {
		const char *name;
		int us;
	} steps[REQUEST_STEPS_MAX];
	unsigned step_count;
};

/* Ends the pipeline with a problem: `return request_fail(rq, PROBLEM_…, "what the log should say")`. Always RC_INVALID. */
enum rc request_fail(struct request *rq, enum problem_code code, const char *detail);

/* The same where the database's verdict is a refusal, which is counted. */
enum rc request_refuse(struct request *rq, enum problem_code code);

/* Adds to a line of a log how the request went: nothing of what its caller sent, nor of what was answered. */
void request_log_course(struct log_line *line, const struct request *rq);

/* The steps, in order. Each returns RC_OK to go on; anything else stops the pipeline, with rq->problem set (RC_DONE: nothing more to do). */
enum rc step_read(struct request *rq) MUST_CHECK;         /* endpoint, method, body */
enum rc step_authenticate(struct request *rq) MUST_CHECK; /* key_hash, caller, supplier */
enum rc step_validate(struct request *rq) MUST_CHECK;     /* input, history, mode */
enum rc step_render(struct request *rq) MUST_CHECK;       /* messages */
enum rc step_idempotency(struct request *rq) MUST_CHECK;  /* the key is claimed, or the first answer given again */
enum rc step_admit(struct request *rq) MUST_CHECK;        /* access, model, admission; a reservation stands from here on */
enum rc step_generate(struct request *rq) MUST_CHECK;     /* result, text; streams go out while it runs. RC_OK with a problem where the provider failed */
enum rc step_fallback(struct request *rq) MUST_CHECK;     /* the same of another model, where there is a problem */
enum rc step_check(struct request *rq) MUST_CHECK;        /* output, or what is wrong with it */
enum rc step_repair(struct request *rq) MUST_CHECK;       /* output, after a second call to the provider where the first one's was broken */
enum rc step_respond(struct request *rq) MUST_CHECK;      /* the answer, or a stream's end */

/* read.c: method and path alone, of what is no generation. */
enum rc read_head(struct request *rq) MUST_CHECK;

/* report.c: GET PREFIX/usage, instead of the steps between authenticate and respond. */
bool report_wanted(const struct request *rq);
enum rc step_report(struct request *rq) MUST_CHECK; /* the whole answer */

/* admit.c: the next of the endpoint's models that is to be had, admitted. A refusal is counted for the first alone. */
enum rc admit_next(struct request *rq) MUST_CHECK;
unsigned admit_models_left(const struct request *rq); /* how many are to be had besides those tried, as far as their providers are configured */

/* generate.c: an answer of the admitted model, by as many calls as it takes. RC_OK, RC_GONE (the caller left), or RC_UNAVAILABLE with the problem. */
enum rc generate_answer(struct request *rq) MUST_CHECK;

/* generate.c: a call to the provider, made again where that may help; result, calls and usage are brought up to date whatever becomes of it, the text is appended. `messages`
 * belong to the arena; it ends by the deadline (of clock_us). */
enum rc generate_call(struct request *rq, const struct messages *messages, int64_t deadline_us) MUST_CHECK;

/* generate.c: the socket on which the caller's leaving is watched for; -1 where what is made is made without him too. */
int generate_watch_fd(const struct request *rq);

/* generate.c: a heartbeat where it is time for one; RC_GONE where the caller left and the call does not run on. */
enum rc generate_company(struct request *rq) MUST_CHECK;

/* retry.c: waits until the call that has just failed is to be made again, for the `tries`th time (from 0). RC_DONE: it is not, by the deadline (of
 * clock_us) or at all; RC_GONE: the caller left meanwhile. */
enum rc retry_pause(struct request *rq, unsigned tries, int64_t deadline_us) MUST_CHECK;

/* check.c: parses and checks rq->text. RC_INVALID with broken and errors set, RC_NOMEM. */
enum rc check_output(struct request *rq) MUST_CHECK;

/* repair.c: bytes that the repair's messages can have at most beyond those of the first call; 0 where the endpoint's output is never repaired. */
size_t repair_bytes_max(const struct request *rq);

/* respond.c: what generate writes through, and what the pipeline sends when a step failed. */
enum rc respond_piece(struct request *rq, const char *text, size_t n) MUST_CHECK;
enum rc respond_flush(struct request *rq) MUST_CHECK; /* the pieces so far go out */
enum rc respond_heartbeat(struct request *rq) MUST_CHECK;
int respond_heartbeat_ms(const struct request *rq); /* from one to the next; 0 where the answer has none */
enum rc respond_company(struct request *rq) MUST_CHECK; /* a heartbeat, where it is time for one */
int respond_company_ms(const struct request *rq, int most); /* until it is; at most `most`, which it is where he left */
enum rc respond_body(struct request *rq, const char *json, size_t n) MUST_CHECK; /* a whole answer of 200 */
enum rc respond_again(struct request *rq, const char *content) MUST_CHECK;       /* an answer that was kept, or what a stream held before its problem */
void respond_problem(struct request *rq);
const char *respond_usage(struct request *rq); /* rq->usage, made where it is not yet; NULL when out of memory */

/* idempotency.c: before the settlement, what the caller was answered is kept; after it, a key whose answer was not kept is given up. */
void idempotency_keep(struct request *rq);
void idempotency_release(struct request *rq);

/* settle.c: ends the reservation, exactly once, whatever happened: now, or from the service's queue when the database is away. */
void settle_reservation(struct request *rq);

/* settle.c: the same, now or not at all, for a row whose model failed and in whose place another is asked. RC_OK once it is durable; else the row is still the request's. */
enum rc settle_attempt(struct request *rq) MUST_CHECK;

#endif
