/*
 * frontmatter_test.c - every key of front matter: what it sets, its default, and what is said where when it is wrong.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "prompt/frontmatter.h"
#include "unit.h"

static struct arena *arena;
static struct diagnostics list;
static struct endpoint endpoint;
static struct frontmatter_body body;

static void set_up(void)
{
	arena = arena_new(8u << 20);
	diagnostics_init(&list, arena, "x.prompt");
	endpoint = (struct endpoint){.name = "generate-x", .arena = arena};
}

static void tear_down(void)
{
	arena_free(arena);
}

static enum rc read_file(const char *text)
{
	return frontmatter_read(&endpoint, text, strlen(text), &body, &list);
}

/* One front matter of these lines. */
static enum rc read_lines(const char *lines)
{
	return read_file(arena_printf(arena, "---\n%s---\nbody\n", lines));
}

static void good(const char *lines)
{
	enum rc rc = read_lines(lines);

	ck_assert_msg(rc == RC_OK && list.warnings == 0, "%s", list.first == NULL ? rc_name(rc) : list.first->message);
}

START_TEST(has_defaults)
{
	ck_assert_int_eq(read_file("Hello"), RC_OK);
	ck_assert_ptr_null(endpoint.model);
	ck_assert_uint_eq(endpoint.fallback_count, 0);
	ck_assert_double_eq(endpoint.temperature, 0.7);
	ck_assert_double_lt(endpoint.top_p, 0);
	ck_assert_int_eq(endpoint.max_tokens, 1000);
	ck_assert_ptr_null(endpoint.stop);
	ck_assert_ptr_null(endpoint.input);
	ck_assert_int_eq(endpoint.format, OUTPUT_TEXT);
	ck_assert_str_eq(endpoint.feature, "generate_x");
	ck_assert_str_eq(endpoint.answer, "result");
	ck_assert_int_eq(endpoint.rate.count, 0);
	ck_assert_int_eq(endpoint.cache.scope, CACHE_SUPPLIER);
	ck_assert_int_eq(endpoint.cache.ttl_s, 86400);
	ck_assert_str_eq(body.text, "Hello");
	ck_assert_uint_eq(body.line, 1);
}
END_TEST

static const struct endpoint_bounds bounds = {
	.models = "openai/gpt-4o-mini, anthropic/claude-*", .otherwise = "local/llama", .max_tokens = 500, .rate = {10, 60, 0}};

/* What is said of these lines in a document root that is held to the bounds. */
static const char *bounded(const char *lines, enum rc expected)
{
	diagnostics_init(&list, arena, "x.prompt");
	endpoint = (struct endpoint){.name = "generate-x", .arena = arena, .bounds = &bounds};
	ck_assert_msg(read_lines(lines) == expected, "%s", lines);
	return list.first == NULL ? "" : diagnostic_text(arena, list.first);
}

