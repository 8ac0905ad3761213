/*
 * call.c - the life of a call: let in, planned, answered in pieces on a timer, stopped where its plan says so.
 */
#include "call.h"

#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "counts.h"
#include "record.h"
#include "sample.h"
#include "tries.h"

static const char *const words[] = {
	"Dear", "couple,", "your",      "day",  "in",  "June",    "at",    "the",  "café", "begins",
	"with", "music",   "für", "everyone,", "乾杯", "and", "dancing", "until", "late", "💐",
};

#define WORD_COUNT (long)(sizeof words / sizeof words[0])

static struct call_defaults defaults;
static struct plan next_plan;
static char *next_words;
static long next_calls;
static long call_count;
static TAILQ_HEAD(, call) gate = TAILQ_HEAD_INITIALIZER(gate);
static struct text scratch, piece;

static void step(struct call *call);

void call_setup(const struct call_defaults *given)
{
	defaults = *given;
}

static long long microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void leave_gate(struct call *call)
{
	if (!call->gated)
		return;
	TAILQ_REMOVE(&gate, call, gate);
	call->gated = false;
	counts_add(GATED, -1);
}

static void keep_record(const struct call *call, enum count how, bool told)
{
	record_add(&(struct record){
		.id = call->id,
		.how = how == FINISHED ? "finished" : how == FAILED ? "failed" : "cancelled",
		.status = call->plan.status != 0 ? call->plan.status : 200,
		.stream = call->stream,
		.pieces = call->sent,
		.text_bytes = call->text_bytes,
		.said_bytes = (long)call->said.len,
		.prompt = told ? call->prompt_tokens : 0,
		.cached = told ? call->plan.cached : 0,
		.completion = told ? call_completion_tokens(call) : 0,
		.told = told,
	});
}

/* The end of every call; `how` is FINISHED, FAILED or CANCELLED. */
static void end(struct call *call, enum count how)
{
	/* Anthropic's streams tell it unasked. */
	bool told = how == FINISHED && !call->plan.nousage && (!call->stream || call->include_usage || call->protocol == &anthropic_protocol);

	leave_gate(call);
	if (told) {
		counts_add(PROMPT_TOKENS, call->prompt_tokens);
		counts_add(CACHED_TOKENS, call->plan.cached);
		counts_add(COMPLETION_TOKENS, call_completion_tokens(call));
	}
	keep_record(call, how, told);
	counts_add(OPEN, -1);
	counts_add(how, 1);
	event_free(call->timer);
	plan_free(&call->plan);
	text_free(&call->said);
	text_free(&call->reply);
	json_object_put(call->schema);
	free(call->model);
	free(call->id);
	free(call->tool);
	free(call);
}

static void on_gone(void *arg)
{
	end(arg, CANCELLED);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	step(arg);
}

static void wait_ms(struct call *call, long ms)
{
	struct timeval pause = {ms / 1000, ms % 1000 * 1000};

	evtimer_add(call->timer, &pause);
}

long call_completion_tokens(const struct call *call)
{
	return call->plan.tokens >= 0 ? call->plan.tokens : call->pieces;
}

bool call_cut_short(const struct call *call)
{
	return call->max_tokens > 0 && call->reply.len == 0 && call->plan.pieces > call->max_tokens;
}

