/*
 * render_batch.c - renders templates by the thousand for the scripts that compare: one JSON object a line in, one a line out.
 *
 * In: {"template", "partials": {name: text}, "input", "context", "messages"}, all but the template optional.
 * Out: {"messages": […]}, or {"error": "line:column: …"}, the first reason where there are several.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/json.h"
#include "prompt/template.h"

#define ARENA_MAX (64u << 20)

static enum rc read_partial(void *user, struct arena *arena, const char *name, const char **text, size_t *len)
{
	const struct value *partial = value_get(value_get(user, "partials"), name);

	(void)arena;
	if (partial == NULL || partial->type != VALUE_STRING)
		return RC_NOTFOUND;
	*text = partial->u.string.text;
	*len = partial->u.string.len;
	return RC_OK;
}

static const char *first_error(const struct diagnostics *list, struct arena *arena, enum rc rc)
{
	const struct diagnostic *entry = list->first;

	while (entry != NULL && entry->warning)
		entry = entry->next;
	return entry == NULL ? rc_name(rc) : arena_printf(arena, "%u:%u: %s", entry->line, entry->column, entry->message);
}

static enum rc render(struct arena *arena, const struct value *job, struct diagnostics *list, struct messages *messages)
{
	const struct value *source = value_get(job, "template"), *turns = value_get(job, "messages");
	struct template_partials partials = {.read = read_partial, .user = (void *)job};
	struct messages history = {.items = NULL};
	struct template_data data = {.input = value_get(job, "input"), .context = value_get(job, "context"), .history = &history};
	struct template *template;
	const char *reason;
	enum rc rc;

	if (source == NULL || source->type != VALUE_STRING)
		return RC_INVALID;
	rc = template_compile(arena, source->u.string.text, source->u.string.len, 1, 1, &partials, &template, list);
	if (rc == RC_OK && turns != NULL)
		rc = message_read(arena, turns, &history, &reason);
	return rc == RC_OK ? template_render(template, arena, &data, messages) : rc;
}

static void answer(const char *line, size_t len)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct diagnostics list;
	struct messages messages;
	struct value *job;
	struct buf out;
	enum rc rc;

	diagnostics_init(&list, arena, "template");
	buf_init(&out, arena, ARENA_MAX / 4);
	rc = json_parse(arena, line, len, &job, NULL);
	if (rc == RC_OK)
		rc = render(arena, job, &list, &messages);
	if (rc == RC_OK) {
		buf_puts(&out, "{\"messages\":");
		message_write(&out, &messages, false);
	} else {
		const char *reason = first_error(&list, arena, rc);

		buf_puts(&out, "{\"error\":");
		buf_json_string(&out, reason, strlen(reason));
	}
	buf_puts(&out, "}\n");
	fwrite(buf_text(&out), 1, out.len, stdout);
	arena_free(arena);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;)
		answer(line, (size_t)n);
	free(line);
	return fflush(stdout) == 0 ? 0 : 1;
}