START_TEST(keeps_within_bounds)
{
	static const char *const allowed[] = {"openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "local/llama"};
	static const char *const refused[] = {"openai/gpt-4o-mini-2", "openai/gpt-4o", "anthropic/other", "local/llama-2", "x"};

	for (size_t i = 0; i < COUNT_OF(allowed); i++) {
		ck_assert_str_eq(bounded(arena_printf(arena, "model: %s\n", allowed[i]), RC_OK), "");
		ck_assert_str_eq(bounded(arena_printf(arena, "fpm.fallback: [%s]\n", allowed[i]), RC_OK), "");
	}
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		ck_assert_ptr_nonnull(strstr(bounded(arena_printf(arena, "model: %s\n", refused[i]), RC_INVALID), "x.prompt:2:8: error: the model \""));
		ck_assert_ptr_nonnull(strstr(bounded(arena_printf(arena, "fpm.fallback: [%s]\n", refused[i]), RC_INVALID), "is not allowed in a document root"));
	}
	ck_assert_str_eq(bounded("config: {maxOutputTokens: 400}\nfpm.rate: 5/minute\n", RC_OK), "");
	ck_assert_int_eq(endpoint.max_tokens, 400);
	ck_assert_int_eq(endpoint.rate.count, 5);
	ck_assert_ptr_nonnull(strstr(bounded("config: {maxOutputTokens: 501}\n", RC_OK), "2:27: warning: a document root has 500 tokens at most"));
	ck_assert_int_eq(endpoint.max_tokens, 500);
	ck_assert_ptr_nonnull(strstr(bounded("fpm.rate: 5/second\n", RC_OK), "2:11: warning: a document root has a tighter rate"));
	ck_assert(rate_equal(endpoint.rate, (struct rate){10, 60, 5}));
	ck_assert_str_eq(bounded("fpm.feature: x\n", RC_OK), "");
	ck_assert_int_eq(endpoint.max_tokens, 500);
	ck_assert(rate_equal(endpoint.rate, bounds.rate));
	endpoint = (struct endpoint){.name = "x", .arena = arena, .bounds = &bounds};
	ck_assert_int_eq(read_file("no front matter"), RC_OK);
	ck_assert_int_eq(endpoint.max_tokens, 500);
	ck_assert(rate_equal(endpoint.rate, bounds.rate));
}
END_TEST

START_TEST(reads_every_key)
{
	good("model: openai/gpt-4.1\n"
	     "config: { temperature: 0, maxOutputTokens: 1500, topP: 0.5, stopSequences: [END, \"\\n\\n\"] }\n"
	     "input:\n  schema: {name: string, stream?: boolean}\n  default: {name: you}\n"
	     "output: { format: text }\n"
	     "fpm.feature: form_generation\n"
	     "fpm.answer: form\n"
	     "fpm.rate: 10/second burst 20\n"
	     "fpm.cache: { scope: organisation, ttl: 15m }\n"
	     "fpm.fallback: [anthropic/claude-haiku-4-5, local/x]\n");
	ck_assert_str_eq(endpoint.model, "openai/gpt-4.1");
	ck_assert_double_eq(endpoint.temperature, 0);
	ck_assert_int_eq(endpoint.max_tokens, 1500);
	ck_assert_double_eq(endpoint.top_p, 0.5);
	ck_assert_uint_eq(endpoint.stop->u.array.count, 2);
	ck_assert_ptr_nonnull(endpoint.input);
	ck_assert(endpoint.streams);
	ck_assert_str_eq(value_text(value_get(endpoint.input_default, "name"), ""), "you");
	ck_assert_str_eq(endpoint.feature, "form_generation");
	ck_assert_str_eq(endpoint.answer, "form");
	ck_assert_int_eq(endpoint.rate.count, 10);
	ck_assert_int_eq(endpoint.rate.period_s, 1);
	ck_assert_int_eq(endpoint.rate.burst, 20);
	ck_assert_int_eq(endpoint.cache.scope, CACHE_ORGANIZATION);
	ck_assert_int_eq(endpoint.cache.ttl_s, 900);
	ck_assert_uint_eq(endpoint.fallback_count, 2);
	ck_assert_str_eq(endpoint.fallback[1], "local/x");
}
END_TEST

START_TEST(reads_nested_fpm)
{
	good("fpm:\n  feature: chatbot\n  rate: 5 / hour\n  cache: off\n  fallback: local/x\nfpm.answer: reply\n");
	ck_assert_str_eq(endpoint.feature, "chatbot");
	ck_assert_str_eq(endpoint.answer, "reply");
	ck_assert_int_eq(endpoint.rate.period_s, 3600);
	ck_assert_int_eq(endpoint.rate.burst, 0);
	ck_assert_int_eq(endpoint.cache.scope, CACHE_OFF);
	ck_assert_uint_eq(endpoint.fallback_count, 1);
}
END_TEST

