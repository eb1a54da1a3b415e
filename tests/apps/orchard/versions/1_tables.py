"""what is not there yet: the tables are made before the first migration by what starts the application"""
import sqlalchemy as sa
from alembic import op

revision = "0c1d2e3f4a5b"
down_revision = None


def upgrade():
    there = sa.inspect(op.get_bind()).get_table_names()
    if "beds" not in there:
        op.create_table("beds", sa.Column("id", sa.Integer, primary_key=True), sa.Column("description", sa.Text))
    if "crates" not in there:
        op.create_table(
            "crates",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("bed_id", sa.Integer, sa.ForeignKey("beds.id"), nullable=False),
            sa.Column("fruit", sa.String(40), nullable=False),
        )
    op.execute("UPDATE beds SET description = '' WHERE description IS NULL")


def downgrade():
    op.drop_table("crates")
    op.drop_table("beds")
