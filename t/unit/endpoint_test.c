/*
 * endpoint_test.c - files into endpoints: names, partials, versions, what is refused; and the shipped endpoints themselves.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "port/json.h"
#include "prompt/endpoint.h"
#include "unit.h"

static char directory[64];
static struct arena *arena;
static struct diagnostics list;
static struct endpoint *endpoint;

static void set_up(void)
{
	strcpy(directory, "/tmp/pf-endpoint-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	arena = arena_new(64u << 20);
	diagnostics_init(&list, arena, "x");
}

static void tear_down(void)
{
	char command[100];

	endpoint_free(endpoint);
	arena_free(arena);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

static const char *path(const char *name)
{
	return arena_printf(arena, "%s/%s", directory, name);
}

static void put_bytes(const char *name, const char *bytes, size_t n)
{
	FILE *out = fopen(path(name), "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(bytes, 1, n, out), n);
	ck_assert_int_eq(fclose(out), 0);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static enum rc load(const char *name)
{
	endpoint_free(endpoint);
	endpoint = NULL;
	diagnostics_init(&list, arena, path(name));
	return endpoint_load(path(name), NULL, &endpoint, &list);
}

static const char *render(const char *input)
{
	struct template_data data = {.input = NULL};
	struct messages messages;
	struct value *sent = NULL;
	struct buf buf;

	if (input != NULL)
		ck_assert_int_eq(json_parse(arena, input, strlen(input), &sent, NULL), RC_OK);
	data.input = endpoint_input(endpoint, arena, sent);
	ck_assert_int_eq(endpoint_render(endpoint, arena, &data, &messages), RC_OK);
	buf_init(&buf, arena, 1u << 20);
	ck_assert_int_eq(message_write(&buf, &messages, false), RC_OK);
	return buf_text(&buf);
}

START_TEST(loads_and_renders)
{
	put("greet-me.prompt",
	    "---\ninput:\n  schema: {name: string, from: string}\n  default: {name: you, from: us}\n---\nHello {{name}} from {{from}}{{more}}");
	ck_assert_int_eq(load("greet-me.prompt"), RC_OK);
	ck_assert_str_eq(endpoint->name, "greet-me");
	ck_assert_str_eq(endpoint->file, path("greet-me.prompt"));
	ck_assert_str_eq(endpoint->feature, "greet_me");
	ck_assert_uint_eq(strlen(endpoint->version), 64);
	ck_assert_str_eq(render(NULL), "[{\"role\":\"user\",\"content\":\"Hello you from us\"}]");
	ck_assert_str_eq(render("{\"more\":\"!\",\"from\":\"me\"}"), "[{\"role\":\"user\",\"content\":\"Hello you from me!\"}]");
}
END_TEST

START_TEST(renders_without_defaults)
{
	put("a.prompt", "x{{y}}");
	ck_assert_int_eq(load("a.prompt"), RC_OK);
	ck_assert_str_eq(render(NULL), "[{\"role\":\"user\",\"content\":\"x\"}]");
	ck_assert_str_eq(render("{\"y\":1}"), "[{\"role\":\"user\",\"content\":\"x1\"}]");
}
END_TEST

/* What a template sees of its own file, and of the conversation. */
START_TEST(shows_metadata)
{
	put("m.prompt",
	    "---\nmodel: local/x\nversion: v2\nconfig: {temperature: 0.5}\ninput: {schema: {q: string}}\noutput: {schema: {a: integer}}\n"
	    "acme.team.name: Rust\nacme.team.size: 3\nplain: 1\nfpm.cache: off\n---\n{{json @metadata.prompt}}");
	ck_assert_int_eq(load("m.prompt"), RC_OK);
	ck_assert_str_eq(render(NULL),
	                 "[{\"role\":\"user\",\"content\":\"{\\\"ext\\\":{\\\"acme.team\\\":{\\\"name\\\":\\\"Rust\\\",\\\"size\\\":3},\\\"fpm\\\":{\\\"cache\\\":\\\"off\\\"}},"
	                 "\\\"metadata\\\":{},\\\"config\\\":{\\\"temperature\\\":0.5},\\\"model\\\":\\\"local/x\\\",\\\"version\\\":\\\"v2\\\",\\\"output\\\":{\\\"schema\\\":"
	                 "{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{\\\"a\\\":{\\\"type\\\":\\\"integer\\\"}},\\\"required\\\":[\\\"a\\\"],\\\"additionalProperties\\\":false}},"
	                 "\\\"raw\\\":{\\\"model\\\":\\\"local/x\\\",\\\"version\\\":\\\"v2\\\",\\\"config\\\":{\\\"temperature\\\":0.5},\\\"input\\\":{\\\"schema\\\":{\\\"q\\\":"
	                 "\\\"string\\\"}},\\\"output\\\":{\\\"schema\\\":{\\\"a\\\":\\\"integer\\\"}},\\\"acme.team.name\\\":\\\"Rust\\\",\\\"acme.team.size\\\":3,\\\"plain\\\":1,"
	                 "\\\"fpm.cache\\\":\\\"off\\\"}}\"}]");
	put("n.prompt", "{{#each list}}{{@metadata.prompt.config.x}}{{json @metadata.prompt}}{{json @../metadata.messages}}{{/each}}");
	ck_assert_int_eq(load("n.prompt"), RC_OK);
	ck_assert_str_eq(render("{\"list\":[1]}"), "[{\"role\":\"user\",\"content\":\"{\\\"ext\\\":{},\\\"metadata\\\":{},\\\"config\\\":{}}undefined\"}]");
}
END_TEST