static const struct {
	const char *written;
	enum cache_scope scope;
	int ttl;
} caches[] = {
	{"off", CACHE_OFF, 86400},
	{"false", CACHE_OFF, 86400},
	{"supplier", CACHE_SUPPLIER, 86400},
	{"{scope: organization}", CACHE_ORGANIZATION, 86400},
	{"{ttl: 90}", CACHE_SUPPLIER, 90},
	{"{ttl: 7d, scope: supplier}", CACHE_SUPPLIER, 7 * 86400},
	{"{scope: off}", CACHE_OFF, 86400},
};

START_TEST(reads_caches)
{
	good(arena_printf(arena, "fpm.cache: %s\n", caches[_i].written));
	ck_assert_int_eq(endpoint.cache.scope, caches[_i].scope);
	ck_assert_int_eq(endpoint.cache.ttl_s, caches[_i].ttl);
}
END_TEST

static const struct {
	const char *written;
	int count, period, burst;
} rates[] = {
	{"1/second", 1, 1, 0},
	{"60/minute", 60, 60, 0},
	{"5/hour", 5, 3600, 0},
	{"1000/day burst 2000", 1000, 86400, 2000},
	{"  5  /  hour  burst  6 ", 5, 3600, 6},
};

START_TEST(reads_rates)
{
	good(arena_printf(arena, "fpm.rate: \"%s\"\n", rates[_i].written));
	ck_assert_int_eq(endpoint.rate.count, rates[_i].count);
	ck_assert_int_eq(endpoint.rate.period_s, rates[_i].period);
	ck_assert_int_eq(endpoint.rate.burst, rates[_i].burst);
}
END_TEST

START_TEST(implies_json)
{
	good("output: { schema: { a: string } }\n");
	ck_assert_int_eq(endpoint.format, OUTPUT_JSON);
	ck_assert_ptr_nonnull(endpoint.output);
}
END_TEST

START_TEST(takes_empty_ones)
{
	good("model:\nconfig:\ninput:\n  schema:\n  default:\noutput:\n");
	ck_assert_ptr_null(endpoint.input);
	ck_assert_ptr_null(endpoint.input_default);
	ck_assert_ptr_null(endpoint.output);
	good("");
	good("config: {stopSequences: []}\n");
	ck_assert_ptr_null(endpoint.stop);
}
END_TEST

static const struct {
	const char *file, *body;
	unsigned line, column;
} bodies[] = {
	{"---\nmodel: local/x\n---\nHello", "Hello", 4, 1},
	{"---\nmodel: local/x\n---\n\n  \n  Hello\n  you \n\n", "Hello\n  you", 6, 3},
	{"---\nmodel: local/x\n---\n \xC2\xA0Hello\xE2\x80\xA8", "Hello", 4, 3},
	{"---\r\nmodel: local/x\r\n---\r\nHello\r\n", "Hello", 4, 1},
	{"---\rmodel: local/x\r---\r\rHello\r", "Hello", 5, 1},
	{"# A licence\n\n#\n---\nmodel: local/x\n---\nHello", "Hello", 7, 1},
	{"\n \n---\nmodel: local/x\n---\nHello", "Hello", 6, 1},
	{"# A title\n---\nHello\n", "# A title\n---\nHello\n", 1, 1},
	{"A text\n---\nmodel: x\n---\nHello", "A text\n---\nmodel: x\n---\nHello", 1, 1},
	{"  no front matter\n", "  no front matter\n", 1, 1},
	{"\xEF\xBB\xBF---\nmodel: local/x\n---\nHello", "Hello", 4, 1},
	{"---  \nmodel: local/x\n---\t\nHello", "Hello", 4, 1},
	{"---\n---\nHello", "Hello", 3, 1},
	{"---\nmodel: local/x\n---", "", 3, 4},
	{"---\nmodel: local/x\n---\n", "", 4, 1},
	{"---x\nHello", "---x\nHello", 1, 1},
	{"", "", 1, 1},
	{"a\n---\nb", "a\n---\nb", 1, 1},
	{"---\nmodel: local/x\n---\na\n---\nb", "a\n---\nb", 4, 1},
};