/* Up to the end of a character. */
static size_t whole_characters(const char *s, size_t n, size_t all)
{
	while (n < all && ((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static void make_piece(struct call *call)
{
	size_t left = call->reply.len - call->reply_at, n = left / (size_t)(call->pieces - call->sent);

	text_clear(&piece);
	if (call->sent == 0 && call->plan.huge > 0)
		text_fill(&piece, 'x', (size_t)call->plan.huge);
	if (call->reply.len > 0) {
		n = call->sent + 1 == call->pieces ? left : whole_characters(call->reply.data + call->reply_at, n, left);
		text_add(&piece, call->reply.data + call->reply_at, n);
		call->reply_at += n;
	}
	if (call->reply.len > 0 || call->plan.text != NULL)
		return;
	if (call->stream && !call->plan.nostamp)
		text_printf(&piece, "<t=%lld> ", microseconds());
	text_printf(&piece, "%s ", words[call->sent % WORD_COUNT]);
}

static void next_piece(struct call *call)
{
	make_piece(call);
	call->text_bytes += (long)piece.len;
}

/* Events as the plan wants them on the wire. */
static void send_events(struct call *call, const struct text *events)
{
	static struct text wire;

	if (!call->plan.crlf) {
		http_stream_write(call->conn, events->data, events->len);
		return;
	}
	text_clear(&wire);
	for (size_t i = 0; i < events->len; i++)
		text_add(&wire, events->data[i] == '\n' ? "\r\n" : &events->data[i], events->data[i] == '\n' ? 2 : 1);
	http_stream_write(call->conn, wire.data, wire.len);
}

static void open_stream(struct call *call)
{
	call->opened = true;
	http_stream_open(call->conn, "text/event-stream; charset=utf-8", (size_t)call->plan.split);
	text_clear(&scratch);
	if (call->plan.bom)
		text_puts(&scratch, "\xef\xbb\xbf");
	call->protocol->print_open(call, &scratch);
	send_events(call, &scratch);
}

static void send_piece(struct call *call)
{
	text_clear(&scratch);
	if (call->plan.comment)
		text_puts(&scratch, ": still here\n\n");
	next_piece(call);
	call->protocol->print_piece(call, piece.data, piece.len, &scratch);
	call->sent++;
	counts_add(PIECES, 1);
	send_events(call, &scratch);
}

static void finish_stream(struct call *call)
{
	text_clear(&scratch);
	call->protocol->print_close(call, &scratch);
	send_events(call, &scratch);
	http_stream_close(call->conn);
	end(call, FINISHED);
}

/* Ends that a plan asks for, of a stream that has sent so many pieces. True where it is over. */
static bool break_stream(struct call *call)
{
	long at = call->sent;
	const struct plan *plan = &call->plan;

	if (at != plan->cut && at != plan->reset && at != plan->end && at != plan->error && at != plan->garbage)
		return false;
	text_clear(&scratch);
	if (at == plan->error)
		text_puts(&scratch, "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"server_error\", \"message\": \"" STANDIN_SECRET "\"}}\n\n");
	if (at == plan->garbage)
		text_printf(&scratch, "data: <html>%s\n\n", STANDIN_SECRET);
	if (scratch.len > 0)
		send_events(call, &scratch);
	if (at == plan->cut || at == plan->reset)
		http_cut(call->conn, at == plan->reset);
	else
		http_stream_close(call->conn);
	end(call, FAILED);
	return true;
}

/* True where the call stands still now. */
static bool hold(struct call *call)
{
	if (call->sent == call->plan.silence)
		return true;
	if (call->sent != call->plan.gate || call->released)
		return false;
	call->gated = true;
	TAILQ_INSERT_TAIL(&gate, call, gate);
	counts_add(GATED, 1);
	return true;
}

static void step_stream(struct call *call)
{
	long pause = call->plan.delay_ms >= 0 ? call->plan.delay_ms : defaults.piece_ms;

	if (!call->opened)
		open_stream(call);
	do {
		if (hold(call) || break_stream(call))
			return;
		if (call->sent == call->pieces) {
			finish_stream(call);
			return;
		}
		send_piece(call);
	} while (pause == 0);
	wait_ms(call, pause);
}

static void collect_reply(struct call *call, struct text *whole)
{
	text_clear(whole);
	for (; call->sent < call->pieces; call->sent++) {
		next_piece(call);
		text_add(whole, piece.data, piece.len);
	}
}

static void answer_plain(struct call *call)
{
	static struct text whole;
	bool cut = call->plan.cut >= 0, reset = call->plan.reset >= 0, garbage = call->plan.garbage >= 0;

	text_clear(&scratch);
	collect_reply(call, &whole);
	if (garbage)
		text_printf(&scratch, "<html>%s", STANDIN_SECRET);
	else
		call->protocol->print_plain(call, whole.data, whole.len, &scratch);
	if (reset)
		http_cut(call->conn, true);
	else if (cut)
		http_answer_cut(call->conn, "application/json", scratch.len, scratch.data, scratch.len / 2);
	else
		http_answer(call->conn, 200, "", "application/json", scratch.data, scratch.len);
	end(call, cut || reset || garbage ? FAILED : FINISHED);
}

static void refuse(struct http_conn *conn, const struct protocol *protocol, int status, long retry_after, const char *message)
{
	char headers[64] = "";

	if (retry_after >= 0)
		snprintf(headers, sizeof headers, "Retry-After: %ld\r\n", retry_after);
	text_clear(&scratch);
	protocol->print_error(status, message, &scratch);
	counts_status(status);
	http_answer(conn, status, headers, "application/json", scratch.data, scratch.len);
}

static void step(struct call *call)
{
	if (call->plan.status != 0) {
		refuse(call->conn, call->protocol, (int)call->plan.status, call->plan.retry_after, STANDIN_SECRET);
		end(call, FAILED);
	} else if (call->stream) {
		step_stream(call);
	} else if (!hold(call)) {
		answer_plain(call);
	}
}

static void set_reply(struct call *call)
{
	if (call->plan.text != NULL)
		text_puts(&call->reply, call->plan.text);
	else if (call->schema != NULL)
		sample_print(call->schema, &call->reply);
	call->pieces = call->plan.pieces;
	if (call_cut_short(call))
		call->pieces = call->max_tokens;
	if (call->pieces < 1)
		call->pieces = 1;
}

/* False where it holds a directive that cannot be understood. */
static bool set_plan(struct call *call)
{
	call->plan = defaults.plan;
	if (next_calls > 0 && next_calls-- > 0 && !plan_take(&call->plan, next_words, call->model))
		return false;
	if (!plan_read(&call->plan, call->said.data != NULL ? call->said.data : "", call->model))
		return false;
	if (call->plan.times > 0 && tries_add(call->id) > call->plan.times)
		call->plan.status = 0;
	call->prompt_tokens = call->plan.prompt >= 0 ? call->plan.prompt : (long)(call->said.len + 3) / 4;
	set_reply(call);
	return true;
}

static void start(struct call *call)
{
	long pause = call->plan.start_ms + (call->stream || call->plan.delay_ms < 0 ? 0 : call->plan.delay_ms);

	counts_add(call->stream ? STREAMS : PLAIN, 1);
	if (call->plan.status == 0)
		counts_status(200);
	if (pause > 0)
		wait_ms(call, pause);
	else
		step(call);
}

static struct call *new_call(struct http_conn *conn, const struct protocol *protocol, struct json_object *request, const char *id)
{
	struct call *call = take(sizeof *call);
	struct json_object *model = json_object_object_get(request, "model");
	const char *name = json_object_is_type(model, json_type_string) ? json_object_get_string(model) : "";

	call->conn = conn;
	call->protocol = protocol;
	call->number = ++call_count;
	call->model = take_copy(name, strlen(name));
	call->id = take_copy(id, strlen(id));
	call->stream = json_object_get_boolean(json_object_object_get(request, "stream"));
	call->timer = evtimer_new(defaults.base, on_timer, call);
	protocol->read(call, request);
	counts_add(OPEN, 1);
	http_on_gone(conn, on_gone, call);
	return call;
}

static void begin_parsed(struct http_conn *conn, const struct protocol *protocol, struct json_object *request, const char *id)
{
	struct call *call = new_call(conn, protocol, request, id);

	if (!set_plan(call)) {
		refuse(conn, protocol, 400, -1, "a directive that the stand-in does not understand");
		end(call, FAILED);
	} else {
		start(call);
	}
}

static void turn_away(struct http_conn *conn, const struct protocol *protocol, const char *id, int status, const char *message)
{
	record_add(&(struct record){.id = id, .how = "refused", .status = status});
	refuse(conn, protocol, status, -1, message);
}

void call_begin(struct http_conn *conn, const struct http_request *request, const struct protocol *protocol)
{
	const char *given = http_header(request, "X-Client-Request-Id"), *id = given != NULL ? given : "";
	struct json_object *parsed;

	counts_add(REQUESTS, 1);
	if (defaults.key != NULL && !protocol->authorized(request, defaults.key)) {
		counts_add(UNAUTHORIZED, 1);
		turn_away(conn, protocol, id, 401, "wrong key; " STANDIN_SECRET);
		return;
	}
	parsed = json_tokener_parse(request->body);
	if (json_object_is_type(parsed, json_type_object))
		begin_parsed(conn, protocol, parsed, id);
	else
		turn_away(conn, protocol, id, 400, "the body is not a JSON object; " STANDIN_SECRET);
	json_object_put(parsed);
}

bool call_next(long calls, const char *given)
{
	plan_init(&next_plan);
	if (!plan_take(&next_plan, given, ""))
		return false;
	plan_free(&next_plan);
	free(next_words);
	next_words = take_copy(given, strlen(given));
	next_calls = calls;
	return true;
}

void call_release_all(void)
{
	TAILQ_HEAD(, call) waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct call *call;

	TAILQ_CONCAT(&waiting, &gate, gate);
	while ((call = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, call, gate);
		call->gated = false;
		call->released = true;
		counts_add(GATED, -1);
		step(call);
	}
}

void call_add_content(struct call *call, struct json_object *content)
{
	if (json_object_is_type(content, json_type_string)) {
		text_add(&call->said, json_object_get_string(content), (size_t)json_object_get_string_len(content));
		return;
	}
	for (size_t i = 0; json_object_is_type(content, json_type_array) && i < json_object_array_length(content); i++)
		call_add_content(call, json_object_object_get(json_object_array_get_idx(content, i), "text"));
}