static const char *render_turns(const char *context)
{
	struct message items[] = {{ROLE_USER, "Hi", 2}, {ROLE_MODEL, "Ho", 2}};
	const struct messages history = {.items = items, .count = 2, .bytes = 4};
	struct template_data data = {.history = &history};
	struct messages messages;
	struct value *given = NULL;

	ck_assert(context == NULL || json_parse(arena, context, strlen(context), &given, NULL) == RC_OK);
	data.context = given;
	ck_assert_int_eq(endpoint_render(endpoint, arena, &data, &messages), RC_OK);
	return messages.items[messages.count - 1].text;
}

START_TEST(shows_the_conversation)
{
	put("t.prompt", "{{#each @metadata.messages}}{{role}}={{#each content}}{{text}}{{/each}};{{/each}}{{json @metadata.messages}}");
	ck_assert_int_eq(load("t.prompt"), RC_INVALID); /* {{role}} is the helper */
	put("t.prompt", "{{#each @metadata.messages}}{{this.role}}={{#each content}}{{text}}{{/each}};{{/each}}{{json @metadata.messages}}");
	ck_assert_int_eq(load("t.prompt"), RC_OK);
	ck_assert_str_eq(render_turns(NULL), "user=Hi;model=Ho;[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]},"
	                                     "{\"role\":\"model\",\"content\":[{\"text\":\"Ho\"}]}]");
	put("t.prompt", "{{@metadata.own}}");
	ck_assert_int_eq(load("t.prompt"), RC_OK);
	ck_assert_str_eq(render_turns("{\"metadata\":{\"own\":\"the caller's\"}}"), "the caller's");
}
END_TEST

START_TEST(reads_partials)
{
	char before[ENDPOINT_DIGEST_SIZE];

	put("a.prompt", "{{> sign name=\"A\"}}{{> sign name=\"B\"}}");
	put("_sign.prompt", "Yours, {{name}}{{> end}}");
	put("_end.prompt", ".");
	ck_assert_int_eq(load("a.prompt"), RC_OK);
	ck_assert_str_eq(render(NULL), "[{\"role\":\"user\",\"content\":\"Yours, A.Yours, B.\"}]");
	strcpy(before, endpoint->version);
	put("_end.prompt", "!");
	ck_assert_int_eq(load("a.prompt"), RC_OK);
	ck_assert_str_ne(endpoint->version, before);
	put("_end.prompt", ".");
	ck_assert_int_eq(load("a.prompt"), RC_OK);
	ck_assert_str_eq(endpoint->version, before);
	put("b.prompt", "A {{> mark.v2}}");
	put("_mark.v2.prompt", "\xEF\xBB\xBFpartial with a byte order mark");
	ck_assert_int_eq(load("b.prompt"), RC_OK);
	ck_assert_str_eq(render(NULL), "[{\"role\":\"user\",\"content\":\"A partial with a byte order mark\"}]");
}
END_TEST

static void refused(const char *file, const char *text)
{
	ck_assert_int_ne(load(file), RC_OK);
	ck_assert_ptr_null(endpoint);
	ck_assert_ptr_nonnull(list.first);
	ck_assert_str_eq(diagnostic_text(arena, list.first) + strlen(directory) + 1, text);
}

