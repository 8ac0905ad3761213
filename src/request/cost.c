/*
 * cost.c - exact arithmetic in trillionths of a dollar.
 */
#include "request/cost.h"

#include "base/str.h"

#define PLACES 12                        /* decimals of a price in USD */
#define CENT_PLACES 10
#define CENT ((__int128)10000000000)     /* trillionths of a dollar in a cent */
#define TOKENS_MOST ((int64_t)1 << 40)
#define PRICE_MOST ((__int128)1000000000000) /* a dollar a token */
#define SUM_MOST ((__int128)3 * TOKENS_MOST * PRICE_MOST)

/* A decimal without a sign, in units of its `places`th place; what stands behind that must be zeros. */
static enum rc read_decimal(const char *text, int places, __int128 most, __int128 *out)
{
	__int128 whole = 0;
	int seen = -1;

	if (text == NULL || *text == '\0')
		return RC_INVALID;
	for (; *text != '\0'; text++) {
		if (*text == '.' && seen < 0) {
			seen = 0;
			continue;
		}
		if (*text < '0' || *text > '9')
			return RC_INVALID;
		if (seen >= places) {
			if (*text != '0')
				return RC_INVALID;
			continue;
		}
		whole = whole * 10 + (*text - '0');
		seen += seen >= 0;
		if (whole > most)
			return RC_INVALID;
	}
	for (seen = seen < 0 ? 0 : seen; seen < places; seen++) {
		whole *= 10;
		if (whole > most)
			return RC_INVALID;
	}
	*out = whole;
	return RC_OK;
}

static enum rc read_price(const char *text, __int128 *out)
{
	return read_decimal(text, PLACES, PRICE_MOST, out);
}

static void print_cents(__int128 total, char cents[COST_TEXT_SIZE])
{
	int64_t part = (int64_t)(total % CENT);
	size_t n = str_write_int(cents, (int64_t)(total / CENT)) + 1 + CENT_PLACES;

	cents[n - 1 - CENT_PLACES] = '.';
	cents[n] = '\0';
	for (size_t i = 1; i <= CENT_PLACES; i++, part /= 10)
		cents[n - i] = (char)('0' + part % 10);
	while (cents[n - 1] == '0')
		cents[--n] = '\0';
	if (cents[n - 1] == '.')
		cents[--n] = '\0';
}

enum rc cost_cents(const struct usage *usage, const char *price_input, const char *price_cached, const char *price_output, char cents[COST_TEXT_SIZE])
{
	__int128 input, cached, output;

	if (read_price(price_input, &input) != RC_OK || read_price(price_cached, &cached) != RC_OK || read_price(price_output, &output) != RC_OK)
		return RC_INVALID;
	if (usage->prompt < 0 || usage->cached < 0 || usage->cached > usage->prompt || usage->completion < 0 || usage->prompt > TOKENS_MOST ||
	    usage->completion > TOKENS_MOST)
		return RC_INVALID;
	print_cents((usage->prompt - usage->cached) * input + usage->cached * cached + usage->completion * output, cents);
	return RC_OK;
}

enum rc cost_add(char cents[COST_TEXT_SIZE], const char *more)
{
	__int128 sum, other = 0;

	if (read_decimal(cents, CENT_PLACES, SUM_MOST, &sum) != RC_OK || (*more != '\0' && read_decimal(more, CENT_PLACES, SUM_MOST, &other) != RC_OK))
		return RC_INVALID;
	if (other > 0)
		print_cents(sum + other, cents);
	return RC_OK;
}
