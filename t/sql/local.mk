# SQL tests: the functions, roles and policies by pgTAP, and the migrations.
sql_tests += t/sql/functions.t
sql_tests += t/sql/migrate.t
sql_tests += t/sql/scale.t
