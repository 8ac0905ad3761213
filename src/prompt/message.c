/*
 * message.c - roles by name, and messages from and to JSON's types.
 */
#include "prompt/message.h"

#include <string.h>

#include "base/str.h"

static const char *const role_names[] = {"system", "user", "model"};

const char *message_role_name(enum message_role role)
{
	return role_names[role];
}

enum rc message_role_parse(const char *name, enum message_role *role)
{
	if (str_eq(name, "assistant"))
		name = "model";
	for (size_t i = 0; i < COUNT_OF(role_names); i++) {
		if (str_eq(name, role_names[i])) {
			*role = (enum message_role)i;
			return RC_OK;
		}
	}
	return RC_INVALID;
}

enum rc message_write(struct buf *buf, const struct messages *messages, bool assistant)
{
	buf_putc(buf, '[');
	for (size_t i = 0; i < messages->count; i++) {
		const struct message *m = &messages->items[i];
		const char *role = assistant && m->role == ROLE_MODEL ? "assistant" : message_role_name(m->role);

		buf_puts(buf, i == 0 ? "{\"role\":" : ",{\"role\":");
		buf_json_string(buf, role, strlen(role));
		buf_puts(buf, ",\"content\":");
		buf_json_string(buf, m->text, m->len);
		buf_putc(buf, '}');
	}
	return buf_putc(buf, ']');
}

/* The text parts of a content array, one after the other. */
static enum rc join_parts(struct arena *arena, const struct value *parts, struct message *m, const char **reason)
{
	struct buf text;

	buf_init(&text, arena, SIZE_MAX / 2);
	for (size_t i = 0; i < parts->u.array.count; i++) {
		const struct value *part = value_get(parts->u.array.items[i], "text");

		if (part == NULL || part->type != VALUE_STRING) {
			*reason = "a part of a message's content must be an object with a string \"text\"";
			return RC_INVALID;
		}
		buf_add(&text, part->u.string.text, part->u.string.len);
	}
	m->text = buf_text(&text);
	m->len = text.len;
	return text.rc;
}

static enum rc read_message(struct arena *arena, const struct value *v, struct message *m, const char **reason)
{
	const struct value *role = value_get(v, "role"), *content = value_get(v, "content");

	if (v->type != VALUE_OBJECT || role == NULL || content == NULL) {
		*reason = "a message must be an object with \"role\" and \"content\"";
		return RC_INVALID;
	}
	if (message_role_parse(value_text(role, NULL), &m->role) != RC_OK) {
		*reason = "a message's role must be system, user, model or assistant";
		return RC_INVALID;
	}
	if (content->type == VALUE_ARRAY)
		return join_parts(arena, content, m, reason);
	if (content->type != VALUE_STRING) {
		*reason = "a message's content must be a string or an array of parts";
		return RC_INVALID;
	}
	m->text = content->u.string.text;
	m->len = content->u.string.len;
	return RC_OK;
}

enum rc message_read(struct arena *arena, const struct value *array, struct messages *out, const char **reason)
{
	enum rc rc = RC_OK;

	*out = (struct messages){.items = NULL};
	if (array == NULL || array->type != VALUE_ARRAY) {
		*reason = "messages must be an array";
		return RC_INVALID;
	}
	out->items = arena_array(arena, array->u.array.count, sizeof *out->items);
	if (out->items == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < array->u.array.count && rc == RC_OK; i++) {
		rc = read_message(arena, array->u.array.items[i], &out->items[i], reason);
		out->bytes += out->items[i].len;
		out->count += rc == RC_OK;
	}
	return rc;
}
