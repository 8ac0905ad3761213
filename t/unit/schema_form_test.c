/*
 * schema_form_test.c - what a schema is turned into, at the bounds: Picoschema or JSON Schema, the strict form or none, samples.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "schema_unit.h"
#include "unit.h"

/* Picoschema, or JSON Schema: told apart by what is in it. `named` are the schemas that it may name. */

static const struct {
	const char *named, *source, *json; /* NULL: refused */
} pico[] = {
	{"{}", "{'oneOf':[{'type':'string'}]}", "{'oneOf':[{'type':'string'}]}"},
	{"{}", "{'allOf':[{'type':'string'}]}", "{'allOf':[{'type':'string'}]}"},
	{"{}", "{'enum':[1]}", "{'enum':[1]}"},
	{"{}", "{'$schema':'x','const':1}", "{'$schema':'x','const':1}"},
	{"{}", "{'enum':'string'}", "{'type':'object','properties':{'enum':{'type':'string'}},'required':['enum'],'additionalProperties':false}"},
	{"{}", "{'properties':'string'}", "{'type':'object','properties':{'properties':{'type':'string'}},'required':['properties'],'additionalProperties':false}"},
	{"{'T':'integer'}", "{'type':'T'}", "{'type':'object','properties':{'type':{'type':'integer'}},'required':['type'],'additionalProperties':false}"},
	{"{'T':{'type':['string','integer']}}", "{'a?':'T'}", "{'type':'object','properties':{'a':{'type':['string','integer']}},'additionalProperties':false}"},
	{"{}", "{'type':[]}", NULL},
	{"{}", "{'a':'text','b':'string'}", NULL},
	{"{}", "{'type':'object','properties':{'a':{'type':'strin'},'b':{'type':'string'}}}", NULL},
};

START_TEST(tells_the_kinds_apart)
{
	struct schema *schema;
	enum rc rc = schema_load(arena, json(pico[_i].source), json(pico[_i].named), &schema, &list);

	ck_assert_msg((rc == RC_OK) == (pico[_i].json != NULL), "%s", list.first == NULL ? rc_name(rc) : list.first->message);
	if (rc == RC_OK)
		same(schema_json(schema), pico[_i].json);
}
END_TEST

START_TEST(a_named_schema_may_be_named_often)
{
	struct schema *schema;
	struct buf buf;

	buf_init(&buf, arena, 4096);
	for (int i = 0; i < 40; i++)
		buf_printf(&buf, "%s'a%d':'T'", i == 0 ? "{" : ",", i);
	buf_puts(&buf, "}");
	ck_assert_int_eq(schema_load(arena, json(buf_text(&buf)), json("{'T':'integer'}"), &schema, &list), RC_OK);
}
END_TEST

/* The strict form of an object whose one member `a`, required, is this; NULL: there is none. */

static const struct {
	const char *member, *strict;
} members[] = {
	{"{'type':'string','enum':['x',1]}", "{'type':'string','enum':['x',1]}"},
	{"{'type':'string','enum':[1]}", NULL},
	{"{'enum':[[1]],'items':{'type':'integer'}}", NULL},
	{"{'enum':['x',{'b':1}],'properties':{'b':{'type':'integer'}}}", NULL},
	{"{'properties':{'b':{'type':'string'}},'items':{'type':'string'}}", NULL},
	{"{'type':'string','allOf':[{'minLength':1}]}", NULL},
	{"{'type':'string','anyOf':[{'type':'string'}]}", NULL},
	{"{'enum':['x'],'anyOf':[{'type':'string'}]}", NULL},
	{"{'const':'x','anyOf':[{'type':'string'}]}", NULL},
	{"{'properties':{'b':{'type':'string'}},'anyOf':[{'type':'string'}]}", NULL},
	{"{'anyOf':[{'type':'string'}],'oneOf':[{'type':'string'}]}", NULL},
	{"{'type':'object','properties':{'b':{'type':'string'}},'additionalProperties':true}",
	 "{'type':'object','properties':{'b':{'type':['string','null']}},'required':['b'],'additionalProperties':false}"},
	{"{'type':'object','properties':{'b':{'type':'string'}},'additionalProperties':false,'required':['b']}",
	 "{'type':'object','properties':{'b':{'type':'string'}},'required':['b'],'additionalProperties':false}"},
	{"{'type':'string','format':'duration'}", "{'type':'string','format':'duration'}"},
	{"{'type':'string','format':'uri'}", "{'type':'string'}"},
};

