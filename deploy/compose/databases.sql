-- The service `databases` of docker-compose.yml runs this file. The shop and Temporal have separate databases, and neither
-- can connect to the other's. The role of worker and API owns no tables: setup runs as the owner and grants the privileges.
-- The quotes allow names that are key words of SQL.
\getenv shop_password SHOP_DATABASE_PASSWORD
\getenv shop_owner_password SHOP_OWNER_DATABASE_PASSWORD
\getenv temporal_password TEMPORAL_DATABASE_PASSWORD

select format('create role %I', name) from unnest(array['shop', 'shop_owner', 'temporal']) as name
  where not exists (select from pg_roles where rolname = name) \gexec
alter role "shop" login password :'shop_password';
alter role "shop_owner" login password :'shop_owner_password';
alter role temporal login password :'temporal_password';

select format('create database %I owner %I', name, owner)
  from (values ('shop', 'shop_owner'), ('temporal', 'temporal'), ('temporal_visibility', 'temporal')) as wanted (name, owner)
  where not exists (select from pg_database where datname = name) \gexec
revoke connect on database postgres, "shop", temporal, temporal_visibility from public;
grant connect on database "shop" to "shop";
