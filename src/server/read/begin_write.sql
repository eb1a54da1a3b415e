begin isolation level read committed read write;
set local search_path = pg_catalog, pg_temp;
set local lock_timeout = @lock_ms;
set local statement_timeout = @statement_ms;
set local idle_in_transaction_session_timeout = 10000;
set local row_security = off;
set local client_min_messages = notice;
set local jit = off;
set local max_parallel_workers_per_gather = 0;
set local datestyle = 'ISO, MDY';
set local intervalstyle = postgres;
set local timezone = 'UTC';
set local bytea_output = hex;
set local quote_all_identifiers = off;
set local standard_conforming_strings = on;
set local tcp_keepalives_idle = 2;
set local tcp_keepalives_interval = 1;
set local tcp_keepalives_count = 3;
set local tcp_user_timeout = 5000;
select pg_catalog.set_config('synchronous_commit', 'local', true)
where pg_catalog.current_setting('synchronous_commit') = 'off';
select pg_catalog.set_config('client_connection_check_interval', '2000', true)
where pg_catalog.strpos(pg_catalog.version(), 'linux') > 0;
