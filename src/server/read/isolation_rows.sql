savepoint probe;
set local app.current_tenant_id = '@tenant';
select 1 from @table limit 1;
rollback to savepoint probe;
