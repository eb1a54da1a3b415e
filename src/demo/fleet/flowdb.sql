-- The second cluster: a Langflow with a database of its own, in public.
create role langflow_user login connection limit 20;
create role flow_reader login connection limit 5;
