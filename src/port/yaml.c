/*
 * yaml.c - YAML into values, by way of libyaml's events.
 *
 * Events, not libyaml's own documents: so that anchors, tags and depth are refused where they stand, before anything is built of them.
 */
#include "port/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define MEMBERS_MAX 2000u /* of one mapping: looking for repeated keys takes the square of it */

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; holds memory of libyaml's until the next */
	bool has_event;
	const char *text;
	size_t len;
	struct arena *arena;
	struct yaml_error error;
};

static enum rc refuse(struct reader *rd, const char *reason)
{
	rd->error = (struct yaml_error){
		.line = (unsigned)rd->event.start_mark.line + 1,
		.column = (unsigned)rd->event.start_mark.column + 1,
		.reason = reason,
	};
	return RC_INVALID;
}

static void drop_event(struct reader *rd)
{
	if (rd->has_event)
		yaml_event_delete(&rd->event);
	rd->has_event = false;
}

/* Of a byte that libyaml cannot read, it tells the offset and no more. */
static void locate(struct reader *rd, size_t offset)
{
	rd->error.line = rd->error.column = 1;
	for (size_t i = 0; i < offset && i < rd->len; i++) {
		unsigned char c = (unsigned char)rd->text[i];

		if (c == '\n' || (c == '\r' && (i + 1 == rd->len || rd->text[i + 1] != '\n'))) {
			rd->error.line++;
			rd->error.column = 1;
		} else {
			rd->error.column += (c & 0xC0) != 0x80;
		}
	}
}

/* libyaml's own complaint, such as "did not find expected ',' or ']'". */
static enum rc library_error(struct reader *rd)
{
	const yaml_parser_t *parser = &rd->parser;
	const char *problem = parser->problem == NULL ? "cannot be read" : parser->problem;
	unsigned from = (unsigned)parser->context_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return RC_NOMEM;
	rd->error.line = (unsigned)parser->problem_mark.line + 1;
	rd->error.column = (unsigned)parser->problem_mark.column + 1;
	if (parser->error == YAML_READER_ERROR)
		locate(rd, parser->problem_offset);
	if (parser->context == NULL)
		rd->error.reason = arena_strdup(rd->arena, problem);
	else if (from == rd->error.line)
		rd->error.reason = arena_printf(rd->arena, "%s: %s", parser->context, problem);
	else /* a quote or a bracket that is left open is found out lines later */
		rd->error.reason = arena_printf(rd->arena, "%s (from line %u): %s", parser->context, from, problem);
	return rd->error.reason == NULL ? RC_NOMEM : RC_INVALID;
}

static enum rc next_event(struct reader *rd)
{
	drop_event(rd);
	if (!yaml_parser_parse(&rd->parser, &rd->event))
		return library_error(rd);
	rd->has_event = true;
	return RC_OK;
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static size_t digits(const char *s)
{
	return strspn(s, "0123456789");
}

static bool looks_integer(const char *s)
{
	s += *s == '-' || *s == '+';
	return *s != '\0' && s[digits(s)] == '\0';
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?  as YAML 1.2.2 §10.3.2 has it. */
static bool looks_float(const char *s)
{
	size_t before, after = 0;

	s += *s == '-' || *s == '+';
	before = digits(s);
	s += before;
	if (*s == '.') {
		after = digits(s + 1);
		s += 1 + after;
	}
	if (before + after == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s += 1;
		s += *s == '-' || *s == '+';
		if (digits(s) == 0)
			return false;
		s += digits(s);
	}
	return *s == '\0';
}

/* Of digits that 64 bits do not hold; strtod knows no octal ones. */
static double large(const char *digits_from, int base)
{
	double number = 0;

	if (base == 10)
		return strtod(digits_from, NULL);
	for (; *digits_from != '\0'; digits_from++)
		number = number * base + (*digits_from <= '9' ? *digits_from - '0' : (*digits_from | 0x20) - 'a' + 10);
	return number;
}

static struct value *integer(struct reader *rd, const char *digits_from, int base)
{
	long long number;

	errno = 0;
	number = strtoll(digits_from, NULL, base);
	return errno == 0 ? value_int(rd->arena, number) : value_number(rd->arena, large(digits_from, base));
}

/* A plain scalar by the core schema; NULL when out of memory. */
static struct value *plain(struct reader *rd, const char *s, size_t len)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};

