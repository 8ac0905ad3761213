/*
 * schema_edge_test.c - what lies just within and just outside of what a schema lets through, and what is refused at load though all around it is right.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "schema_unit.h"
#include "unit.h"

/* Faults are counted if and only if the answer is no. */
static bool passes(const struct schema *schema, const struct value *value)
{
	struct schema_faults faults;
	enum rc rc = schema_check(schema, arena, value, NULL, &faults);

	ck_assert_int_eq(rc, faults.count == 0 ? RC_OK : RC_INVALID);
	return rc == RC_OK;
}

/* Values. */

static const struct {
	const char *schema, *value;
	bool passes;
} values[] = {
	{"{'type':'array','items':{'type':'integer'}}", "['x',1]", false},
	{"{'type':'object','properties':{'a':{'type':'integer'},'b':{}}}", "{'a':'x','b':1}", false},
	{"{'type':'object','required':['a','b']}", "{'b':1}", false},
	{"{'allOf':[{'type':'integer'},{'minimum':1}]}", "1.5", false},
	{"{'type':'object','required':['z'],'additionalProperties':{'type':'integer'}}", "{'z':'x'}", false},
	{"{'type':'object','required':['z'],'additionalProperties':{'type':'integer'}}", "{'z':1}", true},
	{"{'type':'object','required':['z'],'additionalProperties':false}", "{'z':1}", false},
	{"{'type':'object','required':['z']}", "{'z':1}", true},
	{"{'multipleOf':2}", "7.5", false},
	{"{'multipleOf':2}", "8.0", true},
	{"{'multipleOf':2}", "0", true},
	{"{'multipleOf':1}", "0.000000000001", false},
	{"{'multipleOf':1}", "1.001", false},
	{"{'multipleOf':0.01}", "4.3501", false},
	{"{'multipleOf':0.0001}", "0.0075", true},
	{"{'multipleOf':1e300}", "-9223372036854775808", false},
	{"{'multipleOf':1e300}", "0", true},
	{"{'minimum':2}", "2", true},
	{"{'maximum':2}", "2", true},
	{"{'exclusiveMinimum':2}", "2.000001", true},
	{"{'exclusiveMaximum':2}", "1.999999", true},
	{"{'minimum':1.5}", "1.25", false},
	{"{'type':'array','minItems':2}", "[1,2]", true},
	{"{'type':'array','maxItems':2}", "[1,2]", true},
	{"{'type':'string','minLength':2}", "'ab'", true},
	{"{'oneOf':[{'minimum':1},{'minimum':2}]}", "0", false},
	{"{'anyOf':[false,{'type':'string'}]}", "1", false},
};

START_TEST(checks_values)
{
	ck_assert_msg(passes(load_json(values[_i].schema), json(values[_i].value)) == values[_i].passes, "%s %s", values[_i].schema, values[_i].value);
}
END_TEST

static const struct {
	const char *schema, *value, *reason;
} reasons[] = {
	{"{'anyOf':[false,{'type':'string'}]}", "1", "must be a string"},
	{"{'anyOf':[{'$ref':'#/$defs/s'},{'type':'null'}],'$defs':{'s':{'type':'string'}}}", "1", "must be a string or null"},
};

START_TEST(says_what_was_meant)
{
	struct schema_faults faults;

	ck_assert_int_eq(schema_check(load_json(reasons[_i].schema), arena, json(reasons[_i].value), NULL, &faults), RC_INVALID);
	ck_assert_uint_eq(faults.count, 1);
	ck_assert_str_eq(faults.items[0].reason, reasons[_i].reason);
}
END_TEST

static const char *many(const char *before, const char *each, size_t count, const char *after)
{
	struct buf buf;

	buf_init(&buf, arena, 1u << 20);
	buf_puts(&buf, before);
	for (size_t i = 0; i < count; i++)
		buf_printf(&buf, "%s%s", i == 0 ? "" : ",", each);
	buf_puts(&buf, after);
	ck_assert_int_eq(buf.rc, RC_OK);
	return buf_text(&buf);
}

START_TEST(many_items_are_not_nested)
{
	const char *schema = "{'type':'array','items':{'type':'array','items':{'type':'integer'}}}";

	ck_assert(passes(load_json(schema), json(many("[", "[1]", 1000, "]"))));
}
END_TEST

