-- For psql, as an administrator: one role and one schema for each write service, named
-- <namespace>_<service>. A schema belongs to its role, and no other role may look into it.
-- Run again, it sets the passwords anew and changes nothing else.

\set ON_ERROR_STOP on
\getenv namespace SLACKWATER_NAMESPACE
\getenv customers POSTGRES_CUSTOMERS_PASSWORD
\getenv inventory POSTGRES_INVENTORY_PASSWORD
\getenv orders POSTGRES_ORDERS_PASSWORD

BEGIN;
SET LOCAL client_min_messages = warning;

CREATE TEMPORARY TABLE service (role text, password text) ON COMMIT DROP;
INSERT INTO service VALUES
    (:'namespace' || '_customers', :'customers'),
    (:'namespace' || '_inventory', :'inventory'),
    (:'namespace' || '_orders', :'orders');

SELECT format('CREATE ROLE %I LOGIN', role) FROM service
WHERE role NOT IN (SELECT rolname FROM pg_roles) \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', role, password) FROM service \gexec
SELECT format('CREATE SCHEMA IF NOT EXISTS %I', role) FROM service \gexec
SELECT format('ALTER SCHEMA %I OWNER TO %1$I', role) FROM service \gexec

COMMIT;
