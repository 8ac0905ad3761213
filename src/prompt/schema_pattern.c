/*
 * schema_pattern.c - a text for a pattern: literals, classes, groups and counts are followed, of alternatives the first is taken.
 *
 * It need not understand every pattern: whoever uses the text checks it against the pattern itself.
 */
#include <string.h>

#include "prompt/schema_node.h"

#define TEXT_MAX 4096u
#define REPEAT_MAX 256u
#define DEPTH_MAX 20u
#define STEPS_MAX 20000u

struct walk {
	const char *at;
	struct buf out;
	unsigned depth, steps;
	bool lost; /* something that is not followed */
};

static void walk_alternatives(struct walk *w, bool write);

static char class_escape(char c)
{
	switch (c) {
	case 'd':
		return '1';
	case 'w':
		return 'a';
	case 's':
		return ' ';
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'D':
	case 'S':
		return 'a';
	case 'W':
		return '-';
	default:
		return c;
	}
}

static bool class_has(const char *from, const char *to, char c)
{
	for (; from < to; from++) {
		if (*from == '\\' && from + 1 < to) {
			from++;
			if (class_escape(*from) == c || (*from == 'w' && c >= 'a' && c <= 'z') || (*from == 'd' && c >= '0' && c <= '9'))
				return true;
		} else if (from + 2 < to && from[1] == '-') {
			if (c >= from[0] && c <= from[2])
				return true;
			from += 2;
		} else if (*from == c) {
			return true;
		}
	}
	return false;
}

/* [...]: the plainest character that is in it. */
static char walk_class(struct walk *w)
{
	const char *plain = "a1A -_.,:/@#!0bBzZ9";
	bool negated = w->at[0] == '^';
	const char *from = w->at + negated, *to = from;

	while (*to != '\0' && *to != ']')
		to += to[0] == '\\' && to[1] != '\0' ? 2 : 1;
	w->lost |= *to == '\0';
	w->at = *to == '\0' ? to : to + 1;
	for (const char *c = plain; *c != '\0'; c++)
		if (class_has(from, to, *c) != negated)
			return *c;
	return from < to ? *from : 'a';
}

static unsigned number(struct walk *w)
{
	unsigned n = 0;

	while (*w->at >= '0' && *w->at <= '9') {
		n = n < 10000 ? n * 10 + (unsigned)(*w->at - '0') : n;
		w->at++;
	}
	return n;
}

/* How often what stands before is to be written: few times where there is a choice. */
static unsigned walk_count(struct walk *w)
{
	unsigned count = 1;

	if (*w->at == '*' || *w->at == '?') {
		w->at++;
		count = 0;
	} else if (*w->at == '+') {
		w->at++;
	} else if (*w->at == '{' && w->at[1] >= '0' && w->at[1] <= '9') {
		w->at++;
		count = number(w);
		w->at += strcspn(w->at, "}");
		w->at += *w->at == '}';
	} else {
		return 1;
	}
	w->at += *w->at == '?';
	return count;
}

static void walk_group(struct walk *w, bool write)
{
	const char *start, *end;
	unsigned count;

	if (w->at[0] == '?' && w->at[1] == ':')
		w->at += 2;
	w->lost |= w->at[0] == '?' || w->at[0] == '*' || w->depth >= DEPTH_MAX;
	if (w->lost)
		return;
	w->depth++;
	start = w->at;
	walk_alternatives(w, false);
	w->lost |= *w->at != ')';
	if (!w->lost) {
		w->at++;
		count = walk_count(w);
		end = w->at;
		for (unsigned i = 0; i < count && i < REPEAT_MAX && write && !w->lost; i++) {
			w->at = start;
			walk_alternatives(w, true);
		}
		w->at = end;
	}
	w->depth--;
}

static void walk_atom(struct walk *w, bool write)
{
	char c = *w->at++;
	unsigned count;

	w->lost |= ++w->steps > STEPS_MAX;
	if (c == '(') {
		walk_group(w, write);
		return;
	}
	if (c == '^' || c == '$')
		return;
	if (c == '\\' && *w->at != '\0') {
		w->lost |= strchr("bBpPuxc123456789k", *w->at) != NULL;
		c = class_escape(*w->at++);
	} else if (c == '[') {
		c = walk_class(w);
	} else if (c == '.') {
		c = 'a';
	}
	count = walk_count(w);
	for (unsigned i = 0; i < count && write && w->out.rc == RC_OK; i++)
		buf_putc(&w->out, c);
}

/* Up to the end or a closing parenthesis; only the first of several alternatives is written. */
static void walk_alternatives(struct walk *w, bool write)
{
	while (*w->at != '\0' && *w->at != ')' && !w->lost) {
		if (*w->at == '|') {
			w->at++;
			write = false;
		} else {
			walk_atom(w, write);
		}
	}
}

const char *schema_pattern_sample(struct arena *arena, const char *pattern)
{
	struct walk w = {.at = pattern};

	buf_init(&w.out, arena, TEXT_MAX);
	walk_alternatives(&w, true);
	return w.lost || *w.at != '\0' || w.out.rc != RC_OK ? NULL : buf_text(&w.out);
}
