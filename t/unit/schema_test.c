/*
 * schema_test.c - schemas: what loads and what is refused, faults and their places, caps, the strict form and back, samples.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "port/yaml.h"
#include "schema_unit.h"
#include "unit.h"

static struct value *yaml(const char *text)
{
	struct value *value = NULL;

	ck_assert_msg(yaml_parse(arena, text, strlen(text), &value, NULL) == RC_OK, "%s", text);
	return value;
}

static struct schema *load(const struct value *source)
{
	struct schema *schema = NULL;
	enum rc rc = schema_load(arena, source, NULL, &schema, &list);

	ck_assert_msg(rc == RC_OK, "%s", list.first == NULL ? rc_name(rc) : list.first->message);
	return schema;
}

/* Picoschema beyond the specification's cases. */

static const struct {
	const char *source, *json;
} pico[] = {
	{"any", "{}"},
	{"any, what you like", "{'description':'what you like'}"},
	{"'string,'", "{'type':'string'}"},
	{"'string,   wide  '", "{'type':'string','description':'wide  '}"},
	{"'null'", "{'type':'null'}"},
	{"{}", "{'type':'object','properties':{},'additionalProperties':false}"},
	{"a(array): {b: string}",
	 "{'type':'object','additionalProperties':false,'required':['a'],'properties':{'a':{'type':'array','items':"
	 "{'type':'object','additionalProperties':false,'required':['b'],'properties':{'b':{'type':'string'}}}}}}"},
	{"a?(array, some (or none)): string",
	 "{'type':'object','additionalProperties':false,'properties':{'a':{'type':['array','null'],'items':{'type':'string'},"
	 "'description':'some (or none)'}}}"},
	{"fields(array): {type: string, name: string}",
	 "{'type':'object','additionalProperties':false,'required':['fields'],'properties':{'fields':{'type':'array','items':{'type':'object',"
	 "'additionalProperties':false,'required':['type','name'],'properties':{'type':{'type':'string'},'name':{'type':'string'}}}}}}"},
	{"a?: {b?: integer}",
	 "{'type':'object','additionalProperties':false,'properties':{'a':{'type':['object','null'],'additionalProperties':false,"
	 "'properties':{'b':{'type':['integer','null']}}}}}"},
	{"k?(enum): [a, null]", "{'type':'object','additionalProperties':false,'properties':{'k':{'enum':['a',null]}}}"},
	{"k(enum, x): [1, 2.5, true]",
	 "{'type':'object','additionalProperties':false,'required':['k'],'properties':{'k':{'enum':[1,2.5,true],'description':'x'}}}"},
	{"{type: [string, 'null']}", "{'type':['string','null']}"},
	{"{anyOf: [{type: string}, {type: 'null'}]}", "{'anyOf':[{'type':'string'},{'type':'null'}]}"},
	{"{type: {a: string}}", "{'type':'object','additionalProperties':false,'required':['type'],'properties':{'type':{'type':'object',"
	                        "'additionalProperties':false,'required':['a'],'properties':{'a':{'type':'string'}}}}}"},
};

START_TEST(converts_picoschema)
{
	same(schema_json(load(yaml(pico[_i].source))), pico[_i].json);
	ck_assert_uint_eq(list.warnings, 0);
}
END_TEST

static const struct {
	const char *source, *message;
	unsigned line, column;
} wrong_pico[] = {
	{"strin", "unknown type \"strin\"", 1, 1},
	{"a: string\nb: text\n", "unknown type \"text\"", 2, 4},
	{"a: 5", "a schema is a type's name or an object, not integer", 1, 4},
	{"a: [string]", "a schema is a type's name or an object, not array", 1, 4},
	{"a(list): string", "unknown kind \"list\" in parentheses", 1, 1},
	{"a(array: string", "\"a(array\" has no closing parenthesis", 1, 1},
	{"a(enum): string", "an enum needs a list of values", 1, 10},
	{"(array): string", "\"(array)\" has no name", 1, 1},
	{"a: string\na?: string", "\"a\" is given twice", 2, 1},
	{"a(enum): []", "enum must be a list of at least one value", 1, 10},
};

START_TEST(refuses_picoschema)
{
	struct schema *schema;

	ck_assert_int_eq(schema_load(arena, yaml(wrong_pico[_i].source), NULL, &schema, &list), RC_INVALID);
	ck_assert_str_eq(list.first->message, wrong_pico[_i].message);
	ck_assert_uint_eq(list.first->line, wrong_pico[_i].line);
	ck_assert_uint_eq(list.first->column, wrong_pico[_i].column);
}
END_TEST

