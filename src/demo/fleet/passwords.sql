-- Every login role gets the throwaway password that the session carries as demo.password (for the loopback port).
do $$
declare role_name name;
begin
  for role_name in select rolname from pg_catalog.pg_roles where rolcanlogin and rolname <> 'postgres' loop
    execute format('alter role %I password %L', role_name, current_setting('demo.password'));
  end loop;
end $$;
