-- Who there is: the owner of everything, the worker (may execute the daemon's functions and touch no table), the operator (the reports and commands
-- of promptctl), and the suppliers' own role. Roles belong to the whole server, so another database may have made them already.
-- Needs no superuser: a role with CREATEROLE that owns the database is enough. On Supabase `authenticated` and auth.uid() are there and stay as they
-- are.

do $$
declare
	v_role text;
begin
	foreach v_role in array array['fpm_owner', 'fpm_worker', 'fpm_operator', 'authenticated'] loop
		begin
			if not exists (select from pg_catalog.pg_roles r where r.rolname = v_role) then
				execute pg_catalog.format('create role %I nologin', v_role);
			end if;
		exception when duplicate_object or unique_violation then
			null; -- made by a migration of another database at this moment
		end;
	end loop;
	-- Objects can be given only to a role that one is a member of.
	if not pg_catalog.pg_has_role(current_user, 'fpm_owner', 'usage') then
		execute pg_catalog.format('grant fpm_owner to %I', current_user);
	end if;
end
$$;

grant usage on schema public to fpm_owner, authenticated;
alter schema fpm owner to fpm_owner;

do $$
begin
	if to_regprocedure('auth.uid()') is null then
		if to_regnamespace('auth') is null then
			create schema auth;
		end if;
		-- What Supabase has: who the signed-in user is, by the claims that the API in front (PostgREST, PgREST, an own one) puts into the transaction.
		create function auth.uid() returns uuid language sql stable parallel safe as $uid$
			select nullif(coalesce(
				nullif(pg_catalog.current_setting('request.jwt.claim.sub', true), ''),
				nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'), '')::uuid
		$uid$;
	end if;
	-- Where the schema is somebody else's to grant (Supabase), `authenticated` may use it, and so may its members.
	if has_schema_privilege(current_user, 'auth', 'usage with grant option') then
		grant usage on schema auth to fpm_owner, authenticated;
	elsif not has_schema_privilege('fpm_owner', 'auth', 'usage') then
		grant authenticated to fpm_owner;
	end if;
end
$$;
