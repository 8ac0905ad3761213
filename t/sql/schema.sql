begin;
select plan(22);

select columns_are('public', t, string_to_array(c, ' '), t)
from (values ('user_profiles', 'id organization_id subscription_tier created_at'),
	('ai_usage_limits', 'id tier_name feature_type monthly_limit daily_limit cost_limit_cents created_at')) v (t, c);
select set_has(format('select attname::text from pg_attribute where attrelid = %L::regclass and attnum > 0', 'public.' || t),
	format('select unnest(%L::text[])', string_to_array(c, ' ')), t || ' has the columns promised')
from (values
	('ai_usage_tracking', 'id supplier_id feature_type model_used tokens_used cost_cents prompt_tokens completion_tokens request_duration_ms success error_message created_at'),
	('ai_models', 'id model_name provider model_config cost_per_input_token cost_per_output_token max_tokens supports_streaming is_active created_at updated_at'),
	('ai_response_cache', 'id prompt_hash feature_type model_used response_content tokens_saved cache_hits expires_at created_at')) v (t, c);

select col_type_is('public', 'ai_usage_tracking', 'cost_cents', 'numeric', 'money is exact');
select col_type_is('public', 'ai_response_cache', 'prompt_hash', 'character(64)', 'a SHA-256');
select col_is_unique('public', 'ai_response_cache', 'prompt_hash', 'once');
select col_is_unique('public', 'ai_models', 'model_name', 'a model once');
select fk_ok('public', 'ai_usage_tracking', 'supplier_id', 'public', 'user_profiles', 'id');
select has_index('public', 'ai_usage_tracking', 'ai_usage_tracking_supplier', array['supplier_id', 'created_at'], 'by supplier and time');
select has_index('public', 'ai_usage_tracking', 'ai_usage_tracking_feature', array['feature_type', 'created_at'], 'by feature and time');
select has_index('public', 'ai_response_cache', 'ai_response_cache_expires', array['expires_at', 'content_bytes'], 'by expiry, and the sizes without reading one');
select is((select relkind from pg_class where oid = 'public.ai_usage_tracking'::regclass), 'p'::"char", 'the ledger is partitioned');
select is((select count(*) from fpm.migrations), (select max(number)::bigint from fpm.migrations), 'every migration is recorded');

select is((select count(*) from public.ai_usage_limits), 15::bigint, 'fifteen rows of limits');
select results_eq($$
	select tier_name, feature_type, monthly_limit, daily_limit, cost_limit_cents from public.ai_usage_limits where tier_name in ('starter', 'scale') order by 1, 2
$$, $$values ('scale', 'chatbot', 1000, 200, 5000::numeric), ('scale', 'content_creation', 300, 60, 5000), ('scale', 'email_template', 500, 100, 5000),
	('scale', 'form_generation', 200, 40, 5000), ('starter', 'content_creation', 15, 3, 500), ('starter', 'email_template', 20, 5, 500),
	('starter', 'form_generation', 10, 2, 500)$$, 'as promised');
select results_eq($$
	select model_name, cost_per_input_token, cost_per_output_token, max_tokens, supports_streaming from public.ai_models
	where model_name in ('gpt-4', 'gpt-3.5-turbo', 'gpt-4-turbo') order by 1
$$, $$values ('gpt-3.5-turbo', 0.0000015, 0.000002, 4096, true), ('gpt-4', 0.00003, 0.00006, 8192, true), ('gpt-4-turbo', 0.00001, 0.00003, 128000, true)$$,
	'the default models');
select is((select (cost_per_input_token * 1000000, cost_per_cached_token * 1000000, cost_per_output_token * 1000000)::text from public.ai_models where model_name = 'claude-haiku-4-5'),
	'(1.000000,0.1000000,5.000000)', 'and current ones');
select is((select count(*) from public.ai_models where price_id is null), 0::bigint, 'all with a price');
select is_empty($$
	select m.model_name from public.ai_models m join fpm.model_prices p on p.id = m.price_id
	where (p.model_name, p.price_input, p.price_cached, p.price_output)
		is distinct from (m.model_name, m.cost_per_input_token, coalesce(m.cost_per_cached_token, m.cost_per_input_token), m.cost_per_output_token)
$$, 'and its version is the same');
select throws_ok($$insert into public.ai_usage_tracking (supplier_id, feature_type, model_used, state) values (gen_random_uuid(), 'f', 'm', 'nonsense')$$, '23514', null,
	'a state is one of those that there are');

select * from finish();
rollback;
