/*
 * schema_fault.c - the list of what is wrong with a value, each with its JSON Pointer (RFC 6901).
 */
#include "base/str.h"
#include "prompt/schema_node.h"

#define PATH_MAX_BYTES 512u /* a caller chooses the names in it */

static void write_name(struct buf *buf, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '~')
			buf_puts(buf, "~0");
		else if (name[i] == '/')
			buf_puts(buf, "~1");
		else
			buf_putc(buf, name[i]);
	}
}

static void write_place(struct buf *buf, const struct schema_place *place)
{
	if (place == NULL)
		return;
	write_place(buf, place->parent);
	buf_putc(buf, '/');
	if (place->name != NULL)
		write_name(buf, place->name, place->name_len);
	else
		buf_printf(buf, "%zu", place->index);
}

static bool is_same(const struct schema_fault *fault, const char *path, const char *reason)
{
	return str_eq(fault->path, path) && str_eq(fault->reason, reason);
}

enum rc schema_fault_add(struct schema_faults *faults, struct arena *arena, const struct schema_place *place, const char *reason)
{
	struct buf buf;

	if (reason == NULL)
		return RC_NOMEM;
	buf_init(&buf, arena, PATH_MAX_BYTES);
	write_place(&buf, place);
	if (buf.rc == RC_NOMEM)
		return RC_NOMEM;
	/* Cut between characters; what is left still leads to the neighbourhood. */
	if (buf.rc == RC_TOOBIG)
		buf.data[str_utf8_whole(buf.data, buf.len)] = '\0';
	for (unsigned i = 0; i < faults->count; i++)
		if (is_same(&faults->items[i], buf_text(&buf), reason))
			return RC_OK;
	if (faults->count < SCHEMA_FAULT_MAX)
		faults->items[faults->count++] = (struct schema_fault){.path = buf_text(&buf), .reason = reason};
	return RC_OK;
}
