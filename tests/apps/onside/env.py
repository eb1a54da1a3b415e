"""The usual env.py: one URL from the environment, one connection, nothing about schemas."""
import os

from alembic import context
from sqlalchemy import create_engine, pool

import sys

sys.path.insert(0, os.path.dirname(__file__))
from models import metadata  # noqa: E402

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
