begin isolation level repeatable read read only;
set local search_path = pg_catalog, pg_temp;
set local lock_timeout = @lock_ms;
set local statement_timeout = @statement_ms;
set local idle_in_transaction_session_timeout = 10000;
set local jit = off;