START_TEST(makes_the_strict_form_of_a_member)
{
	const struct value *strict =
		schema_strict(load_json(arena_printf(arena, "{'type':'object','properties':{'a':%s},'required':['a']}", members[_i].member)));

	ck_assert_msg((strict != NULL) == (members[_i].strict != NULL), "%s: %s", members[_i].member, strict == NULL ? "none" : print(strict));
	if (strict != NULL)
		same(value_get(value_get(strict, "properties"), "a"), members[_i].strict);
}
END_TEST

/* The same where it is optional: null stands for what is left out. */
static const struct {
	const char *member, *strict;
} optional[] = {
	{"{'enum':['x',null]}", "{'type':['string','null'],'enum':['x',null]}"},
	{"{'enum':['x']}", "{'type':['string','null'],'enum':['x',null]}"},
	{"{'$ref':'#/$defs/n'}", "{'$ref':'#/$defs/n'}"},
	{"{'$ref':'#/$defs/s'}", "{'anyOf':[{'$ref':'#/$defs/s'},{'type':'null'}]}"},
	{"{'$ref':'#/$defs/o/properties/b'}", NULL},
	{"{'anyOf':[{'enum':['x']},{'type':'integer'}]}", "{'anyOf':[{'type':'string','enum':['x']},{'type':'integer'},{'type':'null'}]}"},
	{"{'anyOf':[{'anyOf':[{'type':'string'}]},{'type':'integer'}]}", "{'anyOf':[{'anyOf':[{'type':'string'}]},{'type':'integer'},{'type':'null'}]}"},
	{"{'anyOf':[{'oneOf':[{'type':'string'}]},{'type':'integer'}]}", "{'anyOf':[{'anyOf':[{'type':'string'}]},{'type':'integer'},{'type':'null'}]}"},
	{"{'anyOf':[{'$ref':'#/$defs/s'},{'type':'integer'}]}", "{'anyOf':[{'$ref':'#/$defs/s'},{'type':'integer'},{'type':'null'}]}"},
	{"{'anyOf':[{'$ref':'#/$defs/n'},{'type':'integer'}]}", "{'anyOf':[{'$ref':'#/$defs/n'},{'type':'integer'}]}"},
};

START_TEST(makes_the_strict_form_of_an_optional_member)
{
	const struct value *strict = schema_strict(load_json(arena_printf(
		arena, "{'type':'object','properties':{'a':%s},'$defs':{'n':{'type':['string','null']},'s':{'type':'string'},"
		"'o':{'type':'object','properties':{'b':{'type':'string'}}}}}", optional[_i].member)));

	ck_assert_msg((strict != NULL) == (optional[_i].strict != NULL), "%s: %s", optional[_i].member, strict == NULL ? "none" : print(strict));
	if (strict != NULL)
		same(value_get(value_get(strict, "properties"), "a"), optional[_i].strict);
}
END_TEST

START_TEST(two_definitions_of_one_name_have_no_strict_form)
{
	ck_assert_ptr_null(schema_strict(load_json("{'type':'object','properties':{'a':{'type':'string'}},'$defs':{'d':{'type':'string'}},"
	                                      "'definitions':{'d':{'type':'integer'}}}")));
}
END_TEST

/* Levels of one kind around a string. */
static const struct {
	const char *before, *after;
} levels[] = {
	{"{'type':'object','properties':{'a':", "}}"},
	{"{'type':'array','items':", "}"},
	{"{'anyOf':[", "]}"},
};

static bool has_strict_form(const char *before, const char *after, int depth)
{
	struct buf buf;

	buf_init(&buf, arena, 4096);
	buf_puts(&buf, "{'type':'object','properties':{'a':");
	for (int i = 1; i < depth; i++)
		buf_puts(&buf, before);
	buf_puts(&buf, "{'type':'string'}");
	for (int i = 1; i < depth; i++)
		buf_puts(&buf, after);
	buf_puts(&buf, "}}");
	return schema_strict(load_json(buf_text(&buf))) != NULL;
}

