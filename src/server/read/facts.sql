select
  pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
  pg_catalog.current_setting('server_encoding'),
  pg_catalog.pg_backend_pid(),
  (select s.setting from pg_catalog.pg_settings as s where s.name = 'search_path'),
  (select s.boot_val from pg_catalog.pg_settings as s where s.name = 'search_path'),
  (select s.source from pg_catalog.pg_settings as s where s.name = 'search_path'),
  pg_catalog.current_setting('restrict_nonsystem_relation_kind', true) is not null,
  pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute'),
  pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'execute'),
  pg_catalog.strpos(pg_catalog.version(), 'linux'),
  exists (select from pg_catalog.pg_roles as r where r.rolsuper and r.rolname = any ($1::pg_catalog.text[])),
  pg_catalog.has_function_privilege('pg_catalog.pg_walfile_name(pg_catalog.pg_lsn)', 'execute')
    and pg_catalog.has_function_privilege('pg_catalog.pg_current_wal_lsn()', 'execute')