	if (is_one_of(s, nulls))
		return value_null(rd->arena);
	if (is_one_of(s, trues) || is_one_of(s, falses))
		return value_bool(rd->arena, is_one_of(s, trues));
	if (looks_integer(s))
		return integer(rd, s, 10);
	if (strncmp(s, "0x", 2) == 0 && s[2] != '\0' && s[2 + strspn(s + 2, "0123456789abcdefABCDEF")] == '\0')
		return integer(rd, s + 2, 16);
	if (strncmp(s, "0o", 2) == 0 && s[2] != '\0' && s[2 + strspn(s + 2, "01234567")] == '\0')
		return integer(rd, s + 2, 8);
	if (looks_float(s))
		return value_number(rd->arena, strtod(s, NULL));
	return value_string(rd->arena, s, len);
}

static enum rc read_scalar(struct reader *rd, struct value **out)
{
	static const char *const unusable[] = {".inf", ".Inf", ".INF", "-.inf", "-.Inf", "-.INF", "+.inf", "+.Inf", "+.INF", ".nan", ".NaN", ".NAN", NULL};
	const char *text = (const char *)rd->event.data.scalar.value;
	size_t len = rd->event.data.scalar.length;
	bool quoted = rd->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;

	if (!quoted && is_one_of(text, unusable))
		return refuse(rd, "JSON has no such number; put it in quotes if text is meant");
	*out = quoted ? value_string(rd->arena, text, len) : plain(rd, text, len);
	if (*out == NULL)
		return RC_NOMEM;
	if ((*out)->type == VALUE_NUMBER && !isfinite((*out)->u.number))
		return refuse(rd, "the number is too large; put it in quotes if text is meant");
	(*out)->quoted = quoted;
	return RC_OK;
}

static enum rc read_node(struct reader *rd, unsigned depth, struct value **out);

static enum rc read_sequence(struct reader *rd, unsigned depth, struct value **out)
{
	struct value *item;
	enum rc rc;

	*out = value_array(rd->arena);
	for (;;) {
		rc = next_event(rd);
		if (rc != RC_OK)
			return rc;
		if (rd->event.type == YAML_SEQUENCE_END_EVENT)
			return *out == NULL ? RC_NOMEM : RC_OK;
		rc = read_node(rd, depth + 1, &item);
		if (rc == RC_OK)
			rc = value_push(rd->arena, *out, item);
		if (rc != RC_OK)
			return rc;
	}
}

static enum rc check_key(struct reader *rd, const struct value *object)
{
	if (rd->event.type == YAML_ALIAS_EVENT)
		return refuse(rd, "aliases are not supported");
	if (rd->event.type != YAML_SCALAR_EVENT)
		return refuse(rd, "a key must be plain text");
	if (rd->event.data.scalar.anchor != NULL || rd->event.data.scalar.tag != NULL)
		return refuse(rd, "anchors and tags are not supported");
	if (value_getn(object, (const char *)rd->event.data.scalar.value, rd->event.data.scalar.length) != NULL)
		return refuse(rd, arena_printf(rd->arena, "the key \"%s\" is given twice", (const char *)rd->event.data.scalar.value));
	return object->u.object.count < MEMBERS_MAX ? RC_OK : refuse(rd, "too many keys in one mapping");
}

/* The key that the current event is, and the value behind it. */
static enum rc read_member(struct reader *rd, unsigned depth, struct value *object)
{
	struct value_member key = {.line = (unsigned)rd->event.start_mark.line + 1, .column = (unsigned)rd->event.start_mark.column + 1};
	struct value_member *added;
	enum rc rc = check_key(rd, object);

