-- Langflow in its own schema; its flows point at tenants and campaigns of the production backend.
grant references on public.tenants, public.campaigns to langflow_app;
set role langflow_app;

create table langflow."user" (id uuid primary key, username text not null unique, is_active boolean not null default true);
create table langflow.folder (id uuid primary key, name text not null, user_id uuid references langflow."user");
create table langflow.flow (
  id uuid primary key,
  name text not null,
  data jsonb not null,
  folder_id uuid references langflow.folder,
  user_id uuid references langflow."user",
  tenant_id uuid not null references public.tenants,
  campaign_id integer references public.campaigns,
  updated_at timestamptz not null default now()
);
create index on langflow.flow (tenant_id);
create table langflow.vertex (
  id uuid primary key, flow_id uuid not null references langflow.flow on delete cascade, kind text not null, params text
);
create index on langflow.vertex (flow_id);
create table langflow.edge (
  id uuid primary key, flow_id uuid not null references langflow.flow on delete cascade,
  source uuid not null, target uuid not null
);
create table langflow.transaction (
  id bigserial primary key, flow_id uuid not null, status text not null, inputs text, outputs text,
  "timestamp" timestamptz not null default now()
);
create index on langflow.transaction (flow_id);
create table langflow.message (
  id bigserial primary key, tenant_id uuid not null, flow_id uuid not null, session_id text not null,
  sender text not null, "text" text not null, "timestamp" timestamptz not null default now()
);
create index on langflow.message (session_id);
create table langflow.variables (id uuid primary key, name text not null, value text, user_id uuid references langflow."user");
create table langflow.apikey (id uuid primary key, name text not null, api_key text not null, user_id uuid references langflow."user");
create table langflow.file (id uuid primary key, name text not null, path text not null, size bigint not null);
create table langflow.alembic_version (
  version_num varchar(32) not null,
  constraint alembic_version_pkc primary key (version_num)
);

reset role;
revoke references on public.tenants, public.campaigns from langflow_app;
-- The rows below are consistent: checking each foreign key once more takes seconds.
set local session_replication_role = replica;

insert into langflow."user" select md5('user ' || n)::uuid, 'flow-user-' || n from generate_series(1, 40) n;
insert into langflow.folder select md5('folder ' || n)::uuid, 'Folder ' || n, md5('user ' || 1 + n % 40)::uuid from generate_series(1, 90) n;
insert into langflow.flow
  select md5('flow ' || n)::uuid, 'Flow ' || n, jsonb_build_object('nodes', n % 20, 'notes', repeat(md5(n::text), 30)),
    md5('folder ' || 1 + n % 90)::uuid, md5('user ' || 1 + n % 40)::uuid, md5('tenant ' || 1 + n % 12)::uuid, 1 + n % 6000
  from generate_series(1, 800) n;
insert into langflow.vertex
  select md5('vertex ' || n)::uuid, md5('flow ' || 1 + n % 800)::uuid, (array['llm', 'prompt', 'tool', 'input'])[1 + n % 4],
    repeat(md5(n::text), 5)
  from generate_series(1, 6000) n;
insert into langflow.edge
  select md5('edge ' || n)::uuid, md5('flow ' || 1 + n % 800)::uuid, md5('vertex ' || n)::uuid, md5('vertex ' || n + 1)::uuid
  from generate_series(1, 5000) n;
insert into langflow.transaction (flow_id, status, inputs, outputs)
  select md5('flow ' || 1 + n % 800)::uuid, (array['success', 'success', 'error'])[1 + n % 3],
    repeat(md5(n::text), 12), repeat(md5('out ' || n), 12)
  from generate_series(1, 18000) n;
insert into langflow.message (tenant_id, flow_id, session_id, sender, "text")
  select md5('tenant ' || 1 + n % 12)::uuid, md5('flow ' || 1 + n % 800)::uuid, 'session-' || n % 900,
    (array['User', 'Machine'])[1 + n % 2], repeat(md5(n::text) || ' ', 14)
  from generate_series(1, 22000) n;
insert into langflow.variables select md5('variable ' || n)::uuid, 'VARIABLE_' || n, 'set', md5('user ' || 1 + n % 40)::uuid from generate_series(1, 120) n;
insert into langflow.alembic_version values ('e5a7c9b1d3f2');
