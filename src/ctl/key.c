/*
 * key.c - promptctl key: callers' keys. A key is made here and shown once; what goes to the database is its digest and its first characters.
 */
#include <string.h>

#include "base/str.h"
#include "ctl/ctl.h"
#include "port/token.h"

#define HINT_SIZE 9
#define NAME_MAX_ 200u /* bytes */

static enum ctl_status no_supplier(const struct ctl *ctl)
{
	ctl_cannot("there is no supplier %s", ctl->operands[0]);
	return CTL_NO;
}

static enum ctl_status create(struct ctl *ctl, const char *name, const char key[TOKEN_KEY_SIZE])
{
	char digest[TOKEN_DIGEST_SIZE], hint[HINT_SIZE];
	const char *const params[] = {ctl->operands[0], digest, hint, name};
	struct db_table table;

	if (token_sha256(key, strlen(key), digest) != RC_OK)
		return ctl_cannot("no digest can be made");
	snprintf(hint, sizeof hint, "%.8s", key);
	if (!ctl_ask(ctl, "select fpm.key_create($1::uuid, $2, $3, $4)", params, 4, &table))
		return CTL_CANNOT;
	if (table.values[0] == NULL)
		return no_supplier(ctl);
	puts(key);
	fprintf(stderr, "promptctl: key %s: it is shown this once: keep it\n", table.values[0]);
	return CTL_DONE;
}

/* It stands in lists: one line of text. */
static bool is_name(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return n <= NAME_MAX_ && str_utf8_valid(name, n);
}

enum ctl_status key_create(struct ctl *ctl)
{
	const char *name = "";
	const struct ctl_option options[] = {{"name", "NAME", "what it is for, to tell keys apart", &name, NULL}};
	char key[TOKEN_KEY_SIZE];
	enum ctl_status status;

	if (!ctl_options(ctl, options, COUNT_OF(options), 1, 1))
		return ctl->status;
	if (!is_name(name))
		return ctl_misused(ctl, "NAME is a line of text, of up to 200 bytes");
	if (token_key_new(key) != RC_OK)
		return ctl_cannot("the system has no randomness to give");
	status = create(ctl, name, key);
	explicit_bzero(key, sizeof key);
	return status;
}

enum ctl_status key_revoke(struct ctl *ctl)
{
	struct db_table table;

	if (!ctl_options(ctl, NULL, 0, 1, 1))
		return ctl->status;
	if (!ctl_ask(ctl, "select fpm.key_revoke($1)", (const char *const *)ctl->operands, 1, &table))
		return CTL_CANNOT;
	if (str_eq(table.values[0], "1"))
		return CTL_DONE;
	ctl_cannot("no live key is meant by %s: promptctl key list shows their ids", ctl->operands[0]);
	return CTL_NO;
}

enum ctl_status key_list(struct ctl *ctl)
{
	static const char sql[] = "select key_id as id, supplier_id as supplier, hint, name,"
	                          " to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as created,"
	                          " to_char(revoked_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as revoked"
	                          " from fpm.key_list($1::uuid)";
	struct db_table table;
	const char *supplier;

	if (!ctl_options(ctl, NULL, 0, 0, 1))
		return ctl->status;
	supplier = ctl->operand_count > 0 ? ctl->operands[0] : NULL;
	if (!ctl_ask(ctl, sql, &supplier, 1, &table))
		return CTL_CANNOT;
	return ctl_print(ctl, &table, "tttttt");
}
