(
  select
    pg_catalog.array_agg(
      (a.entry).grantee::pg_catalog.int8 * 256
      + case (a.entry).privilege_type
          when 'SELECT' then 0
          when 'INSERT' then 4
          when 'UPDATE' then 8
          when 'DELETE' then 12
          when 'TRUNCATE' then 16
          when 'REFERENCES' then 20
          when 'TRIGGER' then 24
          when 'MAINTAIN' then 28
          when 'USAGE' then 32
          when 'CREATE' then 36
          when 'EXECUTE' then 40
          when 'CONNECT' then 44
          when 'TEMPORARY' then 48
          else 60
        end
      + case when (a.entry).grantor = @owner then 2 else 0 end
      + case when (a.entry).is_grantable then 1 else 0 end
    ) as codes,
    pg_catalog.array_agg((a.entry).grantor) filter (where (a.entry).grantor <> @owner) as grantors
  from (select pg_catalog.aclexplode(@acl) as entry) as a
)
