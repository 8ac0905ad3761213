/*
 * directive.c - the table of directives, and how they are read.
 */
#include "directive.h"

#include <json-c/json.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define OPENING "[[standin"
#define BARE_TEXT "{\"text\": \"a stand-in's answer\"}" /* of json without a value */

enum kind { NUMBER, WORD, REST };

struct directive {
	const char *name;
	enum kind kind;
	size_t offset;
	long bare; /* what the name alone stands for */
};

#define AT(member) offsetof(struct plan, member)

static const struct directive table[] = {
	{"start_ms", NUMBER, AT(start_ms), 0},
	{"delay_ms", NUMBER, AT(delay_ms), 0},
	{"pieces", NUMBER, AT(pieces), 1},
	{"tokens", NUMBER, AT(tokens), 1},
	{"prompt", NUMBER, AT(prompt), 1},
	{"cached", NUMBER, AT(cached), 0},
	{"status", NUMBER, AT(status), 500},
	{"times", NUMBER, AT(times), 1},
	{"retry_after", NUMBER, AT(retry_after), 1},
	{"silence", NUMBER, AT(silence), 0},
	{"cut", NUMBER, AT(cut), 0},
	{"reset", NUMBER, AT(reset), 0},
	{"end", NUMBER, AT(end), 0},
	{"error", NUMBER, AT(error), 0},
	{"garbage", NUMBER, AT(garbage), 0},
	{"gate", NUMBER, AT(gate), 0},
	{"huge", NUMBER, AT(huge), 65536},
	{"split", NUMBER, AT(split), 1},
	{"nousage", NUMBER, AT(nousage), 1},
	{"nostamp", NUMBER, AT(nostamp), 1},
	{"bom", NUMBER, AT(bom), 1},
	{"crlf", NUMBER, AT(crlf), 1},
	{"comment", NUMBER, AT(comment), 1},
	{"finish", WORD, AT(finish), 0},
	{"model", WORD, AT(model), 0},
	{"text", REST, AT(text), 0},
	{"json", REST, AT(text), 0},
};

#define TABLE_SIZE (sizeof table / sizeof table[0])

void plan_init(struct plan *plan)
{
	*plan = (struct plan){.delay_ms = -1, .pieces = 8, .tokens = -1, .prompt = -1, .retry_after = -1, .silence = -1, .cut = -1, .reset = -1, .end = -1,
	                      .error = -1, .garbage = -1, .gate = -1};
}

static const struct directive *find(const char *name, size_t n)
{
	for (size_t i = 0; i < TABLE_SIZE; i++)
		if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0)
			return &table[i];
	return NULL;
}

static void assign_word(struct plan *plan, const struct directive *row, const char *value, size_t n)
{
	char **place = (char **)((char *)plan + row->offset);

	free(*place);
	*place = take_copy(value, n);
}

static bool assign_number(struct plan *plan, const struct directive *row, const char *value, size_t n)
{
	long *place = (long *)((char *)plan + row->offset);
	char *end;

	if (value == NULL) {
		*place = row->bare;
		return true;
	}
	*place = strtol(value, &end, 10);
	return n > 0 && end == value + n;
}

/* One word of a directive; *at moves past it. */
static bool take_pair(struct plan *plan, const char **at, const char *end)
{
	size_t name_len = strcspn(*at, "= ");
	const char *stop, *value = NULL;
	const struct directive *row;

	if (name_len > (size_t)(end - *at))
		name_len = (size_t)(end - *at);
	row = find(*at, name_len);
	stop = *at + name_len;
	if (stop < end && *stop == '=') {
		value = stop + 1;
		stop = row != NULL && row->kind == REST ? end : value + strcspn(value, " ");
		stop = stop > end ? end : stop;
	}
	if (row == NULL)
		return false;
	*at = stop;
	if (row->kind == NUMBER)
		return assign_number(plan, row, value, value != NULL ? (size_t)(stop - value) : 0);
	if (value == NULL)
		assign_word(plan, row, BARE_TEXT, strlen(BARE_TEXT));
	else
		assign_word(plan, row, value, (size_t)(stop - value));
	return true;
}

/* The end of a directive: the next "]]", but past the whole value where its text is JSON, which may hold "]]" itself. */
static const char *find_end(const char *words)
{
	const char *end = strstr(words, "]]"), *value = strstr(words, "text="), *json = strstr(words, "json=");
	struct json_tokener *tokener;
	struct json_object *parsed;

	if (value == NULL || (json != NULL && json < value))
		value = json;
	if (end == NULL || value == NULL || value > end || strchr("{[", value[5]) == NULL)
		return end;
	tokener = json_tokener_new();
	parsed = json_tokener_parse_ex(tokener, value + 5, -1);
	if (parsed != NULL)
		end = strstr(value + 5 + json_tokener_get_parse_end(tokener), "]]");
	json_object_put(parsed);
	json_tokener_free(tokener);
	return end;
}

static bool take_span(struct plan *plan, const char *words, const char *end)
{
	const char *at = words;

	while (at < end) {
		at += strspn(at, " ");
		if (at < end && !take_pair(plan, &at, end))
			return false;
	}
	return true;
}

static void copy_words(struct plan *plan, const struct plan *from)
{
	plan->finish = from->finish != NULL ? take_copy(from->finish, strlen(from->finish)) : NULL;
	plan->text = from->text != NULL ? take_copy(from->text, strlen(from->text)) : NULL;
	plan->model = NULL;
}

/* Reads into a copy first: whether a directive holds for this call's model is known only at its end. */
static bool take_directive(struct plan *plan, const char *words, const char *end, const char *model)
{
	struct plan tried = *plan;
	bool ok;

	copy_words(&tried, plan);
	ok = take_span(&tried, words, end);
	if (!ok || (tried.model != NULL && strcmp(tried.model, model) != 0)) {
		plan_free(&tried);
		return ok;
	}
	plan_free(plan);
	*plan = tried;
	return true;
}

bool plan_take(struct plan *plan, const char *words, const char *model)
{
	return take_directive(plan, words, words + strlen(words), model);
}

bool plan_read(struct plan *plan, const char *text, const char *model)
{
	const char *at = text;

	while ((at = strstr(at, OPENING)) != NULL) {
		const char *words = at + strlen(OPENING), *end = find_end(words);

		if (end == NULL || !take_directive(plan, words, end, model))
			return false;
		at = end;
	}
	return true;
}

void plan_free(struct plan *plan)
{
	free(plan->finish);
	free(plan->text);
	free(plan->model);
	plan->finish = plan->text = plan->model = NULL;
}
