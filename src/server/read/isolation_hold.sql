savepoint held;
savepoint probe;
lock table only @table in access share mode;
