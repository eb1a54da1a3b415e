savepoint probe;
lock table only @table in @mode mode nowait;
rollback to savepoint probe;
