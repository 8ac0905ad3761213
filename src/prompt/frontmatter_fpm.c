/*
 * frontmatter_fpm.c - prompt-fpm's own keys in front matter: feature, answer, rate, cache, fallback.
 *
 * They decide about money and limits, so anything not understood is an error.
 */
#include <string.h>

#include "base/str.h"
#include "prompt/frontmatter_key.h"

#define YEAR_S (365 * 86400)
#define NAME_MAX_BYTES 64u

/* A name as the database and JSON members have it: a letter, then letters, digits and underscores. */
static bool is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	return n > 0 && n <= NAME_MAX_BYTES && s[n] == '\0' && !(s[0] >= '0' && s[0] <= '9') && s[0] != '_';
}

static enum rc read_feature(struct frontmatter *fm, const struct value_member *member)
{
	const char *name = value_text(member->value, "");

	if (!is_name(name))
		return frontmatter_refuse(fm, member, "letters, digits and underscores", "must be a feature's name");
	fm->endpoint->feature = name;
	return RC_OK;
}

static enum rc read_answer(struct frontmatter *fm, const struct value_member *member)
{
	static const char *const taken[] = {"usage", "error", "code", "requestId", "details"};
	const char *name = value_text(member->value, "");

	if (!is_name(name))
		return frontmatter_refuse(fm, member, "letters, digits and underscores", "must be the name of a member");
	for (size_t i = 0; i < COUNT_OF(taken); i++)
		if (str_eq(name, taken[i]))
			return frontmatter_refuse(fm, member, NULL, "must not be a name that every answer uses already");
	fm->endpoint->answer = name;
	return RC_OK;
}

static enum rc read_rate(struct frontmatter *fm, const struct value_member *member)
{
	struct endpoint *endpoint = fm->endpoint;
	struct rate bound = endpoint->bounds == NULL ? (struct rate){0} : endpoint->bounds->rate, both;

	if (rate_parse(value_text(member->value, ""), &endpoint->rate) != RC_OK)
		return frontmatter_refuse(fm, member, "5/hour, or 10/second burst 20; second, minute, hour or day", "must be a rate");
	both = rate_tighter(endpoint->rate, bound);
	if (bound.count > 0 && !rate_equal(endpoint->rate, both))
		return diagnostics_warning(fm->list, member->value->line, member->value->column, "drop_in.rate of the pool's settings",
		                           "a document root has a tighter rate, which counts");
	return RC_OK;
}

static enum rc read_scope(struct frontmatter *fm, const struct value_member *member)
{
	static const struct {
		const char *name;
		enum cache_scope scope;
	} scopes[] = {
		{"off", CACHE_OFF},
		{"shared", CACHE_SHARED},
		{"organization", CACHE_ORGANIZATION},
		{"organisation", CACHE_ORGANIZATION},
		{"supplier", CACHE_SUPPLIER},
	};

	for (size_t i = 0; i < COUNT_OF(scopes); i++) {
		if (!str_eq(value_text(member->value, ""), scopes[i].name))
			continue;
		fm->endpoint->cache.scope = scopes[i].scope;
		return RC_OK;
	}
	return frontmatter_refuse(fm, member, "shared, organization, supplier or off", "is no scope of a cache");
}

static enum rc read_ttl(struct frontmatter *fm, const struct value_member *member)
{
	int64_t seconds = 0;
	bool good = member->value->type == VALUE_STRING && str_duration(member->value->u.string.text, &seconds) == RC_OK;

	if (member->value->type == VALUE_INT) {
		seconds = member->value->u.integer;
		good = true;
	}
	if (!good || seconds < 1 || seconds > YEAR_S)
		return frontmatter_refuse(fm, member, "90s, 15m, 24h or 7d", "must be a time from a second to a year");
	fm->endpoint->cache.ttl_s = (int)seconds;
	return RC_OK;
}

static enum rc read_cache(struct frontmatter *fm, const struct value_member *member)
{
	static const struct frontmatter_key keys[] = {{"scope", read_scope}, {"ttl", read_ttl}};
	static const struct frontmatter_table table = {"fpm.cache", keys, COUNT_OF(keys), true};

	if (member->value->type == VALUE_OBJECT)
		return frontmatter_members(fm, member->value, &table);
	if (member->value->type == VALUE_BOOL && !member->value->u.boolean) {
		fm->endpoint->cache.scope = CACHE_OFF;
		return RC_OK;
	}
	return read_scope(fm, member);
}

static enum rc add_fallback(struct frontmatter *fm, const struct value_member *member, const struct value *model)
{
	struct endpoint *endpoint = fm->endpoint;

	if (model->type != VALUE_STRING || model->u.string.len == 0)
		return frontmatter_refuse(fm, member, "[anthropic/claude-haiku-4-5]", "must be a list of models' names");
	if (endpoint->fallback_count == ENDPOINT_FALLBACK_MAX)
		return frontmatter_refuse(fm, member, NULL, "must name at most 4 models");
	frontmatter_warn_repeated(fm, model);
	endpoint->fallback[endpoint->fallback_count++] = model->u.string.text;
	return frontmatter_check_model(fm, model);
}

static enum rc read_fallback(struct frontmatter *fm, const struct value_member *member)
{
	const struct value *list = member->value;

	if (list->type != VALUE_ARRAY)
		return add_fallback(fm, member, list);
	for (size_t i = 0; i < list->u.array.count; i++)
		if (add_fallback(fm, member, list->u.array.items[i]) != RC_OK)
			return RC_INVALID;
	return RC_OK;
}

static const struct frontmatter_key keys[] = {
	{"feature", read_feature}, {"answer", read_answer}, {"rate", read_rate}, {"cache", read_cache}, {"fallback", read_fallback},
};
static const struct frontmatter_table table = {"fpm", keys, COUNT_OF(keys), true};

enum rc frontmatter_fpm_dotted(struct frontmatter *fm, const char *name, const struct value_member *member)
{
	for (unsigned i = 0; i < COUNT_OF(keys); i++) {
		if (!str_eq(keys[i].name, name))
			continue;
		if ((fm->seen & (1u << i)) != 0)
			return diagnostics_error(fm->list, member->line, member->column, NULL, "fpm.%s is given twice", name);
		fm->seen |= 1u << i;
	}
	return frontmatter_member(fm, name, member, &table);
}

enum rc frontmatter_fpm(struct frontmatter *fm, const struct value_member *member)
{
	const struct value *object = member->value;
	enum rc rc = RC_OK, one;

	if (object->type != VALUE_OBJECT)
		return frontmatter_members(fm, object, &table);
	for (size_t i = 0; i < object->u.object.count && rc != RC_NOMEM; i++) {
		one = frontmatter_fpm_dotted(fm, object->u.object.members[i].key, &object->u.object.members[i]);
		rc = one == RC_OK ? rc : one;
	}
	return rc;
}
