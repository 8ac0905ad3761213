/*
 * schema_resolve.c - where a local $ref points: a JSON Pointer in a URI's fragment (RFC 6901 §6).
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "prompt/schema_node.h"

static int hex(char c)
{
	const char *all = "0123456789abcdef0123456789ABCDEF", *found = c == '\0' ? NULL : strchr(all, c);

	return found == NULL ? -1 : (int)((found - all) % 16);
}

/* Takes %xx, then ~1 and ~0, out of `n` bytes in place; the new length. */
static size_t unescape(char *s, size_t n)
{
	size_t to = 0, len = 0;

	for (size_t i = 0; i < n; i++) {
		bool coded = s[i] == '%' && n - i > 2 && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0;

		s[to++] = coded ? (char)(hex(s[i + 1]) * 16 + hex(s[i + 2])) : s[i];
		i += coded ? 2 : 0;
	}
	for (size_t i = 0; i < to; i++) {
		bool coded = s[i] == '~' && to - i > 1 && (s[i + 1] == '0' || s[i + 1] == '1');

		s[len++] = !coded ? s[i] : s[i + 1] == '0' ? '~' : '/';
		i += coded;
	}
	s[len] = '\0';
	return len;
}

static const struct value *step(const struct value *from, const char *name, size_t len)
{
	int64_t index;

	if (from->type == VALUE_OBJECT)
		return value_getn(from, name, len);
	if (from->type != VALUE_ARRAY || from->u.array.count == 0 || str_int(name, 0, (int64_t)from->u.array.count - 1, &index) != RC_OK)
		return NULL;
	return from->u.array.items[index];
}

enum rc schema_resolve(struct arena *arena, const struct value *root, const char *pointer, const struct value **out)
{
	const struct value *found = root;
	char *copy = arena_strdup(arena, pointer), *part, *rest = copy;

	if (copy == NULL)
		return RC_NOMEM;
	if (*rest != '\0' && *rest++ != '/')
		return RC_NOTFOUND;
	while (found != NULL && (part = *pointer == '\0' ? NULL : strsep(&rest, "/")) != NULL)
		found = step(found, part, unescape(part, strlen(part)));
	*out = found;
	return found == NULL ? RC_NOTFOUND : RC_OK;
}
