"""PostgreSQL: tables, engine, migrations, and the rows that more than one service touches."""
