"""books, under another name and renamed"""
import sqlalchemy as sa
from alembic import op

revision = "0001_first"
down_revision = None


def upgrade():
    op.execute("CREATE SEQUENCE shelf_number")
    op.create_table("volumes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.String(200), nullable=False))


def downgrade():
    op.drop_table("volumes")
    op.execute("DROP SEQUENCE shelf_number")
