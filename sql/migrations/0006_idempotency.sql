-- Idempotency-Key: which request holds a key, and what it was answered. Neither the key nor the request is here, only digests of them.

create table fpm.idempotency_keys (
	supplier_id uuid not null references public.user_profiles (id) on delete cascade,
	key_digest text not null constraint key_digest_is_a_sha256 check (key_digest ~ '^[0-9a-f]{64}$'), -- of the path and the key
	fingerprint text not null, -- SHA-256 of method, path and body
	request_id text not null, -- of the request that holds the key
	worker text,
	claimed_at timestamptz not null,
	lease_until timestamptz not null, -- until then that request may be at work
	expires_at timestamptz not null, -- from then on the key is as good as new
	row_id uuid, -- the ledger's row of the answer that is kept; null: none is kept (yet)
	row_created_at timestamptz,
	stream boolean,
	model text,
	problem text, -- the code of the catalogue with which it ended; null: it was answered
	content text, -- the JSON answer, or the text of a stream
	usage text, -- of a stream: its closing usage
	primary key (supplier_id, key_digest),
	constraint answer_names_its_row check ((row_id is null) = (row_created_at is null) and (row_id is not null or content is null)),
	constraint answer_is_capped check (octet_length(content) <= 4194304)
) with (fillfactor = 70);
create index idempotency_keys_expires on fpm.idempotency_keys (expires_at);
create index idempotency_keys_unanswered on fpm.idempotency_keys (worker) where row_id is null;

-- What an answer takes in the cache; the index tells what all of them take without reading one.
alter table public.ai_response_cache add column content_bytes integer generated always as (octet_length(response_content)) stored;
create index ai_response_cache_size on public.ai_response_cache (content_bytes);

drop function if exists fpm.sweep(text); -- it has another parameter and two more results
drop function if exists fpm.usage(uuid, date, date); -- two more results
