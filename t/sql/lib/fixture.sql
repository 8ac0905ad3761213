-- What the tests of this folder share: three suppliers, of whom Ann and Ben are colleagues and Zoe is a stranger, and short names for long calls.
-- Read inside the test's transaction.

create function pg_temp.id(p_name text) returns uuid language sql immutable as $$
	select case p_name
		when 'ann' then '00000000-0000-4000-8000-00000000000a'
		when 'ben' then '00000000-0000-4000-8000-00000000000b'
		when 'zoe' then '00000000-0000-4000-8000-00000000000c'
		when 'org' then '00000000-0000-4000-8000-0000000000f1'
		when 'other org' then '00000000-0000-4000-8000-0000000000f2' end::uuid
$$;

create function pg_temp.key(p_name text) returns text language sql immutable as $$
	select encode(sha256(convert_to('key of ' || p_name, 'UTF8')), 'hex')
$$;

create function pg_temp.supplier(p_name text, p_tier text, p_org text default null) returns void language sql as $$
	select fpm.supplier_add(pg_temp.id(p_name), pg_temp.id(p_org), p_tier);
	select fpm.key_create(pg_temp.id(p_name), pg_temp.key(p_name), 'pfk_' || p_name, p_name || '''s key');
$$;

-- A call with everything at its usual value.
create function pg_temp.admit(
	p_name text, p_feature text default 'email_template', p_endpoint text default '/api/ai/generate-email-template',
	p_provider text default 'openai', p_model text default 'gpt-4o-mini', p_rate text default '0/0/0',
	p_prompt_max bigint default 1000, p_prompt_estimate bigint default 250, p_max_tokens int default 1000,
	p_content text default null, p_scope text default 'shared', p_ttl int default 3600, p_timeout_ms bigint default 60000, p_worker text default 'w1',
	out verdict text, out ticket text, out retry_after_s int, out rate_limit int, out rate_remaining int, out rate_reset_s int,
	out day_left bigint, out month_left bigint, out model text, out price_input text, out price_cached text, out price_output text, out answer text)
language sql as $$
	select * from fpm.admit(pg_temp.key(p_name), 'request of ' || p_name, p_feature, p_endpoint, p_provider, p_model,
		split_part(p_rate, '/', 1)::int, split_part(p_rate, '/', 2)::int, split_part(p_rate, '/', 3)::int,
		p_prompt_max, p_prompt_estimate, p_max_tokens, encode(sha256(convert_to(p_content, 'UTF8')), 'hex'), p_scope, p_ttl, p_timeout_ms, 0, p_worker, false)
$$;

-- The verdicts of so many calls, counted: 'admitted 5, daily_limit 1'.
create function pg_temp.verdicts(p_times int, p_name text, p_feature text default 'email_template', p_rate text default '0/0/0', p_max_tokens int default 1000)
returns text language plpgsql as $$
declare
	v_all text[] := '{}';
begin
	for i in 1 .. p_times loop
		v_all := v_all || (pg_temp.admit(p_name, p_feature => p_feature, p_rate => p_rate, p_max_tokens => p_max_tokens)).verdict;
	end loop;
	return (select string_agg(v.verdict || ' ' || v.n, ', ' order by v.verdict) from (select u.verdict, count(*) as n from unnest(v_all) u (verdict) group by 1) v);
end
$$;

create function pg_temp.settle(p_ticket text, p_state text default 'settled', p_prompt bigint default 100, p_cached bigint default 0, p_completion bigint default 50,
	p_estimated boolean default false, p_error text default null, p_content text default null, out done boolean, out state text, out cost_cents text)
language sql as $$
	select * from fpm.settle(p_ticket, p_state, p_prompt, p_cached, p_completion, p_estimated, 42, p_error, p_content)
$$;

-- The ledger's row of a ticket.
create function pg_temp.row_of(p_ticket text) returns public.ai_usage_tracking language sql stable as $$
	select t from public.ai_usage_tracking t where t.id = left(p_ticket, 36)::uuid
$$;

create function pg_temp.counter(p_name text, p_feature text default 'email_template') returns fpm.counters language sql stable as $$
	select c from fpm.counters c where c.supplier_id = pg_temp.id(p_name) and c.feature_type = p_feature
$$;