START_TEST(resolves_named_schemas)
{
	const struct value *named = json("{'A':{'type':'number'},'B':{'x':'A, an a','y?':'A'},'L':{'n':'L'}}");
	struct schema *schema;

	ck_assert_int_eq(schema_load(arena, yaml("B, a b"), named, &schema, &list), RC_OK);
	same(schema_json(schema), "{'type':'object','description':'a b','additionalProperties':false,'required':['x'],'properties':{"
	                          "'x':{'type':'number','description':'an a'},'y':{'type':['number','null']}}}");
	ck_assert_int_eq(schema_load(arena, yaml("L"), named, &schema, &list), RC_INVALID);
	ck_assert_str_eq(list.first->message, "the named schemas refer to each other without end");
}
END_TEST

/* JSON Schema that is refused. */

static const struct {
	const char *source, *message;
} wrong[] = {
	{"{'type':'strin'}", "unknown type \"strin\""},
	{"{'type':[]}", "type must name at least one type"},
	{"{'type':'string','minLenght':1}", "unsupported schema keyword \"minLenght\""},
	{"{'type':'array','uniqueItems':true}", "unsupported schema keyword \"uniqueItems\""},
	{"{'type':'object','properties':{'a':{'not':{}}}}", "unsupported schema keyword \"not\""},
	{"{'$defs':{'a':{'if':{}}}}", "unsupported schema keyword \"if\""},
	{"{'type':'object','properties':{'a':{'$id':'x'}}}", "$id is supported only at the top of the schema"},
	{"{'type':'string','format':'phone'}", "unsupported format \"phone\""},
	{"{'type':'string','pattern':'('}", "pattern \"(\": missing closing parenthesis at offset 1"},
	{"{'type':'string','pattern':1}", "pattern must be a string"},
	{"{'type':'string','minLength':-1}", "minLength must be a whole number, 0 or more"},
	{"{'type':'string','maxLength':1.5}", "maxLength must be a whole number, 0 or more"},
	{"{'type':'number','minimum':'1'}", "minimum must be a number"},
	{"{'type':'number','multipleOf':0}", "multipleOf must be greater than 0"},
	{"{'enum':[]}", "enum must be a list of at least one value"},
	{"{'type':'array','items':[{}]}", "items must be one schema for all items; a list of schemas is not supported"},
	{"{'type':'object','properties':[]}", "properties must be an object"},
	{"{'type':'object','required':'a'}", "required must be a list of names"},
	{"{'type':'object','required':[1]}", "required must be a list of names"},
	{"{'anyOf':[]}", "anyOf must be a list of at least one schema"},
	{"{'anyOf':[1]}", "a schema must be an object, not integer"},
	{"{'$defs':1}", "$defs must be an object of schemas"},
	{"{'$ref':'http://example.com/x'}", "$ref must point into the same schema"},
	{"{'$ref':'#/$defs/x'}", "$ref \"#/$defs/x\" points to nothing"},
	{"{'$ref':'#x'}", "$ref \"#x\" points to nothing"},
	{"{'$ref':'#/$defs/a','type':'string','$defs':{'a':{}}}", "type beside $ref would be ignored"},
	{"{'$ref':'#'}", "the schema refers to itself without an object or array between"},
	{"{'anyOf':[{'type':'string'},{'allOf':[{'$ref':'#'}]}]}", "the schema refers to itself without an object or array between"},
};

START_TEST(refuses)
{
	struct schema *schema;

	ck_assert_int_eq(schema_load_json(arena, json(wrong[_i].source), &schema, &list), RC_INVALID);
	ck_assert_str_eq(list.first->message, wrong[_i].message);
}
END_TEST

START_TEST(points_at_the_place)
{
	struct schema *schema;

	ck_assert_int_eq(schema_load(arena, yaml("type: object\nproperties:\n  a: {type: string, patern: x}\n"), NULL, &schema, &list), RC_INVALID);
	ck_assert_str_eq(diagnostic_text(arena, list.first),
	                 "x.prompt:3:21: error: unsupported schema keyword \"patern\" [did you mean \"pattern\"?]");
}
END_TEST

START_TEST(warns)
{
	load(yaml("type: object\nproperties:\n  a: {type: string, minItems: 2}\n  b: {type: string, minLength: 3, maxLength: 2}\n"));
	ck_assert_uint_eq(list.warnings, 2);
	ck_assert_str_eq(list.first->message, "minItems has no effect on this type");
	ck_assert_str_eq(list.last->message, "nothing can pass: the minimum is above the maximum");
}
END_TEST

START_TEST(bounds_the_parts)
{
	struct value *all = value_array(arena), *source = value_object(arena);
	struct schema *schema;

	for (int i = 0; i < 1001; i++)
		ck_assert_int_eq(value_push(arena, all, value_object(arena)), RC_OK);
	ck_assert_int_eq(value_set(arena, source, "allOf", 5, all), RC_OK);
	ck_assert_int_eq(schema_load_json(arena, source, &schema, &list), RC_INVALID);
	ck_assert_str_eq(list.first->message, "the schema has more than 1000 parts");
}
END_TEST

