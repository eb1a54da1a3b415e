select c.oid, c.relnamespace, c.relname, c.relowner, c.relrowsecurity, c.relforcerowsecurity
from pg_catalog.pg_class as c
where (c.relrowsecurity or c.relforcerowsecurity)
  and (c.relkind = 'r' or c.relkind = 'p')