START_TEST(refuses_partials)
{
	put("a.prompt", "\n{{> missing}}");
	ck_assert_int_eq(load("a.prompt"), RC_INVALID);
	ck_assert_uint_eq(list.first->line, 2);
	ck_assert_ptr_nonnull(strstr(list.first->message, "missing"));
	put("b.prompt", "{{> [../a]}}");
	ck_assert_int_eq(load("b.prompt"), RC_INVALID);
	put("c.prompt", "{{> bad}}");
	put("_bad.prompt", "x{{#if}}");
	ck_assert_int_eq(load("c.prompt"), RC_INVALID);
	ck_assert_str_eq(list.first->file, path("_bad.prompt"));
	ck_assert_int_eq(mkdir(path("_bad2.prompt"), 0700), 0);
	put("d.prompt", "{{> bad2}}");
	refused("d.prompt", "_bad2.prompt: error: it is not a regular file");
	put_bytes("_bad3.prompt", "\xff", 1);
	put("e.prompt", "{{> bad3}}");
	refused("e.prompt", "_bad3.prompt:1:1: error: the file is not UTF-8 text");
}
END_TEST

/* Small enough to be read, too many parts to be held. */
START_TEST(bounds_the_memory)
{
	struct buf text;

	buf_init(&text, arena, 300000);
	for (int i = 0; i < 50000; i++)
		buf_puts(&text, "{{a}}");
	put("a.prompt", buf_text(&text));
	refused("a.prompt", "a.prompt: error: the file takes more memory than an endpoint may have: it has too many mustaches, keys or parts");
	ck_assert_uint_eq(list.errors, 1);
}
END_TEST

START_TEST(bounds_the_partials)
{
	struct buf text;
	char name[32];

	buf_init(&text, arena, 4096);
	for (int i = 0; i < 33; i++) {
		snprintf(name, sizeof name, "_p%d.prompt", i);
		put(name, "x");
		buf_printf(&text, "{{> p%d}}", i);
	}
	put("a.prompt", buf_text(&text));
	refused("a.prompt", "_p32.prompt: error: one partial too many: a file may use 32");
}
END_TEST

START_TEST(refuses_files)
{
	char *big = malloc((256 << 10) + 1);

	memset(big, 'x', (256 << 10) + 1);
	put_bytes("big.prompt", big, (256 << 10) + 1);
	refused("big.prompt", "big.prompt: error: the file is larger than 256 KiB");
	put_bytes("big.prompt", big, 256 << 10);
	ck_assert_int_eq(load("big.prompt"), RC_OK);
	free(big);
	put_bytes("nul.prompt", "a\0b", 3);
	refused("nul.prompt", "nul.prompt:1:2: error: the file is not UTF-8 text");
	put_bytes("latin1.prompt", "---\r\nfpm.answer: a\r---\nd\xC3\xA9j\xE0 vu", 31);
	refused("latin1.prompt", "latin1.prompt:4:4: error: the file is not UTF-8 text");
	put_bytes("cut.prompt", "a\n\xF0\x9F\x92", 5);
	refused("cut.prompt", "cut.prompt:2:1: error: the file is not UTF-8 text");
	put("empty.prompt", "");
	refused("empty.prompt", "empty.prompt: error: the file is empty");
	ck_assert_int_eq(mkdir(path("dir.prompt"), 0700), 0);
	refused("dir.prompt", "dir.prompt: error: it is not a regular file");
	ck_assert_int_eq(mkfifo(path("fifo.prompt"), 0600), 0);
	refused("fifo.prompt", "fifo.prompt: error: it is not a regular file");
	put("ein name.prompt", "x");
	refused("ein name.prompt",
	        "ein name.prompt: error: a file's name must be of letters, digits, '-', '_' and '.', at most 64, and begin with a letter or digit");
	put("_x.prompt", "x");
	ck_assert_int_eq(load("_x.prompt"), RC_INVALID);
}
END_TEST

static void warned(const char *file, const char *text)
{
	ck_assert_int_eq(load(file), RC_OK);
	ck_assert_uint_eq(list.warnings, 1);
	ck_assert_str_eq(diagnostic_text(arena, list.first) + strlen(directory) + 1, text);
}

