-- The postgres image runs this file when its volume is empty. The shop and Temporal have separate databases, and neither can
-- connect to the other's. The role of worker and API owns no tables: setup runs as the owner and grants the privileges.
\getenv shop_password SHOP_DATABASE_PASSWORD
\getenv shop_owner_password SHOP_OWNER_DATABASE_PASSWORD
\getenv temporal_password TEMPORAL_DATABASE_PASSWORD

create role shop login password :'shop_password';
create role shop_owner login password :'shop_owner_password';
create role temporal login password :'temporal_password';
create database shop owner shop_owner;
create database temporal owner temporal;
create database temporal_visibility owner temporal;
revoke connect on database postgres, shop, temporal, temporal_visibility from public;
grant connect on database shop to shop;
