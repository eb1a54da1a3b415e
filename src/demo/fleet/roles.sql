-- The roles of the first cluster, as the policy declares them. No passwords here: they are set by passwords.sql.
create role engarde_user login connection limit 30;
create role langflow_app login connection limit 10;
create role madansara_user login connection limit 10;
create role sankore_user login connection limit 10;
create role onside_user login connection limit 10;
create role capilytics_user login connection limit 5;
create role analytics_readonly login connection limit 5;
create role audit_user login connection limit 5;
create role monitor_user login connection limit 5;
create role compliance_reader login connection limit 5;
create role deploy_bot login connection limit 5;
grant pg_monitor to monitor_user;
