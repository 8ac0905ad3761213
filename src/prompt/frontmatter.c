/*
 * frontmatter.c - front matter: where it ends, and Dotprompt's own keys in it.
 *
 * One table per mapping; what is not in a table is named, so that a typing error never passes for a setting.
 */
#include "prompt/frontmatter.h"

#include <string.h>

#include "base/str.h"
#include "port/yaml.h"
#include "prompt/frontmatter_key.h"

#define KEYS_MAX 16u
#define STOPS_MAX 4u

enum rc frontmatter_refuse(struct frontmatter *fm, const struct value_member *member, const char *hint, const char *what)
{
	return diagnostics_error(fm->list, member->value->line, member->value->column, hint, "%s %s", member->key, what);
}

bool frontmatter_number(const struct value *value, double least, double most, double *out)
{
	if (value->type != VALUE_INT && value->type != VALUE_NUMBER)
		return false;
	*out = value->type == VALUE_INT ? (double)value->u.integer : value->u.number;
	return *out >= least && *out <= most;
}

static enum rc unknown_key(struct frontmatter *fm, const char *name, const struct value_member *member, const struct frontmatter_table *table)
{
	const char *names[KEYS_MAX], *hint;
	int quoted = diagnostics_quoted(member->key, member->key_len);

	for (size_t i = 0; i < table->count; i++)
		names[i] = table->keys[i].name;
	hint = diagnostics_suggest(fm->list, name, names, table->count, table->strict ? NULL : "it has no effect");
	if (table->strict)
		return diagnostics_error(fm->list, member->line, member->column, hint, "unknown key \"%.*s\" in %s", quoted, member->key, table->of);
	return diagnostics_warning(fm->list, member->line, member->column, hint, "unknown key \"%.*s\" in %s", quoted, member->key, table->of);
}

enum rc frontmatter_member(struct frontmatter *fm, const char *name, const struct value_member *member, const struct frontmatter_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		if (str_eq(table->keys[i].name, name))
			return table->keys[i].read(fm, member);
	return unknown_key(fm, name, member, table);
}

enum rc frontmatter_members(struct frontmatter *fm, const struct value *object, const struct frontmatter_table *table)
{
	enum rc rc = RC_OK, one;

	if (object->type == VALUE_NULL)
		return RC_OK;
	if (object->type != VALUE_OBJECT)
		return diagnostics_error(fm->list, object->line, object->column, NULL, "%s must be a mapping of keys to values", table->of);
	for (size_t i = 0; i < object->u.object.count && rc != RC_NOMEM; i++) {
		const struct value_member *member = &object->u.object.members[i];

		one = frontmatter_member(fm, member->key, member, table);
		rc = one == RC_OK ? rc : one;
	}
	return rc;
}

enum rc frontmatter_check_model(struct frontmatter *fm, const struct value *name)
{
	static const char *const providers[] = {"openai/", "anthropic/", "local/"};
	const struct endpoint_bounds *bounds = fm->endpoint->bounds;
	int quoted = diagnostics_quoted(name->u.string.text, name->u.string.len);

	if (bounds != NULL && !endpoint_bounds_allow(bounds, name->u.string.text))
		return diagnostics_error(fm->list, name->line, name->column, "drop_in.models of the pool's settings lists those that are",
		                         "the model \"%.*s\" is not allowed in a document root", quoted, name->u.string.text);
	for (size_t i = 0; i < COUNT_OF(providers); i++)
		if (str_starts(name->u.string.text, providers[i]) && name->u.string.len > strlen(providers[i]))
			return RC_OK;
	return diagnostics_warning(fm->list, name->line, name->column, "provider/model, where the provider is openai, anthropic or local",
	                           "nobody will answer for the model \"%.*s\"", quoted, name->u.string.text);
}

void frontmatter_warn_repeated(struct frontmatter *fm, const struct value *name)
{
	const struct endpoint *endpoint = fm->endpoint;
	bool repeated = str_eq(endpoint->model, name->u.string.text);

	for (unsigned i = 0; i < endpoint->fallback_count; i++)
		repeated = repeated || str_eq(endpoint->fallback[i], name->u.string.text);
	if (repeated)
		diagnostics_warning(fm->list, name->line, name->column, "it would only be asked once more", "the model \"%.*s\" is named twice",
		                    diagnostics_quoted(name->u.string.text, name->u.string.len), name->u.string.text);
}

