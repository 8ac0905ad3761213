/*
 * template_fuzz.c - libFuzzer on the template language: any text is compiled, what compiles is rendered.
 *
 * The input is a template, and behind a NUL the JSON it gets. Built with clang -fsanitize=fuzzer,address,undefined; t/fuzz/run does it.
 */
#include <stdlib.h>
#include <string.h>

#include "port/json.h"
#include "prompt/template.h"

#define ARENA_MAX (32u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char usual_data[] =
	"{\"a\":\"x\",\"b\":{\"c\":[1,2.5,null,true,\"y\\nz\"],\"1\":0},\"list\":[\"p\",{\"a\":\"q\"},[],\"\"],\"s\":\"two\\nlines\\n\",\"n\":null}";

struct source {
	const char *text;
	size_t len;
};

/* {{> self}} is the template itself; a few others are fixed. */
static enum rc read_partial(void *user, struct arena *arena, const char *name, const char **text, size_t *len)
{
	const struct source *source = user;

	(void)arena;
	if (strcmp(name, "self") == 0) {
		*text = source->text;
		*len = source->len;
		return RC_OK;
	}
	if (strcmp(name, "p") != 0 && strcmp(name, "q") != 0)
		return RC_NOTFOUND;
	*text = *name == 'p' ? "one {{a}}\n{{role \"user\"}}\n  {{> q b=1}}\n" : "{{#each this}}{{@key}}={{this}}\n{{else}}-{{/each}}{{section \"x\"}}";
	*len = strlen(*text);
	return RC_OK;
}

static void check(const struct messages *messages)
{
	size_t bytes = 0;

	for (size_t i = 0; i < messages->count; i++) {
		bytes += messages->items[i].len;
		if (messages->items[i].text[messages->items[i].len] != '\0' || messages->items[i].role > ROLE_MODEL)
			abort();
	}
	if (bytes != messages->bytes || bytes > 2 * TEMPLATE_OUTPUT_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes, *data = memchr(text, '\0', size);
	struct source source = {.text = text, .len = data == NULL ? size : (size_t)(data - text)};
	struct template_partials partials = {.read = read_partial, .user = &source};
	struct arena *arena = arena_new(ARENA_MAX);
	struct message turns[] = {{ROLE_USER, "hi", 2}, {ROLE_MODEL, "", 0}};
	struct messages history = {.items = turns, .count = 2, .bytes = 2}, messages;
	struct template_data given = {.history = &history};
	struct diagnostics list;
	struct template *template;
	struct value *input = NULL;

	if (arena == NULL)
		return 0;
	diagnostics_init(&list, arena, "fuzz/x.prompt");
	if (data == NULL || json_parse(arena, data + 1, size - source.len - 1, &input, NULL) != RC_OK)
		(void)!json_parse(arena, usual_data, sizeof usual_data - 1, &input, NULL);
	given.input = given.context = given.prompt = input;
	if (template_compile(arena, source.text, source.len, 1, 1, &partials, &template, &list) == RC_OK &&
	    template_render(template, arena, &given, &messages) == RC_OK)
		check(&messages);
	for (const struct diagnostic *entry = list.first; entry != NULL; entry = entry->next)
		if (diagnostic_text(arena, entry) == NULL && list.errors == 0)
			abort();
	arena_free(arena);
	return 0;
}
