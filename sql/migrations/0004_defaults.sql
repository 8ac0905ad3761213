-- The rows an installation starts with. Prices in USD per token; a model without one is refused.

insert into public.ai_models
	(model_name, provider, cost_per_input_token, cost_per_cached_token, cost_per_output_token, max_tokens, supports_streaming)
values
	('gpt-4', 'openai', 0.00003, null, 0.00006, 8192, true),
	('gpt-3.5-turbo', 'openai', 0.0000015, null, 0.000002, 4096, true),
	('gpt-4-turbo', 'openai', 0.00001, null, 0.00003, 128000, true),
	('gpt-5-mini', 'openai', 0.00000025, 0.000000025, 0.000002, 400000, true),
	('gpt-5.4', 'openai', 0.0000025, 0.00000025, 0.000015, null, true),
	('gpt-5.4-mini', 'openai', 0.00000075, 0.000000075, 0.0000045, null, true),
	('gpt-5.5', 'openai', 0.000005, 0.0000005, 0.00003, null, true),
	('gpt-5.6-luna', 'openai', 0.0000002, 0.00000002, 0.0000012, null, true),
	('gpt-5.6-terra', 'openai', 0.000002, 0.0000002, 0.000012, null, true),
	('gpt-5.6-sol', 'openai', 0.000004, 0.0000004, 0.00002, null, true),
	('gpt-4.1', 'openai', 0.000002, 0.0000005, 0.000008, 1047576, true),
	('gpt-4o-mini', 'openai', 0.00000015, 0.000000075, 0.0000006, 128000, true),
	('text-embedding-3-small', 'openai', 0.00000002, null, 0, 8191, false),
	('text-embedding-3-large', 'openai', 0.00000013, null, 0, 8191, false),
	('claude-haiku-4-5', 'anthropic', 0.000001, 0.0000001, 0.000005, 200000, true),
	('claude-opus-5', 'anthropic', 0.000005, 0.0000005, 0.000025, null, true),
	-- Answers without a network. Priced like gpt-4o-mini, so that a demonstration's bill shows figures; nobody is to be charged by it.
	('sample', 'local', 0.00000015, 0.000000075, 0.0000006, 128000, true);

insert into fpm.model_prices (provider, model_name, price_input, price_cached, price_output)
select m.provider, m.model_name, m.cost_per_input_token, coalesce(m.cost_per_cached_token, m.cost_per_input_token), m.cost_per_output_token
from public.ai_models m order by m.model_name;

update public.ai_models m set price_id = p.id from fpm.model_prices p where p.model_name = m.model_name;

insert into public.ai_usage_limits (tier_name, feature_type, monthly_limit, daily_limit, cost_limit_cents)
values
	('starter', 'form_generation', 10, 2, 500),
	('starter', 'email_template', 20, 5, 500),
	('starter', 'content_creation', 15, 3, 500),
	('professional', 'form_generation', 50, 10, 2000),
	('professional', 'email_template', 100, 20, 2000),
	('professional', 'content_creation', 75, 15, 2000),
	('professional', 'chatbot', 200, 50, 2000),
	('scale', 'form_generation', 200, 40, 5000),
	('scale', 'email_template', 500, 100, 5000),
	('scale', 'content_creation', 300, 60, 5000),
	('scale', 'chatbot', 1000, 200, 5000),
	('enterprise', 'form_generation', -1, -1, -1),
	('enterprise', 'email_template', -1, -1, -1),
	('enterprise', 'content_creation', -1, -1, -1),
	('enterprise', 'chatbot', -1, -1, -1);
