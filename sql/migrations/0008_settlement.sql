-- What a settlement writes into the cache costs as little as it can. A check, like a generated column's expression, is parsed anew by each statement that writes:
-- fpm.end_calls and fpm.keep_answers see to both, and fpm.audit looks. A foreign key looks up the supplier of each answer, whose row a settlement holds already: a trigger
-- (fpm.forget_answers, in grants.sql) takes a supplier's answers along. One index serves those that expire soonest and the sum of all sizes.

alter table public.ai_response_cache drop constraint cache_entry_has_its_owner, drop constraint ai_response_cache_supplier_id_fkey,
	alter column content_bytes drop expression, alter column content_bytes set not null;
drop index public.ai_response_cache_size;
drop index public.ai_response_cache_expires;
create index ai_response_cache_expires on public.ai_response_cache (expires_at) include (content_bytes);

drop function if exists fpm.end_calls(fpm.settle_call[]); -- it has other parameters and another result
