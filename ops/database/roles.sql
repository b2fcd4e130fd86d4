-- Before the first start: web and worker read and write rows as this role, which owns no table. The worker restores
-- backups into databases of its own to prove them.
CREATE ROLE insurance_app LOGIN CREATEDB;