START_TEST(finds_the_body)
{
	ck_assert_int_eq(read_file(bodies[_i].file), RC_OK);
	ck_assert_uint_eq(body.len, strlen(bodies[_i].body));
	ck_assert_int_eq(strncmp(body.text, bodies[_i].body, body.len), 0);
	ck_assert_uint_eq(body.line, bodies[_i].line);
	ck_assert_uint_eq(body.column, bodies[_i].column);
	if (strstr(bodies[_i].file, "model: local/x") != NULL)
		ck_assert_str_eq(endpoint.model, "local/x");
}
END_TEST

static const struct {
	const char *lines, *text; /* of the first entry, with its file left out */
} wrong[] = {
	{"fpm.featur: x\n", "2:1: error: unknown key \"fpm.featur\" in fpm [did you mean \"feature\"?]"},
	{"fpm: {rat: x}\n", "2:7: error: unknown key \"rat\" in fpm [did you mean \"rate\"?]"},
	{"fpm: x\n", "2:6: error: fpm must be a mapping of keys to values"},
	{"fpm.answer: a\nfpm: {answer: b}\n", "3:7: error: fpm.answer is given twice"},
	{"fpm.cache: {scop: off}\n", "2:13: error: unknown key \"scop\" in fpm.cache [did you mean \"scope\"?]"},
	{"fpm.cache: world\n", "2:12: error: fpm.cache is no scope of a cache [shared, organization, supplier or off]"},
	{"fpm.cache: true\n", "2:12: error: fpm.cache is no scope of a cache [shared, organization, supplier or off]"},
	{"fpm.cache: {ttl: 0}\n", "2:18: error: ttl must be a time from a second to a year [90s, 15m, 24h or 7d]"},
	{"fpm.cache: {ttl: 2y}\n", "2:18: error: ttl must be a time from a second to a year [90s, 15m, 24h or 7d]"},
	{"fpm.rate: 5\n", "2:11: error: fpm.rate must be a rate [5/hour, or 10/second burst 20; second, minute, hour or day]"},
	{"fpm.rate: 5/hours\n", "2:11: error: fpm.rate must be a rate [5/hour, or 10/second burst 20; second, minute, hour or day]"},
	{"fpm.rate: 0/hour\n", "2:11: error: fpm.rate must be a rate [5/hour, or 10/second burst 20; second, minute, hour or day]"},
	{"fpm.rate: 5/hour burst\n", "2:11: error: fpm.rate must be a rate [5/hour, or 10/second burst 20; second, minute, hour or day]"},
	{"fpm.rate: 5/week\n", "2:11: error: fpm.rate must be a rate [5/hour, or 10/second burst 20; second, minute, hour or day]"},
	{"fpm.rate: 99999999/hour\n", "2:11: error: fpm.rate must be a rate [5/hour, or 10/second burst 20; second, minute, hour or day]"},
	{"fpm.feature: a b\n", "2:14: error: fpm.feature must be a feature's name [letters, digits and underscores]"},
	{"fpm.answer: 5\n", "2:13: error: fpm.answer must be the name of a member [letters, digits and underscores]"},
	{"fpm.answer: usage\n", "2:13: error: fpm.answer must not be a name that every answer uses already"},
	{"fpm.fallback: [1]\n", "2:15: error: fpm.fallback must be a list of models' names [[anthropic/claude-haiku-4-5]]"},
	{"fpm.fallback: [local/1, local/2, local/3, local/4, local/5]\n", "2:15: error: fpm.fallback must name at most 4 models"},
	{"model: 5\n", "2:8: error: model must be a model's name [openai/gpt-4o-mini]"},
	{"config: 5\n", "2:9: error: config must be a mapping of keys to values"},
	{"config:\n  temperature: 3\n", "3:16: error: temperature must be a number from 0 to 2"},
	{"config: {topP: x}\n", "2:16: error: topP must be a number from 0 to 1"},
	{"config: {maxOutputTokens: 0}\n", "2:27: error: maxOutputTokens must be a whole number from 1 to 1000000"},
	{"config: {maxOutputTokens: 1.5}\n", "2:27: error: maxOutputTokens must be a whole number from 1 to 1000000"},
	{"config: {stopSequences: [a, 1]}\n", "2:25: error: stopSequences must be a list of at most 4 texts"},
	{"config: {stopSequences: [a, b, c, d, e]}\n", "2:25: error: stopSequences must be a list of at most 4 texts"},
	{"input: {default: x}\n", "2:18: error: default must be a mapping of the input's members to values"},
	{"input: {schema: {a: string, b: string}, default: {a: 5}}\n", "2:54: error: the default breaks the input schema: /a must be a string"},
	{"input:\n  schema:\n    a: string\n    ab:\n      c: integer\n  default:\n    a: x\n\n    ab:\n      c: \"5\"\n",
	 "11:10: error: the default breaks the input schema: /ab/c must be an integer"},
	{"input: {schema: {a: {b: string, c: string}}, default: {a: {b: x}}}\n", "2:59: error: the default breaks the input schema: /a/c is required"},
	{"input: {schema: {a: strin}}\n",
	 "2:21: error: unknown type \"strin\" [string, number, integer, boolean, null, any, or a (array), (object), (enum) behind the name]"},
	{"input: {schema: {type: object, not: {}}}\n", "2:32: error: unsupported schema keyword \"not\" [it would be read and not enforced]"},
	{"output: {format: xml}\n", "2:18: error: format must be text or json"},
	{"output: {format: text, schema: {a: string}}\n", "2:1: error: a schema needs the output format json [format: json]"},
	{"a: 1\na: 2\n", "3:1: error: the key \"a\" is given twice"},
	{"- a\n", "2:1: error: front matter must be a mapping of keys to values"},
};