/* Each refers to the next one. */
static const char *chain(int length)
{
	struct buf buf;

	buf_init(&buf, arena, 1u << 20);
	buf_puts(&buf, "{'$ref':'#/$defs/a0','$defs':{");
	for (int i = 0; i < length; i++)
		buf_printf(&buf, "'a%d':{'$ref':'#/$defs/a%d'},", i, i + 1);
	buf_printf(&buf, "'a%d':{'type':'integer'}}}", length);
	return buf_text(&buf);
}

START_TEST(long_chains_of_references_end)
{
	struct schema_faults faults;

	ck_assert(passes(load_json(chain(100)), json("1")));
	ck_assert_int_eq(schema_check(load_json(chain(400)), arena, json("1"), NULL, &faults), RC_INVALID);
	ck_assert_str_eq(faults.items[0].reason, "is nested too deeply");
}
END_TEST

/* Out of memory is not the caller's fault. */
START_TEST(an_arena_too_small_is_no_fault)
{
	struct schema *schema = load_json("{'type':'array','items':{'enum':['a','b']}}");
	const struct value *value = json("[1,2,3]");
	enum rc rc = RC_NOMEM;

	for (size_t room = 0; rc == RC_NOMEM; room += 16) {
		struct arena *small = arena_new(room);
		struct schema_faults faults;

		rc = small == NULL ? RC_NOMEM : schema_check(schema, small, value, NULL, &faults);
		if (rc != RC_NOMEM)
			ck_assert_uint_eq(faults.count, 3);
		arena_free(small);
	}
	ck_assert_int_eq(rc, RC_INVALID);
}
END_TEST

/* What is refused at load. */

static const char *const refused[] = {
	"{'type':['strin','string']}",
	"{'type':'string','maxLength':1e300}",
	"{'type':'string','maxLength':-0.5}",
	"{'type':'string','pattern':'a\\u0000b'}",
	"{'type':'object','properties':{'a':{'not':{}},'b':{}}}",
	"{'anyOf':[{'not':{}},{}]}",
	"{'anyOf':{'a':{}}}",
	"{'oneOf':'x'}",
	"{'allOf':1}",
	"{'enum':{'a':1}}",
	"{'enum':'a'}",
	"{'$defs':{'a':{'not':{}},'b':{}}}",
	"{'definitions':[]}",
	"{'$ref':5}",
	"{'$ref':''}",
	"{'multipleOf':-1}",
	"{'type':'object','required':[null]}",
	"{'type':5}",
	"{'type':[5]}",
	"{'format':5}",
};

START_TEST(refuses)
{
	struct schema *schema;

	ck_assert_int_eq(schema_load_json(arena, json(refused[_i]), &schema, &list), RC_INVALID);
	ck_assert_uint_gt(list.errors, 0);
}
END_TEST

/* A keyword beside $ref would not be looked at, but for those that check nothing. */

static const struct {
	const char *member;
	bool loads;
} beside_reference[] = {
	{"'type':'string'", false},
	{"'enum':[1]", false},
	{"'const':1", false},
	{"'properties':{}", false},
	{"'required':['x']", false},
	{"'additionalProperties':false", false},
	{"'items':{}", false},
	{"'minItems':1", false},
	{"'maxItems':1", false},
	{"'minLength':1", false},
	{"'maxLength':1", false},
	{"'pattern':'a'", false},
	{"'format':'date'", false},
	{"'minimum':1", false},
	{"'maximum':1", false},
	{"'exclusiveMinimum':1", false},
	{"'exclusiveMaximum':1", false},
	{"'multipleOf':1", false},
	{"'anyOf':[{}]", false},
	{"'oneOf':[{}]", false},
	{"'allOf':[{}]", false},
	{"'definitions':{}", true},
	{"'title':'t'", true},
	{"'description':'d'", true},
	{"'default':1", true},
	{"'examples':[1]", true},
	{"'$comment':'c'", true},
	{"'$schema':'s'", true},
	{"'$id':'i'", true},
};

START_TEST(looks_beside_references)
{
	const char *member = beside_reference[_i].member;
	const char *source = arena_printf(arena, "{'$ref':'#/$defs/a',%s,'$defs':{'a':{}}}", member);
	struct schema *schema;

	ck_assert_int_eq(schema_load_json(arena, json(source), &schema, &list), beside_reference[_i].loads ? RC_OK : RC_INVALID);
	if (!beside_reference[_i].loads)
		ck_assert_msg(strstr(list.first->message, " beside $ref would be ignored") != NULL, "%s", list.first->message);
}
END_TEST

