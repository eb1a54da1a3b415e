select pg_catalog.pg_try_advisory_xact_lock(1885826415, 1)