START_TEST(tells_what_is_wrong)
{
	ck_assert_int_eq(read_lines(wrong[_i].lines), RC_INVALID);
	ck_assert_str_eq(diagnostic_text(arena, list.first) + strlen("x.prompt:"), wrong[_i].text);
}
END_TEST

static const struct {
	const char *lines, *text;
} warnings[] = {
	{"tools: []\n", "2:1: warning: unknown key \"tools\" in front matter [it has no effect]"},
	{"modle: x\n", "2:1: warning: unknown key \"modle\" in front matter [did you mean \"model\"?]"},
	{"config: {topK: 3}\n", "2:10: warning: unknown key \"topK\" in config [did you mean \"topP\"?]"},
	{"input: {example: 3}\n", "2:9: warning: unknown key \"example\" in input [it has no effect]"},
	{"model: googleai/x\n",
	 "2:8: warning: nobody will answer for the model \"googleai/x\" [provider/model, where the provider is openai, anthropic or local]"},
	{"model: openai/\n",
	 "2:8: warning: nobody will answer for the model \"openai/\" [provider/model, where the provider is openai, anthropic or local]"},
	{"fpm.fallback: [local/x, local/y, local/x]\n", "2:34: warning: the model \"local/x\" is named twice [it would only be asked once more]"},
	{"model: local/x\nfpm.fallback: local/x\n", "3:15: warning: the model \"local/x\" is named twice [it would only be asked once more]"},
	{"fpm.fallback: local/x\nmodel: local/x\n", "3:8: warning: the model \"local/x\" is named twice [it would only be asked once more]"},
	{"fpm.fallback: gpt-4\n", "2:15: warning: nobody will answer for the model \"gpt-4\" [provider/model, where the provider is openai, anthropic or local]"},
	{"input: {schema: string}\n", "2:17: warning: no request can pass the input schema: a body is always an object"},
	{"input: {schema: {stream?: boolean}}\noutput: {format: json}\n",
	 "2:17: warning: an output of format json is checked whole before it is sent: nothing is streamed"},
};

START_TEST(warns)
{
	ck_assert_int_eq(read_lines(warnings[_i].lines), RC_OK);
	ck_assert_uint_eq(list.warnings, 1);
	ck_assert_str_eq(diagnostic_text(arena, list.first) + strlen("x.prompt:"), warnings[_i].text);
}
END_TEST