START_TEST(ten_levels_have_a_strict_form)
{
	ck_assert(has_strict_form(levels[_i].before, levels[_i].after, 10));
	ck_assert(!has_strict_form(levels[_i].before, levels[_i].after, 11));
}
END_TEST

START_TEST(a_thousand_options_have_a_strict_form)
{
	for (int over = 0; over < 2; over++) {
		struct buf buf;

		buf_init(&buf, arena, 1u << 20);
		for (int i = 0; i < 1000 + over; i++)
			buf_printf(&buf, "%s%d", i == 0 ? "{'type':'object','properties':{'a':{'enum':[" : i == 500 ? "]},'b':{'enum':[" : ",", i);
		buf_puts(&buf, "]}}}");
		ck_assert((schema_strict(load_json(buf_text(&buf))) != NULL) == (over == 0));
	}
}
END_TEST

/* Samples. */

static const char *const samples[] = {
	"{'type':'string','minLength':150000}",
	"{'type':'object','properties':{'a':false,'b':{'type':'integer'}}}",
	"{'type':'number','maximum':-10}",
	"{'type':'number','minimum':1e300}",
	"{'type':'number','minimum':-1e300,'maximum':-9e299}",
	"{'type':'object','properties':{'a\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
	"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9':{'type':'string'}}}",
	"{'type':'integer','anyOf':[{'pattern':'x'}]}",
	"{'type':'string','pattern':'^x+?y$'}",
	"{'type':'string','pattern':'^(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)$'}",
	"{'type':'string','pattern':'\\\\bSample'}",
};

START_TEST(samples_pass)
{
	struct schema_faults faults;
	struct schema *schema = load_json(samples[_i]);
	const struct value *made = schema_sample(schema, arena);

	ck_assert_msg(made != NULL, "%s", samples[_i]);
	made = json(print(made)); /* as its reader has it */
	ck_assert_int_eq(schema_check(schema, arena, made, NULL, &faults), RC_OK);
}
END_TEST

START_TEST(samples_of_many_members)
{
	struct buf buf;

	buf_init(&buf, arena, 1u << 16);
	for (int i = 0; i < 60; i++)
		buf_printf(&buf, "%s'a%d':{'type':'integer'}", i == 0 ? "{'type':'object','additionalProperties':false,'properties':{" : ",", i);
	for (int i = 0; i < 60; i++)
		buf_printf(&buf, "%s'a%d'", i == 0 ? "},'required':[" : ",", i);
	buf_puts(&buf, "]}");
	ck_assert_ptr_nonnull(schema_sample(load_json(buf_text(&buf)), arena));
}
END_TEST

START_TEST(a_member_of_two_parts_comes_once)
{
	const struct value *made = schema_sample(load_json("{'allOf':[{'type':'object','required':['a'],'properties':{'a':{'type':'integer'}}},"
	                                              "{'type':'object','required':['a'],'properties':{'a':{'type':'integer'}}}]}"), arena);

	ck_assert_uint_eq(made->u.object.count, 1);
}
END_TEST

/* Whatever comes of them, it comes soon. */
static const char *const endless[] = {
	"{'type':'array','minItems':10,'items':{'anyOf':[{'$ref':'#'},{'type':'null'}]}}",
};

START_TEST(samples_end)
{
	(void)schema_sample(load_json(endless[_i]), arena);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("form");
	TCase *tc = tcase_create("form");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, tells_the_kinds_apart, 0, (int)COUNT_OF(pico));
	tcase_add_test(tc, a_named_schema_may_be_named_often);
	tcase_add_loop_test(tc, makes_the_strict_form_of_a_member, 0, (int)COUNT_OF(members));
	tcase_add_loop_test(tc, makes_the_strict_form_of_an_optional_member, 0, (int)COUNT_OF(optional));
	tcase_add_test(tc, two_definitions_of_one_name_have_no_strict_form);
	tcase_add_loop_test(tc, ten_levels_have_a_strict_form, 0, (int)COUNT_OF(levels));
	tcase_add_test(tc, a_thousand_options_have_a_strict_form);
	tcase_add_loop_test(tc, samples_pass, 0, (int)COUNT_OF(samples));
	tcase_add_test(tc, samples_of_many_members);
	tcase_add_test(tc, a_member_of_two_parts_comes_once);
	tcase_add_loop_test(tc, samples_end, 0, (int)COUNT_OF(endless));
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