static enum rc read_model(struct frontmatter *fm, const struct value_member *member)
{
	if (member->value->type == VALUE_NULL)
		return RC_OK;
	if (member->value->type != VALUE_STRING || member->value->u.string.len == 0)
		return frontmatter_refuse(fm, member, "openai/gpt-4o-mini", "must be a model's name");
	frontmatter_warn_repeated(fm, member->value);
	fm->endpoint->model = member->value->u.string.text;
	return frontmatter_check_model(fm, member->value);
}

static enum rc read_temperature(struct frontmatter *fm, const struct value_member *member)
{
	if (frontmatter_number(member->value, 0, 2, &fm->endpoint->temperature))
		return RC_OK;
	return frontmatter_refuse(fm, member, NULL, "must be a number from 0 to 2");
}

static enum rc read_top_p(struct frontmatter *fm, const struct value_member *member)
{
	if (frontmatter_number(member->value, 0, 1, &fm->endpoint->top_p))
		return RC_OK;
	return frontmatter_refuse(fm, member, NULL, "must be a number from 0 to 1");
}

static enum rc read_max_tokens(struct frontmatter *fm, const struct value_member *member)
{
	double number;

	if (member->value->type != VALUE_INT || !frontmatter_number(member->value, 1, 1000000, &number))
		return frontmatter_refuse(fm, member, NULL, "must be a whole number from 1 to 1000000");
	fm->endpoint->max_tokens = (int)number;
	if (fm->endpoint->bounds != NULL && fm->endpoint->bounds->max_tokens > 0 && number > fm->endpoint->bounds->max_tokens)
		return diagnostics_warning(fm->list, member->value->line, member->value->column, "drop_in.max_output_tokens of the pool's settings",
		                           "a document root has %d tokens at most", fm->endpoint->bounds->max_tokens);
	return RC_OK;
}

static enum rc read_stops(struct frontmatter *fm, const struct value_member *member)
{
	const struct value *list = member->value;
	bool good = list->type == VALUE_ARRAY && list->u.array.count <= STOPS_MAX;

	for (size_t i = 0; good && i < list->u.array.count; i++)
		good = list->u.array.items[i]->type == VALUE_STRING && list->u.array.items[i]->u.string.len > 0;
	if (!good)
		return frontmatter_refuse(fm, member, NULL, "must be a list of at most 4 texts");
	fm->endpoint->stop = list->u.array.count > 0 ? list : NULL;
	return RC_OK;
}

static enum rc read_config(struct frontmatter *fm, const struct value_member *member)
{
	static const struct frontmatter_key keys[] = {
		{"temperature", read_temperature},
		{"maxOutputTokens", read_max_tokens},
		{"topP", read_top_p},
		{"stopSequences", read_stops},
	};
	static const struct frontmatter_table table = {"config", keys, COUNT_OF(keys), false};

	return frontmatter_members(fm, member->value, &table);
}

static enum rc load_schema(struct frontmatter *fm, const struct value *source, const struct schema **out)
{
	struct schema *schema = NULL;
	enum rc rc;

	if (source->type == VALUE_NULL)
		return RC_OK;
	rc = schema_load(fm->endpoint->arena, source, NULL, &schema, fm->list);
	*out = rc == RC_OK ? schema : NULL;
	return rc;
}

static enum rc read_input_schema(struct frontmatter *fm, const struct value_member *member)
{
	return load_schema(fm, member->value, &fm->endpoint->input);
}

static enum rc read_default(struct frontmatter *fm, const struct value_member *member)
{
	if (member->value->type == VALUE_NULL)
		return RC_OK;
	if (member->value->type != VALUE_OBJECT)
		return frontmatter_refuse(fm, member, NULL, "must be a mapping of the input's members to values");
	fm->endpoint->input_default = member->value;
	return RC_OK;
}