START_TEST(tells_all_at_once)
{
	ck_assert_int_eq(read_lines("model: 5\nconfig: {temperature: x, topP: y}\nfpm.rate: z\nfpm.what: z\ninput: {schema: {a: b, c: d}}\n"), RC_INVALID);
	ck_assert_uint_eq(list.errors, 7);
	ck_assert_uint_eq(list.last->line, 6);
}
END_TEST

START_TEST(wants_an_end)
{
	ck_assert_int_eq(read_file("---\nmodel: x\n"), RC_INVALID);
	ck_assert_str_eq(diagnostic_text(arena, list.first), "x.prompt:1:1: error: the front matter has no end [close it with a line \"---\"]");
}
END_TEST

START_TEST(keeps_a_few_diagnostics)
{
	struct buf buf;

	buf_init(&buf, arena, 1u << 16);
	for (int i = 0; i < 80; i++)
		buf_printf(&buf, "fpm.unknown%d: 1\n", i);
	ck_assert_int_eq(read_lines(buf_text(&buf)), RC_INVALID);
	ck_assert_uint_eq(list.errors, 80);
	ck_assert_uint_eq(list.last->line, DIAGNOSTIC_MAX + 1);
}
END_TEST

#define E40 "éééééééééééééééééééééééééééééééééééééééé"

/* A line each, and in UTF-8: what they quote is cut between characters, and its control characters are not let through. */
START_TEST(says_it_in_plain_text)
{
	ck_assert_int_eq(read_lines("fpm.x" E40 ": 1\n"), RC_INVALID);
	ck_assert_ptr_nonnull(strstr(list.first->message, "éé\" in fpm"));
	ck_assert(str_utf8_valid(list.first->message, strlen(list.first->message)));
	ck_assert_int_eq(read_lines("fpm: {\"a\\nb\\e[31m\\x7f\\N\\u009bé\": 1}\n"), RC_INVALID);
	ck_assert_str_eq(list.last->message, "unknown key \"a?b?[31m?\?\?\?\?é\" in fpm");
}
END_TEST

START_TEST(ends_with_its_arena)
{
	static const char text[] = "---\nmodel: local/x\nconfig: {stopSequences: [a]}\ninput: {schema: {a(array): {b: string}}}\nfpm.rate: 5/hour\n---\nx";
	enum rc rc = RC_NOMEM;

	for (size_t room = 0; rc == RC_NOMEM; room += 64) {
		endpoint.arena = arena_new(room);
		rc = frontmatter_read(&endpoint, text, sizeof text - 1, &body, &list);
		arena_free(endpoint.arena);
	}
	ck_assert_int_eq(rc, RC_OK);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frontmatter");
	TCase *tc = tcase_create("frontmatter");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, has_defaults);
	tcase_add_test(tc, reads_every_key);
	tcase_add_test(tc, keeps_within_bounds);
	tcase_add_test(tc, reads_nested_fpm);
	tcase_add_loop_test(tc, reads_caches, 0, (int)COUNT_OF(caches));
	tcase_add_loop_test(tc, reads_rates, 0, (int)COUNT_OF(rates));
	tcase_add_test(tc, implies_json);
	tcase_add_test(tc, takes_empty_ones);
	tcase_add_loop_test(tc, finds_the_body, 0, (int)COUNT_OF(bodies));
	tcase_add_loop_test(tc, tells_what_is_wrong, 0, (int)COUNT_OF(wrong));
	tcase_add_loop_test(tc, warns, 0, (int)COUNT_OF(warnings));
	tcase_add_test(tc, tells_all_at_once);
	tcase_add_test(tc, wants_an_end);
	tcase_add_test(tc, keeps_a_few_diagnostics);
	tcase_add_test(tc, says_it_in_plain_text);
	tcase_add_test(tc, ends_with_its_arena);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
