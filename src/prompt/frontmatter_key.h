/*
 * frontmatter_key.h - tables of keys: how frontmatter*.c read a mapping. Nobody else includes this.
 */
#ifndef PROMPT_FRONTMATTER_KEY_H
#define PROMPT_FRONTMATTER_KEY_H

#include "prompt/frontmatter.h"

struct frontmatter {
	struct endpoint *endpoint;
	struct diagnostics *list;
	unsigned seen; /* bits of the fpm keys that were given: they can be written in two ways */
	bool has_format;
};

struct frontmatter_key {
	const char *name;
	enum rc (*read)(struct frontmatter *fm, const struct value_member *member);
};

struct frontmatter_table {
	const char *of; /* "config": for messages */
	const struct frontmatter_key *keys;
	size_t count;
	bool strict; /* an unknown key is an error, not a warning */
};

/* Finds front matter in a file, and the template behind it. It reaches from the file's start to `end`, where the line that closes it begins; 0 where there is none,
 * and all of the file is the template. RC_INVALID where it is not closed. A header of comments that nothing closes is none. */
enum rc frontmatter_find(const char *text, size_t n, size_t *end, struct frontmatter_body *body) MUST_CHECK;

/* Reads every member of an object by the table; goes on after errors, so that all are told at once. */
enum rc frontmatter_members(struct frontmatter *fm, const struct value *object, const struct frontmatter_table *table) MUST_CHECK;

/* One member; `name` is its key without a prefix. */
enum rc frontmatter_member(struct frontmatter *fm, const char *name, const struct value_member *member,
                           const struct frontmatter_table *table) MUST_CHECK;

/* An error at the member's value. Always RC_INVALID. */
enum rc frontmatter_refuse(struct frontmatter *fm, const struct value_member *member, const char *hint, const char *what);

/* Whether it is a number within [least, most]. */
bool frontmatter_number(const struct value *value, double least, double most, double *out);

/* Warns of a model's name that nobody will answer to; RC_INVALID (said) for one that the bounds do not allow. */
enum rc frontmatter_check_model(struct frontmatter *fm, const struct value *name);

/* Warns of a model that is the file's first or one of its fallbacks already. */
void frontmatter_warn_repeated(struct frontmatter *fm, const struct value *name);

/* The keys under `fpm`: nested as an object, or dotted ("fpm.rate": `name` is "rate"). */
enum rc frontmatter_fpm(struct frontmatter *fm, const struct value_member *member) MUST_CHECK;
enum rc frontmatter_fpm_dotted(struct frontmatter *fm, const char *name, const struct value_member *member) MUST_CHECK;

/* Sets endpoint->prompt from the front matter; NULL for none. Its schemas have been read. */
enum rc frontmatter_metadata(struct frontmatter *fm, const struct value *top) MUST_CHECK;

#endif
