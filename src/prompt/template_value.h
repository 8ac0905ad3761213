/*
 * template_value.h - values as a template sees them, which is as JavaScript does.
 *
 * A NULL pointer is undefined; VALUE_NULL is null. Private to template*.c.
 */
#ifndef PROMPT_TEMPLATE_VALUE_H
#define PROMPT_TEMPLATE_VALUE_H

#include "base/value.h"

/* undefined and null. */
bool js_nothing(const struct value *v);

/* ToBoolean (ECMA-262 §7.1.2). */
bool js_truthy(const struct value *v);

/* Handlebars' isEmpty: falsy but for 0, or an array without items. */
bool js_empty(const struct value *v);

/* a === b, and a == b (§7.2.14, §7.2.13). Objects and arrays are equal to themselves only, but == compares them as text with anything else;
 * `scratch` serves for that, and has latched RC_NOMEM where there was none to be had. */
bool js_same(const struct value *a, const struct value *b);
bool js_equal(const struct value *a, const struct value *b, struct buf *scratch);

/* Appends '' + v, with undefined and null as nothing: arrays joined by commas, objects as [object Object]. */
void js_text(struct buf *buf, const struct value *v);

/* v[key], own properties only: members, items, characters (UTF-16 units) and `length`. What must be made is made in the arena. */
const struct value *js_get(struct arena *arena, const struct value *v, const char *key, size_t len);

/* Members in JavaScript's order: keys that are array indexes first, by size. `members` itself where it is in that order already; NULL when out of
 * memory. */
const struct value_member *js_members(struct arena *arena, const struct value *object);

/* Appends JSON.stringify(v, null, gap); members that are undefined are left out. RC_TOOBIG, RC_NOMEM. */
enum rc js_json(struct buf *buf, const struct value *v, const char *gap, size_t gap_len);

/* UTF-16 units in well-formed UTF-8. */
size_t js_string_length(const struct value *string);

/* {...v, } as Handlebars copies a partial's context: the members of an object, the items of an array and the characters of a string by their index.
 * Room for `more` members behind them. NULL when out of memory. */
struct value *js_copy(struct arena *arena, const struct value *v, size_t more);

/* Sets a member of a copy (NULL: undefined); the room for it must be there. */
void js_set(struct value *object, const char *key, size_t len, const struct value *v);

#endif
