/*
 * record.c - the list, as the text that is asked for.
 */
#include "record.h"

static bool recording;
static struct text lines;

void record_start(void)
{
	recording = true;
}

void record_add(const struct record *r)
{
	if (!recording)
		return;
	text_printf(&lines, "%s\t%s\t%ld\t%d\t%ld\t%ld\t%ld\t%ld\t%ld\t%ld\t%d\n", r->id, r->how, r->status, r->stream, r->pieces, r->text_bytes, r->said_bytes,
	            r->prompt, r->cached, r->completion, r->told);
}

void record_reset(void)
{
	text_clear(&lines);
}

void record_print(struct text *out)
{
	text_puts(out, "id\thow\tstatus\tstream\tpieces\ttext_bytes\tsaid_bytes\tprompt\tcached\tcompletion\ttold\n");
	text_add(out, lines.data != NULL ? lines.data : "", lines.len);
}