START_TEST(warns_of_a_file_without_a_body)
{
	static const char said[] = ": warning: the file has no body: no request can be answered [write what the model is told; {{history}} alone passes a conversation on]";

	put("a.prompt", "---\nmodel: openai/gpt-4o-mini\n---\n");
	warned("a.prompt", arena_printf(arena, "a.prompt:4:1%s", said));
	put("a.prompt", "---\nfpm.answer: a\n---\n \n\xC2\xA0\t");
	warned("a.prompt", arena_printf(arena, "a.prompt:5:3%s", said));
	put("a.prompt", "---\n---");
	warned("a.prompt", arena_printf(arena, "a.prompt:2:4%s", said));
	put("a.prompt", " \n\n");
	warned("a.prompt", arena_printf(arena, "a.prompt:1:1%s", said));
	put("a.prompt", "---\n---\n{{history}}");
	ck_assert_int_eq(load("a.prompt"), RC_OK);
	ck_assert_uint_eq(list.warnings, 0);
	put("_none.prompt", "---\n---\n"); /* a partial may be empty */
	put("a.prompt", "Hi{{> none}}");
	ck_assert_int_eq(load("a.prompt"), RC_OK);
	ck_assert_uint_eq(list.warnings, 0);
}
END_TEST

START_TEST(tells_of_missing_files)
{
	ck_assert_int_eq(load("none.prompt"), RC_SYS);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(diagnostic_text(arena, list.first) + strlen(directory) + 1, "none.prompt: error: cannot be opened: No such file or directory");
}
END_TEST

START_TEST(tells_all_at_once)
{
	put("a.prompt", "---\nfpm.rate: x\n---\n{{#if}}\n");
	ck_assert_int_eq(load("a.prompt"), RC_INVALID);
	ck_assert_uint_ge(list.errors, 2);
	ck_assert_uint_eq(list.first->line, 2);
	ck_assert_uint_eq(list.first->next->line, 4);
}
END_TEST

/* What is shipped: everything in it has a price or a limit in front of somebody. */

static void shipped(const char *name)
{
	const char *source = getenv("PROMPT_FPM_SRC");
	const char *file = arena_printf(arena, "%s/etc/endpoints/%s.prompt", source == NULL ? "." : source, name);
	enum rc rc;

	diagnostics_init(&list, arena, file);
	rc = endpoint_load(file, NULL, &endpoint, &list);
	ck_assert_msg(rc == RC_OK && list.warnings == 0, "%s", list.first == NULL ? file : diagnostic_text(arena, list.first));
	ck_assert_ptr_nonnull(endpoint->input);
	ck_assert_double_eq(endpoint->temperature, 0.7);
	ck_assert_ptr_null(endpoint->model);
}

static const char *check(const char *input)
{
	struct schema_limits limits = {.max_string = 8000, .max_items = 200};
	struct schema_faults faults;
	struct value *value;

	ck_assert_int_eq(json_parse(arena, input, strlen(input), &value, NULL), RC_OK);
	if (schema_check(endpoint->input, arena, value, &limits, &faults) == RC_OK)
		return "";
	return arena_printf(arena, "%s %s", faults.items[0].path, faults.items[0].reason);
}

START_TEST(ships_the_form)
{
	const struct value *sample;
	struct schema_faults faults;

	shipped("generate-form");
	ck_assert_str_eq(endpoint->feature, "form_generation");
	ck_assert_str_eq(endpoint->answer, "form");
	ck_assert_int_eq(endpoint->max_tokens, 1500);
	ck_assert_int_eq(endpoint->rate.count, 5);
	ck_assert_int_eq(endpoint->rate.period_s, 3600);
	ck_assert_int_eq(endpoint->format, OUTPUT_JSON);
	ck_assert(!endpoint->streams);
	ck_assert_ptr_nonnull(schema_strict(endpoint->output));
	sample = schema_sample(endpoint->output, arena);
	ck_assert_ptr_nonnull(sample);
	ck_assert_int_eq(schema_check(endpoint->output, arena, sample, NULL, &faults), RC_OK);
	ck_assert_str_eq(check("{\"vendorType\":\"photographer\",\"formPurpose\":\"inquiry\",\"requiredFields\":[\"email\"]}"), "");
	ck_assert_str_eq(check("{\"vendorType\":\"photographer\",\"formPurpose\":\"inquiry\"}"), "/requiredFields is required");
	ck_assert_str_eq(check("{\"vendorType\":\"p\",\"formPurpose\":\"i\",\"requiredFields\":[1]}"), "/requiredFields/0 must be a string");
	ck_assert_ptr_nonnull(strstr(render("{\"vendorType\":\"florist\",\"formPurpose\":\"inquiry\",\"requiredFields\":[\"e-mail\",\"date\"]}"), "date"));
}
END_TEST

