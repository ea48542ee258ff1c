-- Run by the postgres image when its volume is empty: the shop and Temporal have a role and databases of their own, and
-- neither sees the other's.
\getenv shop_password SHOP_DATABASE_PASSWORD
\getenv temporal_password TEMPORAL_DATABASE_PASSWORD

create role shop login password :'shop_password';
create role temporal login password :'temporal_password';
create database shop owner shop;
create database temporal owner temporal;
create database temporal_visibility owner temporal;
revoke connect on database postgres, shop, temporal, temporal_visibility from public;