static const struct {
	const char *source;
	unsigned warnings;
} warned[] = {
	{"{'type':'array','minItems':2,'maxItems':1}", 1},
	{"{'type':'array','minItems':2,'maxItems':2}", 0},
	{"{'type':'string','minLength':2,'maxLength':1}", 1},
	{"{'type':'string','minLength':2,'maxLength':2}", 0},
	{"{'type':['string','integer'],'minLength':2,'minimum':2}", 0},
	{"{'type':'string','minimum':2}", 1},
	{"{'minLength':2,'minimum':2}", 0},
};

START_TEST(warns)
{
	load_json(warned[_i].source);
	ck_assert_uint_eq(list.warnings, warned[_i].warnings);
}
END_TEST

/* Formats. A | stands for a byte of zero. */

static const struct {
	const char *format, *text;
	bool holds;
} formats[] = {
	{"date", "2024-12-31", true},
	{"date", "2024-01-00", false},
	{"date", "2024-00-10", false},
	{"date", "2024-04-31", false},
	{"date", "2024/01-01", false},
	{"date", "2024-01/01", false},
	{"date", "x024-01-01", false},
	{"date", "20x4-01-01", false},
	{"date", "2024-0x-01", false},
	{"date", "2024-01-0x", false},
	{"time", "00:00:00z", true},
	{"time", "23:59:59Z", true},
	{"time", "23:60:00Z", false},
	{"time", "23:59:61Z", false},
	{"time", "00:29:60+00:30", true},
	{"time", "00:29:60-00:30", false},
	{"time", "23:59:60Z", true},
	{"time", "23:58:60Z", false},
	{"time", "14:00:00+23:59", true},
	{"time", "14:00:00+23:60", false},
	{"time", "14:00:00+05x30", false},
	{"time", "14:00:00x05:30", false},
	{"time", "14:00:00x", false},
	{"time", "14x00:00Z", false},
	{"time", "14:00x00Z", false},
	{"date-time", "2027-06-12", false},
	{"date-time", "2027-06-12T", false},
	{"duration", "P1", false},
	{"duration", "P1|", false},
	{"duration", "PT1H|", false},
	{"duration", "P1WT1H", false},
	{"duration", "P1W|", false},
	{"duration", "P1Dx1H", false},
	{"duration", "PT1Hx", false},
	{"duration", "P1Y1M1D", true},
	{"duration", "P1Y2M3DT4H", true},
	{"hostname", "a-", false},
	{"hostname", "a.b-", false},
	{"hostname", "a.-b", false},
	{"hostname", ".a", false},
	{"hostname", "a.", false},
	{"hostname", "a|b", false},
	{"hostname", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123.com", true},
	{"ipv4", "255.255.255.255", true},
	{"ipv4", "1.2.3.4x", false},
	{"ipv4", "1.2.3.4294967297", false},
	{"ipv4", "1.2.3.", false},
	{"ipv4", "1x2.3.4", false},
	{"ipv6", "1:2:3:4:5:6:7::8", false},
	{"ipv6", "1:2:3:4::5:6:7:8", false},
	{"ipv6", "1:2:3:4::5:6:7", true},
	{"ipv6", "::1:2:3:4:5:6:1.2.3.4", false},
	{"ipv6", "::1:2:3:4:5:1.2.3.4", true},
	{"ipv6", "1:2:3:4:5:1.2.3.4", false},
	{"ipv6", "::1.2.3.x", false},
	{"ipv6", "::1.2.3", false},
	{"ipv6", "::.1.2.3", false},
	{"ipv6", "::1:", false},
	{"ipv6", "::12345", false},
	{"ipv6", "1:2:3:4:5:6:7:8:", false},
	{"ipv6", "1:2:3:4:5:6:7:8x", false},
	{"ipv6", "", false},
	{"email", "a.b@example.com", true},
	{"email", "a.@example.com", false},
	{"email", "a|b@example.com", false},
	{"email", "\"@example.com", false},
	{"email", "\"a@example.com", false},
	{"email", "a\"@example.com", false},
	{"email", "\"\"@example.com", true},
	{"email", "\"a\"b\"@example.com", false},
	{"email", "\"a\\\"@example.com", false},
	{"email", "\"a\\\\\"@example.com", true},
	{"email", "\"\x7f\"@example.com", false},
	{"email", "\"\x1f\"@example.com", false},
	{"email", "joe@[]", false},
	{"email", "joe@[", false},
	{"email", "joe@[IPv6:]", false},
	{"email", "joe@[IPv6:::1]", true},
	{"email", "joe@[192.0.2.1", false},
	{"email", "joe@192.0.2.1]", false},
	{"email", "joe@[192.0.2.1x", false},
	{"uuid", "3f2b8c1e-5d4a-4c6b-9e7f-1a2b3c4d5e6", false},
	{"uuid", "3f2b8c1e-5d4a-4c6b-9e7f-1a2b3c4d5e6f0", false},
	{"uuid", "", false},
	{"uri", "http://a/%zz", false},
	{"uri", "http://a/%7x", false},
	{"uri", "http://a/%", false},
	{"uri", "http://a/%|", false},
	{"uri", "http://a/|", false},
	{"uri", "http://[::1", false},
	{"uri", "http://[::a", false},
	{"uri", "http://[v]/", false},
	{"uri", "http://[v1.a b]/", false},
	{"uri", "http://[]/", false},
	{"uri", "http://a:b:c/", false},
	{"uri", "http://:80/", true},
	{"uri", "http://80/", true},
	{"uri", "1http://a", false},
	{"uri", "a|:b", false},
	{"uri", "http", false},
	{"uri", "", false},
	{"uri", "http://a#b#c", false},
	{"uri", "http://a|b/", false},
};

static struct schema *of_format(const char *name)
{
	return load_json(arena_printf(arena, "{'type':'string','format':'%s'}", name));
}

START_TEST(checks_formats)
{
	char *text = arena_strdup(arena, formats[_i].text);
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)(text[i] == '|' ? '\0' : text[i]);
	ck_assert_msg(passes(of_format(formats[_i].format), value_string(arena, text, len)) == formats[_i].holds, "%s %s", formats[_i].format,
	              formats[_i].text);
}
END_TEST

