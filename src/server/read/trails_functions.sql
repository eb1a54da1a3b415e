select
  p.pronamespace, p.proowner,
  (select l.lanname from pg_catalog.pg_language as l where l.oid = p.prolang),
  pg_catalog.left(p.prosrc, 16384), p.prosecdef, p.proconfig
from pg_catalog.pg_proc as p
where p.proname = 'log_write_from_elsewhere' and p.pronargs = 0 and p.prokind = 'f'