/* Faults. */

static const struct {
	const char *schema, *value, *faults; /* "path reason; path reason", "" for none */
} checks[] = {
	{"{'type':'string'}", "'x'", ""},
	{"{'type':'string'}", "1", " must be a string"},
	{"{'type':['string','null']}", "1", " must be a string or null"},
	{"{'type':['integer','number','boolean']}", "''", " must be a number or a boolean"},
	{"{'type':['object','array','null']}", "1", " must be an object, an array or null"},
	{"{'type':'integer'}", "1.5", " must be an integer"},
	{"{'type':'integer'}", "2.0", ""},
	{"{'type':'object','required':['a','b/c~']}", "{}", "/a is required; /b~1c~0 is required"},
	{"{'type':'object','properties':{'a':{'type':'object','required':['b']}}}", "{'a':{}}", "/a/b is required"},
	{"{'type':'object','properties':{'a':{}},'additionalProperties':false}", "{'a':1,'b':2}", "/b is not a known member"},
	{"{'type':'object','properties':{'a':false}}", "{'a':1}", "/a is not allowed"},
	{"{'type':'object','additionalProperties':{'type':'integer'}}", "{'a':1,'b':''}", "/b must be an integer"},
	{"{'type':'array','items':{'type':'integer'}}", "[1,'x',true]", "/1 must be an integer; /2 must be an integer"},
	{"{'type':'array','minItems':1}", "[]", " has fewer than 1 item"},
	{"{'type':'array','maxItems':2}", "[1,2,3]", " has more than 2 items"},
	{"{'type':'string','minLength':1}", "''", " must not be empty"},
	{"{'type':'string','minLength':3}", "'é😀'", " is shorter than 3 characters"},
	{"{'type':'string','maxLength':2}", "'é😀'", ""},
	{"{'type':'string','maxLength':1}", "'é😀'", " is longer than 1 character"},
	{"{'type':'string','pattern':'^a+$'}", "'b'", " does not match the pattern ^a+$"},
	{"{'type':'string','pattern':'^éééééééééééééééééééééééééééééééééééééééééééééééééé$'}", "'b'", " does not match the pattern ^ééééééééééééééééééééééééééééééééééééééé"},
	{"{'type':'string','pattern':'^(a+)+$'}", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'", " does not match the pattern ^(a+)+$"},
	{"{'type':'string','format':'date'}", "'2027-02-30'", " is not a valid date"},
	{"{'enum':['a',1,null]}", "'b'", " must be one of \"a\", 1, null"},
	{"{'enum':['a']}", "'b'", " must be \"a\""},
	{"{'const':{'a':[1]}}", "{'a':[1.0]}", ""},
	{"{'const':3}", "4", " must be 3"},
	{"{'minimum':2}", "1", " must be at least 2"},
	{"{'maximum':2.5}", "3", " must be at most 2.5"},
	{"{'exclusiveMinimum':2}", "2", " must be greater than 2"},
	{"{'exclusiveMaximum':2}", "2.0", " must be less than 2"},
	{"{'multipleOf':3}", "7", " must be a multiple of 3"},
	{"{'multipleOf':0.01}", "4.35", ""},
	{"{'multipleOf':0.01}", "4.355", " must be a multiple of 0.01"},
	{"{'multipleOf':2}", "'x'", ""},
	{"{'anyOf':[{'type':'string'},{'type':'null'}]}", "1", " must be a string or null"},
	{"{'anyOf':[{'type':'string','maxLength':1},{'type':'null'}]}", "'xy'", " is longer than 1 character"},
	{"{'anyOf':[{'type':'string','maxLength':1},{'enum':['abc']}]}", "'xy'", " matches none of the allowed forms"},
	{"{'oneOf':[{'type':'integer'},{'minimum':2}]}", "3", " matches more than one of the forms that exclude each other"},
	{"{'oneOf':[{'type':'integer'},{'minimum':2}]}", "1", ""},
	{"{'allOf':[{'minimum':2},{'multipleOf':2}]}", "1", " must be at least 2; must be a multiple of 2"},
	{"{'type':'object','properties':{'n':{'$ref':'#'},'v':{'type':'integer'}},'additionalProperties':false}",
	 "{'n':{'n':{'v':'x'}}}", "/n/n/v must be an integer"},
	{"{'$ref':'#/$defs/a%25~1b','$defs':{'a%/b':{'type':'null'}}}", "1", " must be null"},
	{"{'allOf':[{'$ref':'#/definitions/l/anyOf/1'}],'definitions':{'l':{'anyOf':[{},{'type':'string'}]}}}", "1", " must be a string"},
	{"true", "1", ""},
	{"false", "1", " is not allowed"},
	{"{'type':'array','items':{'required':['a']}}", "[{},{}]", "/0/a is required; /1/a is required"},
};

static const char *faults_text(const struct schema_faults *faults)
{
	struct buf buf;

	buf_init(&buf, arena, 1u << 16);
	for (unsigned i = 0; i < faults->count; i++)
		buf_printf(&buf, "%s%s%s %s", i == 0 ? "" : ";", i == 0 || faults->items[i].path[0] == '\0' ? "" : " ", faults->items[i].path,
		           faults->items[i].reason);
	return buf_text(&buf);
}

START_TEST(finds_faults)
{
	struct schema_faults faults;
	struct schema *schema;
	enum rc rc;

	ck_assert_int_eq(schema_load_json(arena, json(checks[_i].schema), &schema, &list), RC_OK);
	rc = schema_check(schema, arena, json(checks[_i].value), NULL, &faults);
	ck_assert_str_eq(faults_text(&faults), checks[_i].faults);
	ck_assert_int_eq(rc, checks[_i].faults[0] == '\0' ? RC_OK : RC_INVALID);
}
END_TEST

START_TEST(bounds_the_faults)
{
	struct schema *schema = load(json("{'type':'array','items':{'type':'string'}}"));
	struct schema_faults faults;

	ck_assert_int_eq(schema_check(schema, arena, json("[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0]"), NULL, &faults), RC_INVALID);
	ck_assert_uint_eq(faults.count, SCHEMA_FAULT_MAX);
}
END_TEST

START_TEST(cuts_long_enums_and_paths)
{
	struct value *options = value_array(arena), *object = value_object(arena), *source = value_object(arena);
	struct schema_faults faults;
	struct schema *schema;
	char name[2000];

	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(value_push(arena, options, value_string(arena, "0123456789", 10)), RC_OK);
	ck_assert_int_eq(value_set(arena, source, "enum", 4, options), RC_OK);
	ck_assert_int_eq(schema_load_json(arena, source, &schema, &list), RC_OK);
	ck_assert_int_eq(schema_check(schema, arena, json("1"), NULL, &faults), RC_INVALID);
	ck_assert_uint_lt(strlen(faults.items[0].reason), 320);
	ck_assert_ptr_nonnull(strstr(faults.items[0].reason, ", …"));

	memset(name, 'n', sizeof name);
	ck_assert_int_eq(value_set(arena, object, name, sizeof name, value_null(arena)), RC_OK);
	schema = load(json("{'type':'object','properties':{},'additionalProperties':false}"));
	ck_assert_int_eq(schema_check(schema, arena, object, NULL, &faults), RC_INVALID);
	ck_assert_uint_le(strlen(faults.items[0].path), 512);
}
END_TEST

/* Each level doubles the work twice over. */
START_TEST(bounds_the_work)
{
	struct schema *schema = load(json("{'anyOf':[{'type':'array','items':{'$ref':'#'}},{'type':'array','items':{'$ref':'#'}},{'type':'null'}]}"));
	struct schema_faults faults;
	int64_t start = clock_us();

	ck_assert_int_eq(schema_check(schema, arena, json("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), NULL, &faults), RC_INVALID);
	ck_assert_int_lt(clock_us() - start, 5000000);
}
END_TEST

/* Formats. */

static const struct {
	const char *format, *text;
	bool holds;
} formats[] = {
	{"date-time", "2027-06-12T14:00:00Z", true},
	{"date-time", "2027-06-12t14:00:00.123456+05:30", true},
	{"date-time", "2027-06-12 14:00:00Z", false},
	{"date-time", "2027-06-12T14:00:00", false},
	{"date-time", "2016-12-31T23:59:60Z", true},
	{"date-time", "2016-12-31T22:59:60Z", false},
	{"date-time", "2016-12-31T22:59:60-01:00", true},
	{"date", "2024-02-29", true},
	{"date", "2023-02-29", false},
	{"date", "1900-02-29", false},
	{"date", "2000-02-29", true},
	{"date", "2024-13-01", false},
	{"date", "2024-1-01", false},
	{"date", "", false},
	{"time", "14:00:00Z", true},
	{"time", "14:00:00.Z", false},
	{"time", "24:00:00Z", false},
	{"time", "14:00:00", false},
	{"time", "14:00:00+24:00", false},
	{"time", "14:00:00+5:00", false},
	{"duration", "P1Y2M3DT4H5M6S", true},
	{"duration", "PT30M", true},
	{"duration", "P2W", true},
	{"duration", "P1D", true},
	{"duration", "P", false},
	{"duration", "PT", false},
	{"duration", "P1DT", false},
	{"duration", "P1M1Y", false},
	{"duration", "P1Y1D", false},
	{"duration", "P1W1D", false},
	{"duration", "1D", false},
	{"duration", "P1S", false},
	{"email", "joe.bloggs@example.com", true},
	{"email", "\"joe bloggs\"@example.com", true},
	{"email", "\"a\\\"b\"@example.com", true},
	{"email", "joe@[192.0.2.1]", true},
	{"email", "joe@[IPv6:2001:db8::1]", true},
	{"email", "joe@[300.0.0.1]", false},
	{"email", ".joe@example.com", false},
	{"email", "joe..b@example.com", false},
	{"email", "joe@", false},
	{"email", "@example.com", false},
	{"email", "joe", false},
	{"email", "joe bloggs@example.com", false},
	{"email", "joe@exa_mple.com", false},
	{"hostname", "www.example.com", true},
	{"hostname", "xn--4gbwdl.xn--wgbh1c", true},
	{"hostname", "a", true},
	{"hostname", "-a.com", false},
	{"hostname", "a-.com", false},
	{"hostname", "a..com", false},
	{"hostname", "", false},
	{"hostname", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234.com", false},
	{"ipv4", "192.168.0.1", true},
	{"ipv4", "256.0.0.1", false},
	{"ipv4", "127.0.0", false},
	{"ipv4", "127.0.0.0.1", false},
	{"ipv4", "087.10.0.1", false},
	{"ipv4", "127.0..1", false},
	{"ipv6", "::", true},
	{"ipv6", "::1", true},
	{"ipv6", "2001:db8::ff00:42:8329", true},
	{"ipv6", "1:2:3:4:5:6:7:8", true},
	{"ipv6", "::ffff:192.168.0.1", true},
	{"ipv6", "1:2:3:4:5:6:192.168.0.1", true},
	{"ipv6", "1::", true},
	{"ipv6", "1:2:3:4:5:6:7::", true},
	{"ipv6", "1:2:3:4:5:6:7", false},
	{"ipv6", "1:2:3:4:5:6:7:8:9", false},
	{"ipv6", "1::2::3", false},
	{"ipv6", "12345::", false},
	{"ipv6", ":1:2:3:4:5:6:7", false},
	{"ipv6", "1:2:3:4:5:6:7:", false},
	{"ipv6", ":::", false},
	{"ipv6", "::1%eth0", false},
	{"ipv6", "1:2:3:4:5:6:7:192.168.0.1", false},
	{"uuid", "3f2b8c1e-5d4a-4c6b-9e7f-1a2b3c4d5e6f", true},
	{"uuid", "3F2B8C1E-5D4A-4C6B-9E7F-1A2B3C4D5E6F", true},
	{"uuid", "3f2b8c1e5d4a4c6b9e7f1a2b3c4d5e6f", false},
	{"uuid", "3f2b8c1e-5d4a-4c6b-9e7f-1a2b3c4d5e6g", false},
	{"uri", "https://user:pw@example.com:8080/a/b?c=d#e", true},
	{"uri", "http://[2001:db8::1]:80/", true},
	{"uri", "http://[v1.a:b]/", true},
	{"uri", "mailto:joe@example.com", true},
	{"uri", "urn:isbn:0451450523", true},
	{"uri", "tel:+1-816-555-1212", true},
	{"uri", "http://a/%7Efoo", true},
	{"uri", "http://a/%7", false},
	{"uri", "http://[bad]/", false},
	{"uri", "//example.com/a", false},
	{"uri", "/a", false},
	{"uri", "http://exa mple.com", false},
	{"uri", "http://a/\\b", false},
	{"uri", ":a", false},
	{"uri", "http://us er@a/", false},
	{"uri", "http://a/b#c d", false},
};

START_TEST(checks_formats)
{
	struct schema *schema = load(json(arena_printf(arena, "{'type':'string','format':'%s'}", formats[_i].format)));
	const struct value *value = value_string(arena, formats[_i].text, strlen(formats[_i].text));
	struct schema_faults faults;

	ck_assert_msg((schema_check(schema, arena, value, NULL, &faults) == RC_OK) == formats[_i].holds, "%s %s", formats[_i].format, formats[_i].text);
}
END_TEST

/* Caps. */

static const struct {
	const char *schema, *value, *faults;
} caps[] = {
	{"{'type':'string'}", "'0123456789é'", " is longer than 10 characters"},
	{"{'type':'string'}", "'012345678é'", ""},
	{"{'type':'string','maxLength':20}", "'0123456789a'", ""},
	{"{'type':'string','maxLength':20}", "'0123456789012345678901234'", " is longer than 20 characters"},
	{"{'enum':['0123456789a']}", "'0123456789a'", ""},
	{"{'type':'array'}", "[1,2,3,4]", " has more than 3 items"},
	{"{'type':'array','maxItems':5}", "[1,2,3,'0123456789a']", "/3 is longer than 10 characters"},
	{"{'type':'object'}", "{'a':{'b':['0123456789a']}}", "/a/b/0 is longer than 10 characters"},
	{"{'type':'object','properties':{'a':{'$ref':'#/$defs/t'}},'$defs':{'t':{'anyOf':[{'type':'string','maxLength':99},{'type':'null'}]}}}",
	 "{'a':'0123456789a','b':'0123456789a'}", "/b is longer than 10 characters"},
	{"{'allOf':[{'type':'object','properties':{'a':{'maxLength':99}}},{'type':'object','properties':{'b':{}}}]}", "{'a':'0123456789a'}", ""},
	{"{'type':'object','additionalProperties':{'maxLength':99}}", "{'a':'0123456789a'}", ""},
	{"{'type':'array','items':{'maxLength':99}}", "['0123456789a']", ""},
};

START_TEST(caps_what_has_no_maximum)
{
	const struct schema_limits limits = {.max_string = 10, .max_items = 3};
	struct schema_faults faults;
	struct schema *schema;
	enum rc rc;

	ck_assert_int_eq(schema_load_json(arena, json(caps[_i].schema), &schema, &list), RC_OK);
	rc = schema_check(schema, arena, json(caps[_i].value), &limits, &faults);
	ck_assert_str_eq(faults_text(&faults), caps[_i].faults);
	ck_assert_int_eq(rc, caps[_i].faults[0] == '\0' ? RC_OK : RC_INVALID);
}
END_TEST

START_TEST(caps_nothing_at_zero)
{
	const struct schema_limits limits = {0, 0};
	struct schema *schema = load(json("{'type':'array'}"));
	struct schema_faults faults;

	ck_assert_int_eq(schema_check(schema, arena, json("[1,2,3,4,'0123456789a']"), &limits, &faults), RC_OK);
}
END_TEST

/* The strict form. */

static const struct {
	const char *source, *strict; /* NULL: there is none */
} strict[] = {
	{"{'type':'string'}", NULL},
	{"{'type':'object'}", NULL},
	{"{'type':'object','properties':{'a':{}}}", NULL},
	{"{'type':'object','properties':{'a':{'type':'object'}}}", NULL},
	{"{'type':'object','properties':{'a':{'type':'array'}}}", NULL},
	{"{'type':'object','properties':{'a':{'type':'string'}},'additionalProperties':{'type':'string'}}", NULL},
	{"{'type':'object','properties':{'a':{'allOf':[{'type':'string'}]}}}", NULL},
	{"{'type':'object','properties':{'a':{'enum':[[1]]}}}", NULL},
	{"{'type':'object','properties':{'a':{'type':'string'}},'required':['b']}", NULL},
	{"{'type':'object','properties':{'a':{'$ref':'#/properties/b'},'b':{'type':'string'}}}", NULL},
	{"{'type':'object','properties':{'a':false}}", NULL},
	{"{'title':'T','$comment':'c','type':'object','properties':{"
	 "'a':{'type':'string','minLength':1,'maxLength':9,'pattern':'x','format':'email','description':'d','default':'x'},"
	 "'b':{'type':'integer','minimum':1},'c':{'enum':['x','y']},'d':{'const':1},'e':{'type':'string','format':'uri'},"
	 "'f':{'type':'array','minItems':1,'items':{'type':'number'}}},'required':['a','c','f']}",
	 "{'title':'T','type':'object','properties':{'a':{'type':'string','pattern':'x','format':'email','description':'d'},"
	 "'b':{'type':['integer','null'],'minimum':1},'c':{'type':'string','enum':['x','y']},'d':{'type':['number','null'],'enum':[1,null]},"
	 "'e':{'type':['string','null']},'f':{'type':'array','minItems':1,'items':{'type':'number'}}},"
	 "'required':['a','b','c','d','e','f'],'additionalProperties':false}"},
	{"{'type':'object','properties':{'a':{'oneOf':[{'type':'string'},{'type':'integer'}],'description':'d'},"
	 "'b':{'anyOf':[{'type':'string'},{'type':'null'}]}}}",
	 "{'type':'object','properties':{'a':{'description':'d','anyOf':[{'type':'string'},{'type':'integer'},{'type':'null'}]},"
	 "'b':{'anyOf':[{'type':'string'},{'type':'null'}]}},'required':['a','b'],'additionalProperties':false}"},
	{"{'type':'object','required':['v'],'properties':{'v':{'$ref':'#/definitions/t'},'n':{'$ref':'#'}},'definitions':{'t':{'type':'string'}}}",
	 "{'type':'object','properties':{'v':{'$ref':'#/$defs/t'},'n':{'anyOf':[{'$ref':'#'},{'type':'null'}]}},'required':['v','n'],"
	 "'additionalProperties':false,'$defs':{'t':{'type':'string'}}}"},
};

START_TEST(makes_the_strict_form)
{
	struct schema *schema;

	ck_assert_int_eq(schema_load_json(arena, json(strict[_i].source), &schema, &list), RC_OK);
	if (strict[_i].strict == NULL)
		ck_assert_msg(schema_strict(schema) == NULL, "%s", print(schema_strict(schema)));
	else
		same(schema_strict(schema), strict[_i].strict);
}
END_TEST

START_TEST(bounds_the_strict_form)
{
	struct buf buf;

	buf_init(&buf, arena, 4096);
	for (int i = 0; i < 12; i++)
		buf_puts(&buf, "{'type':'object','properties':{'a':");
	buf_puts(&buf, "{'type':'string'}");
	for (int i = 0; i < 12; i++)
		buf_puts(&buf, "}}");
	ck_assert_ptr_null(schema_strict(load(json(buf_text(&buf)))));
}
END_TEST

START_TEST(comes_back_from_the_strict_form)
{
	struct schema *schema = load(json("{'type':'object','required':['a'],'properties':{'a':{'type':'string'},'b':{'type':'integer'},"
	 "'c':{'type':['string','null']},"
	                                  "'l':{'type':'array','items':{'$ref':'#/$defs/i'}},'o':{'anyOf':[{'$ref':'#/$defs/i'},{'type':'null'}]}},"
	                                  "'$defs':{'i':{'type':'object','required':['x'],'properties':{'x':{'type':'integer'},'y':{'type':'integer'}}}}}"));
	const struct value *answer = json("{'a':'','b':null,'c':null,'l':[{'x':1,'y':null},{'x':1,'y':2}],'o':{'x':1,'y':null}}");
	struct schema_faults faults;

	ck_assert_int_eq(schema_check(schema, arena, answer, NULL, &faults), RC_INVALID);
	answer = schema_from_strict(schema, arena, answer);
	same(answer, "{'a':'','c':null,'l':[{'x':1},{'x':1,'y':2}],'o':{'x':1}}");
	ck_assert_int_eq(schema_check(schema, arena, answer, NULL, &faults), RC_OK);
	same(schema_from_strict(schema, arena, json("{'a':null,'z':null}")), "{'a':null,'z':null}");
	schema = load(json("{'type':'array'}"));
	same(schema_from_strict(schema, arena, json("[null]")), "[null]");
}
END_TEST

/* Samples. */

static const char *const samples[] = {
	"{'type':'string'}",
	"{'type':'string','minLength':200}",
	"{'type':'string','maxLength':3}",
	"{'type':'string','minLength':5,'maxLength':5}",
	"{'type':'string','pattern':'^[a-z0-9]+(-[a-z0-9]+)*$'}",
	"{'type':'string','pattern':'^\\\\d{4}-\\\\d{2}$'}",
	"{'type':'string','pattern':'^(yes|no)$'}",
	"{'type':'string','pattern':'^[A-Z]{2}[0-9]{3,}\\\\.(?:txt)?$'}",
	"{'type':'string','pattern':'^[^a1A]$'}",
	"{'type':'string','format':'date-time'}",
	"{'type':'string','format':'duration'}",
	"{'type':'string','format':'ipv6'}",
	"{'type':'integer','minimum':10,'multipleOf':7}",
	"{'type':'integer','exclusiveMaximum':-10}",
	"{'type':'number','exclusiveMinimum':0.1,'exclusiveMaximum':0.2}",
	"{'type':'number','maximum':0.5,'multipleOf':0.25}",
	"{'type':'boolean'}",
	"{'type':'null'}",
	"{'type':'array'}",
	"{'type':'array','minItems':5,'items':{'type':'integer'}}",
	"{'type':'array','maxItems':1,'items':{'type':'string'}}",
	"{'type':'array','items':false}",
	"{'type':'object','required':['a','z'],'properties':{'a':{'type':'string'},'b':{'enum':[3]}}}",
	"{'type':'object','required':['z'],'additionalProperties':{'type':'integer'}}",
	"{'enum':[1,'two'],'type':'string'}",
	"{'const':{'a':1}}",
	"{}",
	"true",
	"{'anyOf':[false,{'type':'integer'}]}",
	"{'type':'object','properties':{'a':{'type':'string'}},'required':['a'],"
	 "'anyOf':[{'required':['b'],'properties':{'b':{'type':'integer'}}},{'type':'null'}]}",
	"{'oneOf':[{'type':'string'},{'type':'integer'}]}",
	"{'allOf':[{'type':'object','required':['a'],'properties':{'a':{'type':'string'}}},"
	 "{'type':'object','required':['b'],'properties':{'b':{'type':'integer'}}}]}",
	"{'type':'object','properties':{'v':{'type':'integer'},'l':{'$ref':'#'},'r':{'$ref':'#'},"
	 "'c':{'type':'array','items':{'$ref':'#'}}},'required':['v']}",
	"{'type':'object','properties':{'next':{'anyOf':[{'$ref':'#'},{'type':'null'}]}},'required':['next']}",
	"{'minimum':3}",
	"{'minItems':3}",
	"{'properties':{'a':{'type':'integer'}}}",
};

START_TEST(samples_pass)
{
	struct schema_faults faults;
	struct schema *schema;
	const struct value *made;

	ck_assert_int_eq(schema_load_json(arena, json(samples[_i]), &schema, &list), RC_OK);
	made = schema_sample(schema, arena);
	ck_assert_msg(made != NULL, "%s", samples[_i]);
	ck_assert_msg(schema_check(schema, arena, made, NULL, &faults) == RC_OK, "%s", print(made));
	ck_assert_ptr_nonnull(json(print(made)));
}
END_TEST

static const char *const impossible[] = {
	"false",
	"{'type':'string','pattern':'^(?=a)b'}",
	"{'type':'integer','minimum':2,'maximum':1}",
	"{'type':'string','minLength':3,'maxLength':2}",
	"{'enum':[1],'type':'string'}",
	"{'type':'object','properties':{'a':{'$ref':'#'}},'required':['a']}",
};

START_TEST(gives_up_on_the_impossible)
{
	struct schema *schema;

	ck_assert_int_eq(schema_load_json(arena, json(impossible[_i]), &schema, &list), RC_OK);
	ck_assert_ptr_null(schema_sample(schema, arena));
}
END_TEST

/* Nothing but NOMEM comes of an arena that is too small, wherever it ends. */
START_TEST(ends_with_its_arena)
{
	const struct value *source = yaml("a(array, list): {b?: string, k(enum): [x, y], p: {q: integer}}\n(*): any\n");
	const struct value *value = json("{'a':[{'b':1,'k':'z'}],'c':{'d':'0123456789'}}");
	const struct schema_limits limits = {.max_string = 5, .max_items = 5};
	enum rc rc = RC_NOMEM;

	for (size_t room = 0; rc == RC_NOMEM; room += 64) {
		struct arena *small = arena_new(room);
		struct schema_faults faults;
		struct schema *schema;
		struct diagnostics few;

		diagnostics_init(&few, small, "x");
		rc = schema_load(small, source, NULL, &schema, &few);
		if (rc == RC_OK)
			rc = schema_check(schema, small, value, &limits, &faults);
		if (rc == RC_INVALID)
			rc = schema_check(schema, small, value, NULL, &faults);
		if (rc == RC_INVALID)
			rc = schema_sample(schema, small) == NULL ? RC_NOMEM : RC_OK;
		arena_free(small);
	}
	ck_assert_int_eq(rc, RC_OK);
}
END_TEST

START_TEST(finds_properties)
{
	struct schema *schema = load(json("{'$ref':'#/$defs/a','$defs':{'a':{'type':'object','required':['y'],'properties':{'x':{'type':'null'}}}}}"));

	same(schema_property(schema, "x"), "{'type':'null'}");
	ck_assert_ptr_null(schema_property(schema, "y"));
	ck_assert_ptr_null(schema_property(schema, "z"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schema");
	TCase *tc = tcase_create("schema");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, converts_picoschema, 0, (int)COUNT_OF(pico));
	tcase_add_loop_test(tc, refuses_picoschema, 0, (int)COUNT_OF(wrong_pico));
	tcase_add_test(tc, resolves_named_schemas);
	tcase_add_loop_test(tc, refuses, 0, (int)COUNT_OF(wrong));
	tcase_add_test(tc, points_at_the_place);
	tcase_add_test(tc, warns);
	tcase_add_test(tc, bounds_the_parts);
	tcase_add_loop_test(tc, finds_faults, 0, (int)COUNT_OF(checks));
	tcase_add_test(tc, bounds_the_faults);
	tcase_add_test(tc, cuts_long_enums_and_paths);
	tcase_add_test(tc, bounds_the_work);
	tcase_add_loop_test(tc, checks_formats, 0, (int)COUNT_OF(formats));
	tcase_add_loop_test(tc, caps_what_has_no_maximum, 0, (int)COUNT_OF(caps));
	tcase_add_test(tc, caps_nothing_at_zero);
	tcase_add_loop_test(tc, makes_the_strict_form, 0, (int)COUNT_OF(strict));
	tcase_add_test(tc, bounds_the_strict_form);
	tcase_add_test(tc, comes_back_from_the_strict_form);
	tcase_add_loop_test(tc, samples_pass, 0, (int)COUNT_OF(samples));
	tcase_add_loop_test(tc, gives_up_on_the_impossible, 0, (int)COUNT_OF(impossible));
	tcase_add_test(tc, ends_with_its_arena);
	tcase_add_test(tc, finds_properties);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