#define EMAIL(more) \
	"{\"templateType\":\"welcome\",\"context\":{\"recipientType\":\"couple\",\"occasion\":\"booking\"" more "},\"stream\":true}"

START_TEST(ships_the_email)
{
	shipped("generate-email-template");
	ck_assert_str_eq(endpoint->feature, "email_template");
	ck_assert_str_eq(endpoint->answer, "template");
	ck_assert_int_eq(endpoint->max_tokens, 1000);
	ck_assert_int_eq(endpoint->rate.count, 0);
	ck_assert(endpoint->streams);
	ck_assert_str_eq(check(EMAIL(",\"tone\":\"warm\"")), "");
	ck_assert_str_eq(check(EMAIL("")), "/context/tone is required");
	ck_assert_ptr_nonnull(strstr(render(EMAIL(",\"tone\":\"warm\"")), "{couple_name}"));
}
END_TEST

START_TEST(ships_the_content)
{
	static const char *const types[] = {"blog post", "social post", "website copy", "client message"};

	shipped("generate-content");
	ck_assert_str_eq(endpoint->feature, "content_creation");
	ck_assert_str_eq(endpoint->answer, "content");
	ck_assert(endpoint->streams);
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		const char *input = arena_printf(arena, "{\"contentType\":\"%s\",\"topic\":\"t\",\"audience\":\"a\",\"tone\":\"warm\"}", types[i]);

		ck_assert_str_eq(check(input), "");
		ck_assert_ptr_nonnull(strstr(render(input), types[i]));
	}
	ck_assert_ptr_nonnull(
		strstr(check("{\"contentType\":\"poem\",\"topic\":\"t\",\"audience\":\"a\",\"tone\":\"warm\"}"), "/contentType must be one of"));
}
END_TEST

START_TEST(ships_the_chat)
{
	struct message turns[] = {{ROLE_USER, "before", 6}, {ROLE_MODEL, "answered", 8}};
	struct messages history = {.items = turns, .count = 2, .bytes = 14}, messages;
	struct template_data data = {.history = &history};
	struct value *input;

	shipped("chat");
	ck_assert_str_eq(endpoint->feature, "chatbot");
	ck_assert_str_eq(endpoint->answer, "reply");
	ck_assert_int_eq(endpoint->cache.scope, CACHE_OFF);
	ck_assert(endpoint->streams);
	ck_assert_str_eq(check("{\"message\":\"m\",\"history\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"y\"}]}"), "");
	ck_assert_ptr_nonnull(strstr(check("{\"message\":\"m\",\"history\":[{\"role\":\"system\",\"content\":\"x\"}]}"), "/history/0/role must be one of"));
	ck_assert_int_eq(json_parse(arena, "{\"message\":\"now\"}", 17, &input, NULL), RC_OK);
	data.input = input;
	ck_assert_int_eq(endpoint_render(endpoint, arena, &data, &messages), RC_OK);
	ck_assert_uint_eq(messages.count, 4);
	ck_assert_int_eq(messages.items[0].role, ROLE_SYSTEM);
	ck_assert_str_eq(messages.items[2].text, "answered");
	ck_assert_int_eq(messages.items[3].role, ROLE_USER);
	ck_assert_ptr_nonnull(strstr(messages.items[3].text, "now"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("endpoint");
	TCase *tc = tcase_create("endpoint");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, loads_and_renders);
	tcase_add_test(tc, renders_without_defaults);
	tcase_add_test(tc, shows_metadata);
	tcase_add_test(tc, shows_the_conversation);
	tcase_add_test(tc, reads_partials);
	tcase_add_test(tc, refuses_partials);
	tcase_add_test(tc, bounds_the_partials);
	tcase_add_test(tc, bounds_the_memory);
	tcase_add_test(tc, refuses_files);
	tcase_add_test(tc, warns_of_a_file_without_a_body);
	tcase_add_test(tc, tells_of_missing_files);
	tcase_add_test(tc, tells_all_at_once);
	tcase_add_test(tc, ships_the_form);
	tcase_add_test(tc, ships_the_email);
	tcase_add_test(tc, ships_the_content);
	tcase_add_test(tc, ships_the_chat);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
