-- Row level security on every table that has a tenant, in every schema of a service.
do $$
declare tenant_table text;
begin
  for tenant_table in
    select format('%I.%I', n.nspname, c.relname)
    from pg_catalog.pg_attribute a
      join pg_catalog.pg_class c on c.oid = a.attrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where a.attname = 'tenant_id' and c.relkind = 'r'
      and n.nspname in ('public', 'langflow', 'madansara', 'sankore', 'onside', 'capilytics')
  loop
    execute format('alter table %s enable row level security, force row level security', tenant_table);
    execute format(
      'create policy tenant_isolation on %s
         using (tenant_id = nullif(current_setting(''app.current_tenant_id'', true), '''')::uuid)', tenant_table);
  end loop;
end $$;
