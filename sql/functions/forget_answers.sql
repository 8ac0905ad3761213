-- forget_answers: a trigger of user_profiles. Answers that are a supplier's own go with it.
--
-- Parameters: the supplier's row
-- Returns:    nothing that counts
-- Calls:      nothing
-- Tables:     writes public.ai_response_cache
--
-- Not a foreign key, which would look the supplier up again for each answer that is kept: fpm.end_calls, the only one that makes entries, holds its row already.
create or replace function fpm.forget_answers() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
	delete from public.ai_response_cache a where a.supplier_id = old.id;
	return null;
end
$$;
