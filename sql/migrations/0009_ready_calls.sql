-- What the daemon asks for where it expects nothing to stand in a call's way. See fpm.admit_ready.
create type fpm.ready_call as (
	id uuid,                   -- of the row to be
	lock_key bigint,           -- as an earlier admission of the supplier and feature answered it
	key_id uuid,               -- the caller's key
	request_id text,
	feature text,
	endpoint text,
	provider text,
	model text,
	prompt_tokens_max bigint,
	prompt_tokens_estimate bigint,
	max_tokens bigint,
	cache_hash char(64),       -- as fpm.cache_key; null: the answer is not to be kept
	cache_scope text,
	cache_owner uuid,          -- as the daemon knows it: one that is not true any more is not ready
	cache_ttl_s int,
	open_ms bigint,            -- after which it has expired
	worker text,
	stream boolean,
	rank int                   -- among the set's calls of the same supplier and feature, from 1; too large a number is safe
);