static enum rc read_input(struct frontmatter *fm, const struct value_member *member)
{
	static const struct frontmatter_key keys[] = {{"schema", read_input_schema}, {"default", read_default}};
	static const struct frontmatter_table table = {"input", keys, COUNT_OF(keys), false};

	return frontmatter_members(fm, member->value, &table);
}

static enum rc read_format(struct frontmatter *fm, const struct value_member *member)
{
	const char *format = value_text(member->value, "");

	if (!str_eq(format, "text") && !str_eq(format, "json"))
		return frontmatter_refuse(fm, member, NULL, "must be text or json");
	fm->endpoint->format = str_eq(format, "json") ? OUTPUT_JSON : OUTPUT_TEXT;
	fm->has_format = true;
	return RC_OK;
}

static enum rc read_output_schema(struct frontmatter *fm, const struct value_member *member)
{
	return load_schema(fm, member->value, &fm->endpoint->output);
}

static enum rc read_output(struct frontmatter *fm, const struct value_member *member)
{
	static const struct frontmatter_key keys[] = {{"format", read_format}, {"schema", read_output_schema}};
	static const struct frontmatter_table table = {"output", keys, COUNT_OF(keys), false};
	enum rc rc = frontmatter_members(fm, member->value, &table);

	if (rc != RC_OK || fm->endpoint->output == NULL)
		return rc;
	if (fm->has_format && fm->endpoint->format == OUTPUT_TEXT)
		return diagnostics_error(fm->list, member->line, member->column, "format: json", "a schema needs the output format json");
	fm->endpoint->format = OUTPUT_JSON;
	return RC_OK;
}

static const struct frontmatter_key top_keys[] = {
	{"model", read_model}, {"config", read_config}, {"input", read_input}, {"output", read_output}, {"fpm", frontmatter_fpm},
};
static const struct frontmatter_table top_table = {"front matter", top_keys, COUNT_OF(top_keys), false};

static enum rc read_top(struct frontmatter *fm, const struct value *top)
{
	enum rc rc = RC_OK, one;

	if (top->type != VALUE_OBJECT)
		return frontmatter_members(fm, top, &top_table);
	for (size_t i = 0; i < top->u.object.count && rc != RC_NOMEM; i++) {
		const struct value_member *member = &top->u.object.members[i];

		one = str_starts(member->key, "fpm.") ? frontmatter_fpm_dotted(fm, member->key + strlen("fpm."), member)
		                                      : frontmatter_member(fm, member->key, member, &top_table);
		rc = one == RC_OK ? rc : one;
	}
	return rc;
}

static bool is_top_level(const char *path)
{
	return *path == '/' && strchr(path + 1, '/') == NULL;
}

/* The value that the fault's path leads to, or as far as it leads. */
static const struct value *blamed(const struct value *given, const char *path)
{
	size_t len = strcspn(path + (*path == '/'), "/");
	const struct value *member = *path == '/' ? value_getn(given, path + 1, len) : NULL;

	return member == NULL ? given : blamed(member, path + 1 + len);
}

/* A default must pass the schema as far as it goes: what it leaves out is for the caller to give. */
static enum rc check_default(struct frontmatter *fm)
{
	const struct value *given = fm->endpoint->input_default;
	struct schema_faults faults;
	enum rc rc;

	if (given == NULL || fm->endpoint->input == NULL)
		return RC_OK;
	rc = schema_check(fm->endpoint->input, fm->list->arena, given, NULL, &faults);
	if (rc != RC_INVALID)
		return rc;
	rc = RC_OK;
	for (unsigned i = 0; i < faults.count; i++) {
		const struct schema_fault *fault = &faults.items[i];
		const struct value *at = blamed(given, fault->path);

		if (!str_eq(fault->reason, "is required") || !is_top_level(fault->path))
			rc = diagnostics_error(fm->list, at->line, at->column, NULL, "the default breaks the input schema: %s %s", fault->path, fault->reason);
	}
	return rc;
}

static bool names_type(const struct value *schema, const char *name)
{
	const struct value *type = value_get(schema, "type");

	if (type == NULL || type->type != VALUE_ARRAY)
		return str_eq(value_text(type, ""), name);
	for (size_t i = 0; i < type->u.array.count; i++)
		if (str_eq(value_text(type->u.array.items[i], ""), name))
			return true;
	return false;
}

