"""A project of this folder, started as published applications start theirs.

    start.py PROJECT create     makes what its models name and is not there, then migrates (Optuna, Langflow 1.6)
    start.py PROJECT drop       migrates; a revision that it does not know it answers with DROP TABLE alembic_version, and
                                migrates anew (Langflow 1.13)
    start.py PROJECT create drop

DATABASE_URL says where.
"""
import os
import sys

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, text

name, *does = sys.argv[1:]
folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
config = Config(os.path.join(folder, "alembic.ini"))
engine = create_engine(os.environ["DATABASE_URL"])
if "create" in does:
    sys.path.insert(0, folder)
    from models import metadata

    metadata.create_all(engine)
try:
    command.upgrade(config, "heads")
except CommandError as error:
    unknown = "Can't locate revision" in str(error) or "overlaps with other" in str(error)
    if not ("drop" in does and unknown):
        sys.exit(f"{type(error).__name__}: {error}")
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    command.upgrade(config, "heads")
