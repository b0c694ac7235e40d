"""Alembic migrations of Placement's tables, apart from those of any other tables in the database."""