	if (rc != RC_OK)
		return rc;
	key.key_len = rd->event.data.scalar.length;
	key.key = arena_strndup(rd->arena, (const char *)rd->event.data.scalar.value, key.key_len);
	if (key.key == NULL)
		return RC_NOMEM;
	rc = next_event(rd);
	if (rc == RC_OK)
		rc = read_node(rd, depth + 1, &key.value);
	if (rc == RC_OK)
		rc = value_add(rd->arena, object, key.key, key.key_len, key.value);
	if (rc != RC_OK)
		return rc;
	added = &object->u.object.members[object->u.object.count - 1];
	added->line = key.line;
	added->column = key.column;
	return RC_OK;
}

static enum rc read_mapping(struct reader *rd, unsigned depth, struct value **out)
{
	enum rc rc;

	*out = value_object(rd->arena);
	if (*out == NULL)
		return RC_NOMEM;
	for (;;) {
		rc = next_event(rd);
		if (rc != RC_OK)
			return rc;
		if (rd->event.type == YAML_MAPPING_END_EVENT)
			return RC_OK;
		rc = read_member(rd, depth, *out);
		if (rc != RC_OK)
			return rc;
	}
}

static bool is_marked(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
	default:
		return false;
	}
}

/* The node that begins with the current event. */
static enum rc read_node(struct reader *rd, unsigned depth, struct value **out)
{
	unsigned line = (unsigned)rd->event.start_mark.line + 1, column = (unsigned)rd->event.start_mark.column + 1;
	enum rc rc;

	if (rd->event.type == YAML_ALIAS_EVENT)
		return refuse(rd, "aliases are not supported");
	if (is_marked(&rd->event))
		return refuse(rd, "anchors and tags are not supported");
	if (rd->event.type == YAML_SCALAR_EVENT)
		rc = read_scalar(rd, out);
	else if (depth >= YAML_DEPTH_MAX)
		return refuse(rd, "nested too deeply");
	else
		rc = rd->event.type == YAML_SEQUENCE_START_EVENT ? read_sequence(rd, depth, out) : read_mapping(rd, depth, out);
	if (rc == RC_OK) {
		(*out)->line = line;
		(*out)->column = column;
	}
	return rc;
}

static enum rc read_document(struct reader *rd, struct value **out)
{
	enum rc rc = next_event(rd); /* the stream's start */

	if (rc == RC_OK)
		rc = next_event(rd);
	if (rc == RC_OK && rd->event.type == YAML_STREAM_END_EVENT) {
		*out = value_null(rd->arena);
		return *out == NULL ? RC_NOMEM : RC_OK;
	}
	if (rc == RC_OK)
		rc = next_event(rd);
	if (rc == RC_OK)
		rc = read_node(rd, 0, out);
	if (rc == RC_OK)
		rc = next_event(rd); /* the document's end */
	if (rc == RC_OK)
		rc = next_event(rd);
	if (rc == RC_OK && rd->event.type != YAML_STREAM_END_EVENT)
		rc = refuse(rd, "only one document is allowed");
	return rc;
}

enum rc yaml_parse(struct arena *arena, const char *text, size_t n, struct value **out, struct yaml_error *error)
{
	struct reader rd = {.text = text, .len = n, .arena = arena};
	enum rc rc;

	if (!yaml_parser_initialize(&rd.parser))
		return RC_NOMEM;
	yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&rd.parser, (const unsigned char *)text, n);
	rc = read_document(&rd, out);
	drop_event(&rd);
	yaml_parser_delete(&rd.parser);
	if (rc == RC_INVALID && rd.error.reason == NULL)
		rc = RC_NOMEM;
	if (rc == RC_INVALID && error != NULL)
		*error = rd.error;
	return rc;
}
