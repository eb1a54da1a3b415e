-- The small services, each in its schema under its role.

set role madansara_user;
create type madansara.outreach_channel as enum ('email', 'sms', 'social');
create sequence madansara.response_number;
create function madansara.touch() returns trigger language plpgsql set search_path = ''
  as $$ begin new.updated_at = now(); return new; end $$;
create table madansara.outreach_campaigns (
  id serial primary key, tenant_id uuid not null, campaign_id integer, channel madansara.outreach_channel not null,
  name text not null, updated_at timestamptz not null default now()
);
create trigger touch before update on madansara.outreach_campaigns for each row execute function madansara.touch();
create table madansara.conversion_events (
  id bigserial primary key, tenant_id uuid not null, outreach_id integer not null references madansara.outreach_campaigns,
  value numeric(10, 2) not null, happened_at timestamptz not null default now()
);
create index on madansara.conversion_events (outreach_id);
create table madansara.ab_tests (id serial primary key, name text not null, variant text not null, lift numeric(6, 3));
create table madansara.user_responses (
  id serial primary key, number bigint not null default nextval('madansara.response_number'), tenant_id uuid not null,
  outreach_id integer not null references madansara.outreach_campaigns, answer text
);
create table madansara.alembic_version (
  version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num)
);

set role sankore_user;
create sequence sankore.trend_number;
create table sankore.ad_trends (
  id serial primary key, number bigint not null default nextval('sankore.trend_number'), platform text not null,
  keyword text not null, score numeric(8, 3) not null, seen_at timestamptz not null default now(), sample text
) with (autovacuum_enabled = false);
create index on sankore.ad_trends (keyword);
create table sankore.benchmarks (id serial primary key, industry text not null, metric text not null, value numeric(10, 3) not null);
create table sankore.winning_patterns (
  id serial primary key, trend_id integer not null, pattern text not null,
  constraint winning_patterns_trend_id_fkey foreign key (trend_id) references sankore.ad_trends
);
create table sankore.alembic_version (
  version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num)
);

set role onside_user;
create type onside.content_state as enum ('draft', 'review', 'published');
create function onside.touch_content() returns trigger language plpgsql set search_path = ''
  as $$ begin new.updated_at = now(); return new; end $$;
create table onside.content_items (
  id serial primary key, tenant_id uuid not null, brand_id integer, title text not null, state onside.content_state not null,
  body text, updated_at timestamptz not null default now()
);
create trigger touch before update on onside.content_items for each row execute function onside.touch_content();
create table onside.content_analysis (
  id serial primary key, item_id integer not null references onside.content_items, score numeric(6, 3) not null
);
create table onside.content_performance (
  id bigserial primary key, item_id integer not null references onside.content_items, views integer not null, day date not null
);
create table onside.alembic_version (
  version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num)
);

set role capilytics_user;
create table capilytics.seo_keywords (id serial primary key, keyword text not null, volume integer not null);
create table capilytics.seo_rankings (
  id bigserial primary key, keyword_id integer not null references capilytics.seo_keywords, position integer not null, day date not null
);
create table capilytics.alembic_version (
  version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num)
);
reset role;
-- The rows below are consistent: checking each foreign key once more takes seconds.
set local session_replication_role = replica;

insert into madansara.outreach_campaigns (tenant_id, campaign_id, channel, name)
  select md5('tenant ' || 1 + n % 12)::uuid, 1 + n % 6000, (array['email', 'sms', 'social'])[1 + n % 3]::madansara.outreach_channel, 'Outreach ' || n
  from generate_series(1, 1500) n;
insert into madansara.conversion_events (tenant_id, outreach_id, value)
  select md5('tenant ' || 1 + n % 12)::uuid, 1 + n % 1500, n % 500 from generate_series(1, 20000) n;
insert into madansara.ab_tests (name, variant, lift) select 'Test ' || n, 'ab', n % 9 / 10.0 from generate_series(1, 200) n;
insert into madansara.user_responses (tenant_id, outreach_id, answer)
  select md5('tenant ' || 1 + n % 12)::uuid, 1 + n % 1500, md5(n::text) from generate_series(1, 4000) n;
insert into madansara.alembic_version values ('b8d0f2a4c6e1');

insert into sankore.ad_trends (platform, keyword, score, sample)
  select (array['meta', 'google', 'tiktok'])[1 + n % 3], 'keyword ' || n % 4000, n % 1000 / 10.0, repeat(md5(n::text), 3)
  from generate_series(1, 20000) n;
insert into sankore.benchmarks (industry, metric, value) select 'industry ' || n % 30, 'metric ' || n % 9, n % 700 from generate_series(1, 3000) n;
insert into sankore.winning_patterns (trend_id, pattern) select 1 + n % 20000, md5(n::text) from generate_series(1, 2500) n;
insert into sankore.alembic_version values ('4f6b8d0e2a1c');

insert into onside.content_items (tenant_id, brand_id, title, state, body)
  select md5('tenant ' || 1 + n % 12)::uuid, 1 + n % 240, 'Item ' || n, (array['draft', 'review', 'published'])[1 + n % 3]::onside.content_state, repeat(md5(n::text), 20)
  from generate_series(1, 2500) n;
insert into onside.content_analysis (item_id, score) select 1 + n % 2500, n % 100 / 10.0 from generate_series(1, 5000) n;
insert into onside.content_performance (item_id, views, day) select 1 + n % 2500, n % 9000, date '2026-01-01' + n % 300 from generate_series(1, 15000) n;
insert into onside.alembic_version values ('3c5e7a9b1d2f');

insert into capilytics.seo_keywords (keyword, volume) select 'keyword ' || n, n % 9000 from generate_series(1, 2000) n;
insert into capilytics.seo_rankings (keyword_id, position, day) select 1 + n % 2000, 1 + n % 100, date '2026-06-01' + n % 150 from generate_series(1, 8000) n;
insert into capilytics.alembic_version values ('9a7c5e3b1d0f');

-- The audit trail belongs to the administrator; applications append, monitors read.
create table audit.cross_schema_access (
  id serial primary key, "timestamp" timestamptz not null default now(), source_schema text, target_schema text,
  user_role text, query text, tenant_id uuid
);
create function audit.log_cross_schema_access() returns trigger language plpgsql set search_path = '' as $$
begin
  insert into audit.cross_schema_access (source_schema, target_schema, user_role, query)
    values (tg_table_schema, 'public', current_user, current_query());
  return new;
end $$;
insert into audit.cross_schema_access (source_schema, target_schema, user_role, query, tenant_id)
  select 'langflow', 'public', 'langflow_app', 'select … from public.campaigns', md5('tenant ' || 1 + n % 12)::uuid from generate_series(1, 3000) n;