/* Whether its member `history` may be turns: a list of texts is somebody's own. */
static bool has_turns(const struct schema *input)
{
	const struct value *history = schema_property(input, "history"), *turn = value_get(history, "items");

	return history != NULL && (value_get(turn, "type") == NULL || names_type(turn, "object"));
}

static enum rc finish(struct frontmatter *fm)
{
	struct endpoint *endpoint = fm->endpoint;
	const struct value *json;

	if (endpoint->input == NULL)
		return RC_OK;
	json = schema_json(endpoint->input);
	endpoint->converses = has_turns(endpoint->input);
	endpoint->streams = names_type(schema_property(endpoint->input, "stream"), "boolean");
	if (value_get(json, "type") != NULL && !names_type(json, "object"))
		diagnostics_warning(fm->list, json->line, json->column, NULL, "no request can pass the input schema: a body is always an object");
	if (endpoint->streams && endpoint->format == OUTPUT_JSON) {
		endpoint->streams = false;
		diagnostics_warning(fm->list, json->line, json->column, NULL, "an output of format json is checked whole before it is sent: nothing is streamed");
	}
	return check_default(fm);
}

static void set_defaults(struct endpoint *endpoint)
{
	endpoint->model = NULL;
	endpoint->fallback_count = 0;
	endpoint->temperature = 0.7;
	endpoint->top_p = -1;
	endpoint->max_tokens = 1000;
	endpoint->answer = "result";
	endpoint->cache.scope = CACHE_SUPPLIER;
	endpoint->cache.ttl_s = 24 * 3600;
}

/* Models have been refused by now; what is a number is brought within the bounds. */
static void apply_bounds(struct endpoint *endpoint)
{
	const struct endpoint_bounds *bounds = endpoint->bounds;

	if (bounds == NULL)
		return;
	endpoint->rate = rate_tighter(endpoint->rate, bounds->rate);
	if (bounds->max_tokens > 0 && endpoint->max_tokens > bounds->max_tokens)
		endpoint->max_tokens = bounds->max_tokens;
}

static enum rc default_feature(struct endpoint *endpoint)
{
	char *feature;

	if (endpoint->feature != NULL)
		return RC_OK;
	feature = arena_strdup(endpoint->arena, endpoint->name);
	if (feature == NULL)
		return RC_NOMEM;
	for (char *c = feature; *c != '\0'; c++)
		*c = *c == '-' ? '_' : *c;
	endpoint->feature = feature;
	return RC_OK;
}

/* The YAML is parsed from the file's first line on, so that its lines are the file's: what comes before the first "---" are comments to it, too. */
static enum rc read_yaml(struct frontmatter *fm, const char *text, size_t n)
{
	struct yaml_error error;
	struct value *top = NULL;
	enum rc rc = yaml_parse(fm->endpoint->arena, text, n, &top, &error);

	if (rc == RC_INVALID)
		return diagnostics_error(fm->list, error.line, error.column, NULL, "%s", error.reason);
	if (rc == RC_OK)
		rc = read_top(fm, top);
	if (rc == RC_OK)
		rc = finish(fm);
	return rc == RC_OK ? frontmatter_metadata(fm, top) : rc;
}

enum rc frontmatter_read(struct endpoint *endpoint, const char *text, size_t n, struct frontmatter_body *body, struct diagnostics *list)
{
	struct frontmatter fm = {.endpoint = endpoint, .list = list};
	size_t mark = n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0, end;
	enum rc rc;

	text += mark; /* Windows editors put a byte order mark first */
	n -= mark;
	set_defaults(endpoint);
	if (frontmatter_find(text, n, &end, body) != RC_OK)
		return diagnostics_error(list, 1, 1, "close it with a line \"---\"", "the front matter has no end");
	rc = end > 0 ? read_yaml(&fm, text, end) : frontmatter_metadata(&fm, NULL);
	apply_bounds(endpoint);
	return rc == RC_OK ? default_feature(endpoint) : rc;
}
