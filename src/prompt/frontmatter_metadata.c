/*
 * frontmatter_metadata.c - what a template sees as {{@metadata.prompt}}: the front matter as the reference Dotprompt hands it on.
 *
 * `ext`, `metadata` and `config` are always there; Dotprompt's own keys follow in the file's order, except for `input`, which a rendered prompt has no use for;
 * keys with a dot stand under `ext` by what is before their last dot; `raw` is the front matter as it was written.
 */
#include <string.h>

#include "base/str.h"
#include "prompt/frontmatter_key.h"

static struct value *shared(const struct value *value)
{
	return (struct value *)(uintptr_t)value;
}

static bool is_own(const char *key)
{
	static const char *const keys[] = {"description", "model", "name", "output", "toolDefs", "tools", "variant", "version"};

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if (str_eq(key, keys[i]))
			return true;
	return false;
}

static enum rc set(struct frontmatter *fm, struct value *object, const char *key, size_t len, struct value *item)
{
	return value_set(fm->endpoint->arena, object, key, len, item);
}

/* "a.b.c" is the member "c" of ext's "a.b". */
static enum rc add_extension(struct frontmatter *fm, struct value *ext, const struct value_member *member)
{
	size_t n = (size_t)(strrchr(member->key, '.') - member->key);
	struct value *space = shared(value_getn(ext, member->key, n));
	enum rc rc = RC_OK;

	if (space == NULL) {
		space = value_object(fm->endpoint->arena);
		rc = set(fm, ext, member->key, n, space);
	}
	return rc == RC_OK ? set(fm, space, member->key + n + 1, member->key_len - n - 1, member->value) : rc;
}

/* With its schema as JSON Schema. */
static struct value *copy_output(struct frontmatter *fm, const struct value *output)
{
	struct value *copy = value_object(fm->endpoint->arena);

	if (output->type != VALUE_OBJECT || fm->endpoint->output == NULL)
		return shared(output);
	for (size_t i = 0; i < output->u.object.count && copy != NULL; i++) {
		const struct value_member *member = &output->u.object.members[i];
		const struct value *item = str_eq(member->key, "schema") ? schema_json(fm->endpoint->output) : member->value;

		if (set(fm, copy, member->key, member->key_len, shared(item)) != RC_OK)
			return NULL;
	}
	return copy;
}

static enum rc add_member(struct frontmatter *fm, struct value *prompt, struct value *ext, const struct value_member *member)
{
	if (str_eq(member->key, "output"))
		return set(fm, prompt, "output", 6, copy_output(fm, member->value));
	if (is_own(member->key) || (str_eq(member->key, "config") && member->value->type == VALUE_OBJECT))
		return set(fm, prompt, member->key, member->key_len, member->value);
	return strchr(member->key, '.') == NULL ? RC_OK : add_extension(fm, ext, member);
}

enum rc frontmatter_metadata(struct frontmatter *fm, const struct value *top)
{
	struct arena *arena = fm->endpoint->arena;
	struct value *prompt = value_object(arena), *ext = value_object(arena);
	enum rc rc = set(fm, prompt, "ext", 3, ext);

	if (rc == RC_OK)
		rc = set(fm, prompt, "metadata", 8, value_object(arena));
	if (rc == RC_OK)
		rc = set(fm, prompt, "config", 6, value_object(arena));
	if (rc == RC_OK && top != NULL && top->type == VALUE_OBJECT) {
		for (size_t i = 0; i < top->u.object.count && rc == RC_OK; i++)
			rc = add_member(fm, prompt, ext, &top->u.object.members[i]);
		rc = rc == RC_OK ? set(fm, prompt, "raw", 3, shared(top)) : rc;
	}
	fm->endpoint->prompt = prompt;
	return rc;
}
