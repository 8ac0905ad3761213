/*
 * cost.h - what a generation costs, exactly: whole tokens times decimal prices, without a rounding anywhere.
 */
#ifndef REQUEST_COST_H
#define REQUEST_COST_H

#include "provider/provider.h"

#define COST_TEXT_SIZE 48

/* US cents for the usage at prices in USD a token (decimal text of at most 12 places), as an exact decimal without trailing zeros: "0.00565".
 * RC_INVALID for a price that is none, or a sum past all reason. The same figure as fpm.settle books. */
enum rc cost_cents(const struct usage *usage, const char *price_input, const char *price_cached, const char *price_output, char cents[COST_TEXT_SIZE]) MUST_CHECK;

/* Adds one such figure ("" for nothing) to another. RC_INVALID, with `cents` as it was, for what is none. */
enum rc cost_add(char cents[COST_TEXT_SIZE], const char *more) MUST_CHECK;

#endif