static const struct {
	const char *format, *before;
	int longest; /* how many letters may stand between, in labels of 50 */
	const char *after;
} lengths[] = {
	{"hostname", "", 253 - 4, ".com"},
	{"email", "a@", 254 - 6, ".com"},
};

START_TEST(checks_lengths)
{
	for (int over = 0; over < 2; over++) {
		char *text = arena_printf(arena, "%s%*s%s", lengths[_i].before, lengths[_i].longest + over, "", lengths[_i].after);
		int column = 0;

		for (char *c = text; *c != '\0'; c++)
			if (*c == ' ')
				*c = (char)(++column % 51 == 50 ? '.' : 'a');
		ck_assert_msg(passes(of_format(lengths[_i].format), value_string(arena, text, strlen(text))) == (over == 0), "%s", text);
	}
}
END_TEST

START_TEST(checks_the_length_of_a_mailbox)
{
	const char *most = "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234";

	ck_assert(passes(of_format("email"), json(arena_printf(arena, "'%s@b.c'", most))));
	ck_assert(!passes(of_format("email"), json(arena_printf(arena, "'x%s@b.c'", most))));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("edge");
	TCase *tc = tcase_create("edge");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, checks_values, 0, (int)COUNT_OF(values));
	tcase_add_loop_test(tc, says_what_was_meant, 0, (int)COUNT_OF(reasons));
	tcase_add_test(tc, many_items_are_not_nested);
	tcase_add_test(tc, long_chains_of_references_end);
	tcase_add_test(tc, an_arena_too_small_is_no_fault);
	tcase_add_loop_test(tc, refuses, 0, (int)COUNT_OF(refused));
	tcase_add_loop_test(tc, looks_beside_references, 0, (int)COUNT_OF(beside_reference));
	tcase_add_loop_test(tc, warns, 0, (int)COUNT_OF(warned));
	tcase_add_loop_test(tc, checks_formats, 0, (int)COUNT_OF(formats));
	tcase_add_loop_test(tc, checks_lengths, 0, (int)COUNT_OF(lengths));
	tcase_add_test(tc, checks_the_length_of_a_mailbox);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
