-- Run by the postgres image when its volume is empty: the shop and Temporal have databases of their own, and neither sees
-- the other's. What worker and API are owns nothing: the setup, which is the owner, gives it what it needs of the tables.
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
